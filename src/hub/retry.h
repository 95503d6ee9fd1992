// Retry: how often and how long to wait before another try. One object per thing that is tried; not thread-safe.
#pragma once

#include <chrono>
#include <functional>

#include "base/result.h"

namespace watra::hub {

struct RetrySettings {
  int max_failures = 6;                                             // in a row, without a byte between them
  std::chrono::milliseconds first_wait{500}, longest_wait{10'000};  // doubled each time
  int longest_retry_after_s = 60;  // a server that asks for more is reported, not waited for
};

class Retry {
 public:
  Retry(const RetrySettings& settings, std::function<bool()> cancelled)
      : settings_(settings), cancelled_(std::move(cancelled)) {}

  // After a failure: waits and says true when another try makes sense. retry_after_s: what the server asked for, -1
  // nothing.
  bool again(const Error& error, int retry_after_s = -1);
  // Something came: the count begins anew, and the next failure is tried again at once.
  void progressed() { failures_ = 0, fresh_ = true; }

 private:
  const RetrySettings settings_;
  const std::function<bool()> cancelled_;
  int failures_ = 0;
  bool fresh_ = false;
};

}  // namespace watra::hub
