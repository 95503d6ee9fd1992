#include "engine/allocation_count_test.h"

#include <atomic>
#include <cstdlib>
#include <new>

// A file of its own: inlined next to a new-expression, these would look mismatched to the compiler.
namespace {
std::atomic<long> n_allocations{0};
}

void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  n_allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(bytes == 0 ? 1 : bytes);
}
void* operator new(size_t bytes) {
  if (void* p = ::operator new(bytes, std::nothrow)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace watra::engine {
long allocation_count() { return n_allocations.load(); }
}  // namespace watra::engine
