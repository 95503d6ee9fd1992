// How SentencePiece vocabularies spell spaces and bytes.
#pragma once

#include <string>
#include <string_view>

namespace watra::text {

inline constexpr std::string_view kSpacePiece = "\xE2\x96\x81";  // U+2581 stands for a space
inline constexpr char32_t kSpaceCharacter = 0x2581;

// The byte that "<0xAB>" stands for, or -1.
int parse_byte_piece(std::string_view piece);

// Spaces to U+2581, and back.
std::string escape_spaces(std::string_view text);
void append_unescaped(std::string_view piece, std::string& out);

}  // namespace watra::text
