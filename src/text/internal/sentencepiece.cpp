#include "text/internal/sentencepiece.h"

#include <algorithm>
#include <charconv>

namespace watra::text {

int parse_byte_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  unsigned char value = 0;
  const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, value, 16);
  return error == std::errc() && end == piece.data() + 5 ? value : -1;
}

std::string unescape_spaces(std::string_view piece) {
  std::string out;
  for (size_t at = 0; at < piece.size();) {
    const size_t next = std::min(piece.find(kSpacePiece, at), piece.size());
    out.append(piece, at, next - at);
    if (next < piece.size()) out += ' ';
    at = next + kSpacePiece.size();
  }
  return out;
}

}  // namespace watra::text
