#include "server/reasoning.h"

#include <algorithm>
#include <utility>

namespace watra::server {
namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>", kSpace = " \t\r\n";
// Between what was thought and what is said.
constexpr const char* kBetween = "\n</think>\n\n";

// Bytes at the end of `text` that may be the beginning of `marker`.
size_t half_marker(std::string_view text, std::string_view marker) {
  for (size_t n = std::min(text.size(), marker.size() - 1); n > 0; --n)
    if (text.ends_with(marker.substr(0, n))) return n;
  return 0;
}

}  // namespace

ReasoningSplitter::Parts ReasoningSplitter::feed(std::string_view text) {
  Parts parts;
  if (state_ == State::content) {
    parts.content = text;
    return parts;
  }
  held_ += text;
  if (!held_.empty() && std::exchange(opened_before_, false)) parts.block = kOpen;
  if (state_ == State::start) {
    const size_t begin = held_.find_first_not_of(kSpace);
    const std::string_view rest = begin == std::string::npos ? "" : std::string_view(held_).substr(begin);
    if (rest.starts_with(kOpen)) {
      parts.block = held_.substr(0, begin + kOpen.size());
      held_ = rest.substr(kOpen.size());
      state_ = State::inside;
    } else if (!kOpen.starts_with(rest)) {
      state_ = State::content;
    }
  }
  if (state_ == State::inside) {
    if (const size_t end = held_.find(kClose); end != std::string::npos) {
      parts.reasoning = held_.substr(0, end);
      parts.block += held_.substr(0, end + kClose.size());
      held_ = held_.substr(end + kClose.size());
      state_ = State::after;
    } else {
      const size_t sure = held_.size() - half_marker(held_, kClose);
      parts.reasoning = held_.substr(0, sure);
      parts.block += parts.reasoning;
      held_.erase(0, sure);
    }
  }
  if (state_ == State::after) {  // the empty lines between belong to neither
    const size_t n_space = std::min(held_.find_first_not_of(kSpace), held_.size());
    parts.block += held_.substr(0, n_space);
    held_.erase(0, n_space);
    if (!held_.empty()) state_ = State::content;
  }
  if (state_ == State::content) parts.content = std::exchange(held_, {});
  return parts;
}

ReasoningSplitter::Parts ReasoningSplitter::finish() {
  Parts parts;
  if (state_ == State::inside)
    parts.block = parts.reasoning = std::exchange(held_, {});
  else if (state_ != State::after)
    parts.content = std::exchange(held_, {});
  return parts;
}

bool ends_in_reasoning(std::string_view prompt) {
  const size_t open = prompt.rfind(kOpen);
  return open != std::string_view::npos && prompt.find(kClose, open) == std::string_view::npos;
}

std::string without_opening(std::string& begun) {
  if (!begun.starts_with(kOpen)) return kBetween;
  begun.erase(0, kOpen.size());
  begun.erase(0, std::min(begun.find_first_not_of(kSpace), begun.size()));  // the template wrote its own
  return {};
}

std::string with_thoughts(const std::string& thoughts, const std::string& words) {
  return "<think>\n" + thoughts + (words.empty() ? "" : kBetween + words);
}

bool ends_after_reasoning(std::string_view prompt) {
  const size_t last = prompt.find_last_not_of(kSpace);
  return last != std::string_view::npos && prompt.substr(0, last + 1).ends_with(kClose);
}

}  // namespace watra::server
