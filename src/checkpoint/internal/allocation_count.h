// For tests: how many bytes this program has allocated so far, so that a test can say how much a refusal cost.
#pragma once

#include <atomic>
#include <cstdint>

namespace watra::checkpoint::test {

extern std::atomic<uint64_t> allocated_bytes;

}  // namespace watra::checkpoint::test
