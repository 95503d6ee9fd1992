// Counts what the tests allocate. In a file of its own, so that no allocation is inlined with its replacement.
#include "checkpoint/internal/allocation_count.h"

#include <cstdlib>
#include <new>

namespace watra::checkpoint::test {
std::atomic<uint64_t> allocated_bytes{0};
}

void* operator new(size_t n, const std::nothrow_t&) noexcept {
  watra::checkpoint::test::allocated_bytes.fetch_add(n, std::memory_order_relaxed);
  return std::malloc(n ? n : 1);
}
void* operator new(size_t n) {
  if (void* p = operator new(n, std::nothrow)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
