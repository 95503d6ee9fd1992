#include "server/ids.h"

#include <openssl/rand.h>

#include <vector>

namespace watra::server {

std::string random_letters(size_t n) {
  constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::vector<unsigned char> random(n);
  RAND_bytes(random.data(), static_cast<int>(n));
  std::string out;
  for (const unsigned char b : random) out += kLetters[b % kLetters.size()];
  return out;
}

std::string make_id(std::string_view prefix) { return std::string(prefix) + random_letters(24); }

}  // namespace watra::server
