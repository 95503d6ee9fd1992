#include "home/ids.h"

#include <chrono>
#include <ctime>
#include <mutex>

#include "base/random_letters.h"

namespace watra::home {

std::string make_id(std::string_view prefix) {
  constexpr size_t kLength = 16;  // 82 bits: two never meet
  return std::string(prefix) + random_letters(kLength);
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
