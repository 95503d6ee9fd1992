#include "checkpoint/internal/untrusted_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace watra::checkpoint {
namespace {

// Length of the valid UTF-8 character at the front of s, 0 when there is none (RFC 3629, section 4).
size_t utf8_length(std::string_view s) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(s[i]); };
  const auto is_tail = [&](size_t i) { return i < s.size() && (byte(i) & 0xC0) == 0x80; };
  const uint8_t b = byte(0);
  if (b < 0x80) return 1;
  if (b >= 0xC2 && b <= 0xDF) return is_tail(1) ? 2 : 0;
  if (b >= 0xE0 && b <= 0xEF) {
    if (!is_tail(1) || !is_tail(2)) return 0;
    if ((b == 0xE0 && byte(1) < 0xA0) || (b == 0xED && byte(1) > 0x9F)) return 0;
    return 3;
  }
  if (b >= 0xF0 && b <= 0xF4) {
    if (!is_tail(1) || !is_tail(2) || !is_tail(3)) return 0;
    if ((b == 0xF0 && byte(1) < 0x90) || (b == 0xF4 && byte(1) > 0x8F)) return 0;
    return 4;
  }
  return 0;
}

bool is_control(char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7F; }

}  // namespace

bool is_utf8(std::string_view s) {
  while (!s.empty()) {
    const size_t n = utf8_length(s);
    if (n == 0) return false;
    s.remove_prefix(n);
  }
  return true;
}

bool is_printable_name(std::string_view s) {
  return !s.empty() && std::none_of(s.begin(), s.end(), is_control) && is_utf8(s);
}

std::string shown(std::string_view s, size_t max) {
  std::string out = "'";
  while (!s.empty() && max > 0) {
    const size_t n = is_control(s[0]) ? 0 : utf8_length(s);
    if (n > max) break;
    if (n == 0) {
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(s[0]));
    } else {
      out += s.substr(0, n);
    }
    s.remove_prefix(n ? n : 1);
    max -= n ? n : 1;
  }
  return out + (s.empty() ? "'" : "...'");
}

}  // namespace watra::checkpoint
