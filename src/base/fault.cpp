#include "base/fault.h"

#include <condition_variable>
#include <mutex>
#include <string>

namespace watra::fault {
namespace {
std::mutex mutex;
std::string prefix, stalled;
uint64_t nth = 0, seen = 0;
bool has_fired = false, is_armed = false, is_stalled = false;
int n_waiting = 0;
std::condition_variable let_go;

void look() { internal::armed = is_armed || is_stalled; }
}  // namespace

namespace internal {
bool hit_slow(std::string_view point) {
  std::unique_lock lock(mutex);
  if (is_stalled && point.starts_with(stalled)) {
    ++n_waiting;
    let_go.wait(lock, [] { return !is_stalled; });
    --n_waiting;
  }
  if (!is_armed || !point.starts_with(prefix)) return false;
  if (seen++ != nth) return false;
  has_fired = true;
  return true;
}
}  // namespace internal

Arm::Arm(std::string_view p, uint64_t n) {
  std::lock_guard lock(mutex);
  prefix = p;
  nth = n;
  seen = 0;
  has_fired = false;
  is_armed = true;
  look();
}
Arm::~Arm() {
  std::lock_guard lock(mutex);
  is_armed = false;
  look();
}
bool Arm::fired() const {
  std::lock_guard lock(mutex);
  return has_fired;
}
uint64_t Arm::passages() const {
  std::lock_guard lock(mutex);
  return seen;
}

Stall::Stall(std::string_view p) {
  std::lock_guard lock(mutex);
  stalled = p;
  is_stalled = true;
  look();
}
Stall::~Stall() {
  {
    std::lock_guard lock(mutex);
    is_stalled = false;
    look();
  }
  let_go.notify_all();
}
int Stall::waiting() const {
  std::lock_guard lock(mutex);
  return n_waiting;
}

}  // namespace watra::fault
