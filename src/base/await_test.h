// Waiting in tests: for what must come about, not for a time in which it should have. For tests alone.
#pragma once

#include <chrono>
#include <thread>

namespace watra {

// After which what is waited for will never come, however busy the machine; no test's point is this number.
inline constexpr std::chrono::seconds kPatience{120};

// Whether condition() comes true.
template <class Condition>
bool comes_about(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace watra
