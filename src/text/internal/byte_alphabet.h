// The alphabet in which byte-level vocabularies spell bytes: printable Latin-1 bytes stand for themselves, the other 68
// for U+0100 onwards (GPT-2's bytes_to_unicode).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace watra::text {

class ByteAlphabet {
 public:
  static const ByteAlphabet& get();

  char32_t character(unsigned char byte) const { return characters_[byte]; }
  // The bytes that `piece` spells, or nullopt if it has a character outside the alphabet or is not UTF-8.
  std::optional<std::string> bytes(std::string_view piece) const;

 private:
  ByteAlphabet();
  std::array<char32_t, 256> characters_;
  std::array<int16_t, 0x144> bytes_;  // by character, -1 = none
};

}  // namespace watra::text
