#include "base/random_letters.h"

#include <mutex>
#include <random>
#include <string_view>

namespace watra {

std::string random_letters(size_t n) {
  constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyz";
  static std::mutex mutex;
  static std::random_device random;
  const std::lock_guard lock(mutex);
  std::uniform_int_distribution<size_t> letter(0, kLetters.size() - 1);
  std::string out;
  for (size_t i = 0; i < n; ++i) out += kLetters[letter(random)];
  return out;
}

}  // namespace watra
