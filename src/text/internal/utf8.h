// UTF-8, as the tokenizers need it: decoding text that is known to be valid, and making it valid.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace watra::text {

// Length of the character that starts with `lead`, for valid UTF-8.
inline size_t utf8_length(char lead) {
  const auto b = static_cast<unsigned char>(lead);
  return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}

// Decodes the character at `p` of valid UTF-8 and moves past it.
inline char32_t utf8_next(const char*& p) {
  const auto* s = reinterpret_cast<const unsigned char*>(p);
  const unsigned char lead = s[0];
  if (lead < 0x80) {
    p += 1;
    return lead;
  }
  if (lead < 0xE0) {
    p += 2;
    return static_cast<char32_t>((lead & 0x1F) << 6 | (s[1] & 0x3F));
  }
  if (lead < 0xF0) {
    p += 3;
    return static_cast<char32_t>((lead & 0x0F) << 12 | (s[1] & 0x3F) << 6 | (s[2] & 0x3F));
  }
  p += 4;
  return static_cast<char32_t>((lead & 0x07) << 18 | (s[1] & 0x3F) << 12 | (s[2] & 0x3F) << 6 | (s[3] & 0x3F));
}

// Steps back to the start of the character that ends at `p`.
inline const char* utf8_previous(const char* p) {
  do --p;
  while ((static_cast<unsigned char>(*p) & 0xC0) == 0x80);
  return p;
}

void utf8_append(std::string& out, char32_t code_point);

// What stands at the start of `bytes` (not empty): a whole character, a beginning that more bytes may complete, or
// bytes that no continuation can make a character (the maximal subpart, which becomes one U+FFFD: the practice of the
// Unicode Standard, of Python's errors="replace" and of browsers).
enum class Utf8Status { complete, incomplete, invalid };
struct Utf8Prefix {
  Utf8Status status;
  size_t length;
};
Utf8Prefix utf8_prefix(std::string_view bytes);

bool utf8_is_valid(std::string_view bytes);
// Every maximal subpart of invalid bytes becomes one U+FFFD.
std::string utf8_replace_invalid(std::string_view bytes);

}  // namespace watra::text
