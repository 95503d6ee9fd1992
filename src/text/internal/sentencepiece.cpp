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

namespace {

void append_replaced(std::string_view text, std::string_view from, std::string_view to, std::string& out) {
  for (size_t at = 0; at < text.size();) {
    const size_t next = std::min(text.find(from, at), text.size());
    out.append(text, at, next - at);
    if (next < text.size()) out += to;
    at = next + from.size();
  }
}

}  // namespace

std::string escape_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  append_replaced(text, " ", kSpacePiece, out);
  return out;
}
void append_unescaped(std::string_view piece, std::string& out) { append_replaced(piece, kSpacePiece, " ", out); }

}  // namespace watra::text
