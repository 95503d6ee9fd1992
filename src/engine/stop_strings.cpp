#include "engine/stop_strings.h"

#include <algorithm>
#include <array>

namespace watra::engine {

namespace {

// Bytes of the character that begins with `lead`; 0 for a byte that begins none.
size_t utf8_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

bool is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(static_cast<unsigned char>(text[i]));
    if (length == 0 || i + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k) {
      if (!is_continuation(static_cast<unsigned char>(text[i + k]))) return false;
    }
    i += length;
  }
  return true;
}

// Bytes at the end of the text that begin a character but do not finish it: 0 to 3.
size_t unfinished_bytes(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if (is_continuation(byte)) continue;
    return utf8_length(byte) > back ? back : 0;
  }
  return 0;
}

}  // namespace

// A trie of the stop strings. Children are sibling lists (stop strings branch little); the root, where most text is
// spent, has a table. A node's failure link is the longest proper suffix of its string that is a node too.
struct StopMatcher::Automaton {
  struct Node {
    int32_t child = -1, sibling = -1, failure = 0;
    int32_t stop = -1;   // longest stop string that ends here
    uint32_t depth = 0;  // bytes
    unsigned char byte = 0;
  };
  std::vector<Node> nodes;
  std::vector<uint32_t> stop_bytes;
  std::array<int32_t, 256> from_root{};

  int32_t child_of(int32_t node, unsigned char byte) const {
    if (node == 0) return from_root[byte] == 0 ? -1 : from_root[byte];
    for (int32_t c = nodes[node].child; c != -1; c = nodes[c].sibling) {
      if (nodes[c].byte == byte) return c;
    }
    return -1;
  }

  int32_t step(int32_t node, unsigned char byte) const {
    for (;;) {
      const int32_t next = child_of(node, byte);
      if (next != -1) return next;
      if (node == 0) return 0;
      node = nodes[node].failure;
    }
  }

  void insert(std::string_view stop, int32_t index) {
    int32_t node = 0;
    for (const char c : stop) {
      const auto byte = static_cast<unsigned char>(c);
      int32_t next = child_of(node, byte);
      if (next == -1) {
        next = static_cast<int32_t>(nodes.size());
        nodes.push_back({.child = -1, .sibling = nodes[node].child, .depth = nodes[node].depth + 1, .byte = byte});
        nodes[node].child = next;
        if (node == 0) from_root[byte] = next;
      }
      node = next;
    }
    if (nodes[node].stop == -1) nodes[node].stop = index;
    stop_bytes.push_back(static_cast<uint32_t>(stop.size()));
  }

  // Breadth first: a failure link points to a shallower node, whose own is then known.
  void link() {
    std::vector<int32_t> queue = {0};
    for (size_t head = 0; head < queue.size(); ++head) {
      const int32_t parent = queue[head];
      for (int32_t c = nodes[parent].child; c != -1; c = nodes[c].sibling) {
        nodes[c].failure = parent == 0 ? 0 : step(nodes[parent].failure, nodes[c].byte);
        if (nodes[c].stop == -1) nodes[c].stop = nodes[nodes[c].failure].stop;
        queue.push_back(c);
      }
    }
  }
};

Result<StopMatcher> StopMatcher::create(std::span<const std::string> stops) {
  auto automaton = std::make_shared<Automaton>();
  automaton->nodes.emplace_back();
  for (size_t i = 0; i < stops.size(); ++i) {
    if (stops[i].empty()) {
      return fail("engine.bad_stop",
                  fmt::format("stop: needs strings of one character or more, found an empty one at {}", i),
                  "leave it out");
    }
    if (!is_utf8(stops[i])) {
      return fail("engine.bad_stop", fmt::format("stop: needs UTF-8 text, found other bytes in string {}", i));
    }
    automaton->insert(stops[i], static_cast<int32_t>(i));
  }
  automaton->link();
  return StopMatcher(std::move(automaton));
}

StopMatcher::Output StopMatcher::feed(std::string_view piece) {
  if (stopped_) return {{}, {}};
  buffer_.erase(0, n_emitted_);
  n_emitted_ = 0;
  const size_t n_before = buffer_.size();
  buffer_ += piece;
  for (size_t i = 0; i < piece.size(); ++i) {
    node_ = automaton_->step(node_, static_cast<unsigned char>(piece[i]));
    const int32_t stop = automaton_->nodes[node_].stop;
    if (stop == -1) continue;
    stopped_ = static_cast<size_t>(stop);
    buffer_.resize(n_before + i + 1 - automaton_->stop_bytes[stop]);
    n_emitted_ = buffer_.size();
    return {buffer_, stopped_};
  }
  const size_t held = std::max<size_t>(automaton_->nodes[node_].depth, unfinished_bytes(buffer_));
  n_emitted_ = buffer_.size() - held;
  return {std::string_view(buffer_).substr(0, n_emitted_), {}};
}

std::string_view StopMatcher::finish() {
  buffer_.erase(0, n_emitted_);
  n_emitted_ = buffer_.size();
  node_ = 0;
  return stopped_ ? std::string_view{} : std::string_view(buffer_);
}

void StopMatcher::reset() {
  node_ = 0;
  buffer_.clear();
  n_emitted_ = 0;
  stopped_.reset();
}

}  // namespace watra::engine
