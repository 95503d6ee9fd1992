#include "base/fault.h"

#include <mutex>
#include <string>

namespace watra::fault {
namespace {
std::mutex mutex;
std::string prefix;
uint64_t nth = 0, seen = 0;
bool has_fired = false;
}  // namespace

namespace internal {
bool hit_slow(std::string_view point) {
  std::lock_guard lock(mutex);
  if (!point.starts_with(prefix)) return false;
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
  internal::armed = true;
}
Arm::~Arm() { internal::armed = false; }
bool Arm::fired() const {
  std::lock_guard lock(mutex);
  return has_fired;
}
uint64_t Arm::passages() const {
  std::lock_guard lock(mutex);
  return seen;
}

}  // namespace watra::fault
