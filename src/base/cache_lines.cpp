#include "base/cache_lines.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#include <cstdint>
#endif

namespace watra {

#if defined(__x86_64__)

namespace {

constexpr uintptr_t kLine = 64;

bool has_clflushopt() {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 23 & 1);
}
bool is_virtual_machine() {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) && (c >> 31 & 1);
}
const bool can_evict = has_clflushopt();

__attribute__((target("clflushopt"))) void evict(const std::byte* from, const std::byte* to) {
  // Addresses, not pointers: the first line may begin before the bytes.
  for (auto line = reinterpret_cast<uintptr_t>(from) / kLine * kLine; line < reinterpret_cast<uintptr_t>(to);
       line += kLine)
    _mm_clflushopt(reinterpret_cast<void*>(line));
  _mm_sfence();  // done before a read into them is submitted
}

}  // namespace

bool disks_write_through_caches() {
  static const bool yes = can_evict && is_virtual_machine();
  return yes;
}

void evict_from_caches(std::span<const std::byte> bytes) {
  if (can_evict && !bytes.empty()) evict(bytes.data(), bytes.data() + bytes.size());
}

#else

bool disks_write_through_caches() { return false; }
void evict_from_caches(std::span<const std::byte>) {}

#endif

}  // namespace watra
