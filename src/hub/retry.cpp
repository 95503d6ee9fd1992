#include "hub/retry.h"

#include <algorithm>
#include <thread>

#include "base/log.h"
#include "hub/http.h"

namespace watra::hub {

bool Retry::again(const Error& error, int retry_after_s) {
  const bool limited = error.code == "hub.rate_limited";
  if (!limited && !is_transient(error)) return false;
  if (retry_after_s > settings_.longest_retry_after_s) return false;
  if (++failures_ >= settings_.max_failures) return false;
  auto wait = settings_.first_wait * (1 << std::min(failures_ - 1, 16));
  if (fresh_ && !limited) wait = std::chrono::milliseconds(0);
  wait = std::min<std::chrono::milliseconds>(wait, settings_.longest_wait);
  if (retry_after_s >= 0) wait = std::chrono::seconds(retry_after_s);
  fresh_ = false;
  log::info("{}; trying again in {} ms", error.message, wait.count());
  const auto until = std::chrono::steady_clock::now() + wait;
  for (;;) {
    if (cancelled_ && cancelled_()) return false;
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= std::chrono::seconds(0)) return true;
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(left, std::chrono::milliseconds(50)));
  }
}

}  // namespace watra::hub
