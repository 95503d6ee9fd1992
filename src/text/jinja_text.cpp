#include "text/jinja_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace watra::text::jinja {

namespace {
// What the interpreter may use of its thread's stack. Threads have 8 MiB on Linux; a third leaves room for the caller.
constexpr ptrdiff_t kMaxStackBytes = 2500 * 1024;
// Copying a kibibyte counts as one step, so that long texts cost steps as they cost time.
constexpr uint64_t kBytesPerStep = 1024;
constexpr uint64_t kMaxBufferBytes = 1u << 31;
}  // namespace

void refuse_type(std::string message) { throw Refusal{"template.type", std::move(message)}; }
void refuse_undefined(std::string message) { throw Refusal{"template.undefined", std::move(message)}; }
void refuse_limit(std::string message) { throw Refusal{"template.limit", std::move(message)}; }

void Meter::over_steps() const { refuse_limit(fmt::format("the template takes more than {} steps", max_steps)); }

void Meter::over_memory(uint64_t bytes) const {
  refuse_limit(fmt::format("the template needs {} more bytes with {} of {} in use", bytes, memory_, max_memory_bytes));
}

void Meter::check_stack() const {
  const char* here = static_cast<const char*>(__builtin_frame_address(0));
  if (stack_base_ != nullptr && stack_base_ - here > kMaxStackBytes) refuse_limit("the template nests too deeply");
}

// ---- Buffer ----

void Buffer::grow(uint64_t by) {
  const uint64_t needed = bytes_.size() + by;
  if (needed > kMaxBufferBytes) refuse_limit("a text of the template is longer than 2 GiB");
  if (meter_ == nullptr) return;
  meter_->tick(by / kBytesPerStep);
  if (needed > bytes_.capacity()) {
    const uint64_t capacity = std::max<uint64_t>(needed, 2 * bytes_.capacity());
    meter_->take(capacity - (bytes_.size() <= 15 ? 0 : bytes_.capacity()));
    bytes_.reserve(capacity);
  }
}

void Buffer::add_run(uint32_t end, bool content) {
  if (!runs_.empty() && runs_.back().content == content) {
    runs_.back().end = end;
    return;
  }
  if (meter_ != nullptr) meter_->take(sizeof(Run));
  runs_.push_back({end, content});
}

void Buffer::append(std::string_view bytes, bool content) {
  if (bytes.empty()) return;
  grow(bytes.size());
  if (ascii_) {
    unsigned char all = 0;
    for (char c : bytes) all |= static_cast<unsigned char>(c);
    ascii_ = all < 0x80;
  }
  bytes_.append(bytes);
  add_run(static_cast<uint32_t>(bytes_.size()), content);
}

void Buffer::append(const Str& text) {
  if (text.empty()) return;
  grow(text.size_bytes());  // before any view is taken: text may lie in this very buffer
  const Buffer& from = *text.buffer;
  const uint32_t text_begin = text.begin, text_end = text.end;
  size_t run = static_cast<size_t>(from.run_at(text_begin) - from.runs_.begin());
  for (uint32_t at = text_begin; at < text_end; ++run) {
    const Run r = from.runs_[run];
    const uint32_t stop = std::min(r.end, text_end);
    append(std::string_view(from.bytes_).substr(at, stop - at), r.content);
    at = stop;
  }
}

void Buffer::append_char(char32_t c, bool content) {
  std::string bytes;
  encode_utf8(bytes, c);
  append(bytes, content);
}

void Buffer::fill(std::string_view bytes, uint64_t times, bool content) {
  if (bytes.empty() || times == 0) return;
  if (times > kMaxBufferBytes / bytes.size()) refuse_limit("a text of the template is longer than 2 GiB");
  append(bytes, content);
  grow(bytes.size() * (times - 1));
  if (bytes.size() == 1) {
    bytes_.append(times - 1, bytes[0]);
  } else {
    for (uint64_t i = 1; i < times; ++i) bytes_.append(bytes);
  }
  add_run(static_cast<uint32_t>(bytes_.size()), content);
}

void Buffer::mark_all(bool content) {
  if (!bytes_.empty()) runs_.assign(1, {static_cast<uint32_t>(bytes_.size()), content});
}

std::vector<Run>::const_iterator Buffer::run_at(uint32_t byte) const {
  return std::upper_bound(runs_.begin(), runs_.end(), byte, [](uint32_t b, const Run& r) { return b < r.end; });
}

// ---- Str ----

uint64_t Str::length() const { return is_ascii() ? size_bytes() : count_chars(view()); }

bool Str::has_content() const {
  if (empty()) return false;
  for (auto run = buffer->run_at(begin);; ++run) {
    if (run->content) return true;
    if (run->end >= end) return false;
  }
}

bool Str::content_at(size_t byte) const { return buffer->run_at(begin + static_cast<uint32_t>(byte))->content; }

size_t Str::byte_of(uint64_t index) const {
  if (is_ascii()) return index;
  const std::string_view text = view();
  size_t pos = 0;
  for (; index > 0 && pos < text.size(); --index) decode_utf8(text, pos);
  return pos;
}

// ---- UTF-8 ----

char32_t decode_utf8(std::string_view text, size_t& pos) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(pos);
  const auto invalid = [&] {
    ++pos;
    return static_cast<char32_t>(0xDC00 + lead);
  };
  if (lead < 0x80) {
    ++pos;
    return lead;
  }
  const int extra = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC2 || lead > 0xF4 || static_cast<size_t>(extra) >= text.size() - pos) return invalid();
  char32_t c = lead & (0x3F >> extra);
  for (int i = 1; i <= extra; ++i) {
    if ((byte(pos + i) & 0xC0) != 0x80) return invalid();
    c = (c << 6) | (byte(pos + i) & 0x3F);
  }
  static constexpr char32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  if (c < kLeast[extra] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return invalid();
  pos += extra + 1;
  return c;
}

void encode_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c >= 0xDC80 && c < 0xDD00) {  // a byte that was no UTF-8
    out += static_cast<char>(c - 0xDC00);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

bool is_valid_utf8(std::string_view text) {
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = decode_utf8(text, pos);
    if (c >= 0xD800 && c < 0xE000) return false;
  }
  return true;
}

uint64_t count_chars(std::string_view text) {
  uint64_t n = 0;
  for (size_t pos = 0; pos < text.size(); ++n) decode_utf8(text, pos);
  return n;
}

}  // namespace watra::text::jinja
