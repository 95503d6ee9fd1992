// Fault points: named places where a test can make the Nth passage fail, so that every error path is walked, or hold up
// every passage, as a disk does that hangs.
//
// Off (the normal state) one relaxed load per passage. Only tests arm them. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace watra::fault {

namespace internal {
inline std::atomic<bool> armed{false};
bool hit_slow(std::string_view point);
}  // namespace internal

// True when this passage is to fail.
inline bool hit(std::string_view point) {
  return internal::armed.load(std::memory_order_relaxed) && internal::hit_slow(point);
}

// Fails the `nth` passage (0-based) of any point whose name begins with `prefix`, once, while the object lives.
class Arm {
 public:
  Arm(std::string_view prefix, uint64_t nth);
  ~Arm();
  Arm(const Arm&) = delete;
  Arm& operator=(const Arm&) = delete;
  bool fired() const;         // the passage was reached and failed
  uint64_t passages() const;  // passages of matching points so far
};

// Holds up every passage of any point whose name begins with `prefix` while the object lives.
class Stall {
 public:
  explicit Stall(std::string_view prefix);
  ~Stall();
  Stall(const Stall&) = delete;
  int waiting() const;  // passages held up now
};

}  // namespace watra::fault
