#include "home/ids.h"

#include <chrono>
#include <ctime>
#include <mutex>
#include <random>

namespace watra::home {

std::string make_id(std::string_view prefix) {
  constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyz";
  constexpr int kLength = 16;  // 82 bits: two never meet
  static std::mutex mutex;
  static std::random_device random;
  const std::lock_guard lock(mutex);
  std::uniform_int_distribution<size_t> letter(0, kLetters.size() - 1);
  std::string id(prefix);
  for (int i = 0; i < kLength; ++i) id += kLetters[letter(random)];
  return id;
}

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string local_zone() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  static std::mutex mutex;  // localtime's answer is shared
  const std::lock_guard lock(mutex);
  char text[8] = {};
  if (std::strftime(text, sizeof(text), "%z", std::localtime(&now)) != 5) return "+00:00";
  return std::string(text, 3) + ":" + std::string(text + 3, 2);
}

}  // namespace watra::home
