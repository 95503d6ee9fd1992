#include "text/internal/byte_alphabet.h"

#include "text/internal/utf8.h"

namespace watra::text {

const ByteAlphabet& ByteAlphabet::get() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

ByteAlphabet::ByteAlphabet() {
  bytes_.fill(-1);
  char32_t next = 0x100;
  for (int b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    const char32_t c = printable ? static_cast<char32_t>(b) : next++;
    characters_[static_cast<size_t>(b)] = c;
    bytes_[c] = static_cast<int16_t>(b);
  }
}

std::optional<std::string> ByteAlphabet::bytes(std::string_view piece) const {
  if (!utf8_is_valid(piece)) return std::nullopt;
  std::string out;
  for (const char *p = piece.data(), *const end = p + piece.size(); p < end;) {
    const char32_t c = utf8_next(p);
    if (c >= bytes_.size() || bytes_[c] < 0) return std::nullopt;
    out += static_cast<char>(bytes_[c]);
  }
  return out;
}

}  // namespace watra::text
