#include "home/internal/base64.h"

#include <openssl/evp.h>

#include <algorithm>

namespace watra::home {
namespace {

// A whole number of groups, so that pieces can be set one behind the other; far below the int that OpenSSL counts in.
constexpr size_t kPieceBytes = size_t{3} << 20, kPieceLetters = size_t{4} << 20;

bool is_letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

}  // namespace

std::string base64_of(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // and the zero that OpenSSL sets behind
  size_t n = 0;
  for (size_t at = 0; at < bytes.size(); at += kPieceBytes) {
    const std::string_view piece = bytes.substr(at, kPieceBytes);
    n += static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data() + n),
                                             reinterpret_cast<const unsigned char*>(piece.data()),
                                             static_cast<int>(piece.size())));
  }
  out.resize(n);
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const size_t n_padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  if (!std::ranges::all_of(text.substr(0, text.size() - n_padding), is_letter)) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  size_t n = 0;
  for (size_t at = 0; at < text.size(); at += kPieceLetters) {
    const std::string_view piece = text.substr(at, kPieceLetters);
    const int got =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data() + n),
                        reinterpret_cast<const unsigned char*>(piece.data()), static_cast<int>(piece.size()));
    if (got < 0) return std::nullopt;
    n += static_cast<size_t>(got);
  }
  out.resize(n - n_padding);
  return out;
}

}  // namespace watra::home
