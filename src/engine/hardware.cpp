#include "engine/hardware.h"

#include <algorithm>
#include <chrono>

#include "base/memory.h"

namespace watra::engine {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

// Sums 64-bit words in eight lanes: nothing but loads.
uint64_t read_all(const uint64_t* p, size_t n) {
  uint64_t lanes[8] = {};
  for (size_t i = 0; i + 8 <= n; i += 8)
    for (size_t j = 0; j < 8; ++j) lanes[j] += p[i + j];
  uint64_t sum = 0;
  for (uint64_t l : lanes) sum += l;
  return sum;
}

}  // namespace

Result<double> measure_read_gb_s(ThreadTeam& team, const MeasureOptions& options) {
  WATRA_ASSIGN(Buffer buffer, Buffer::allocate(nullptr, "bandwidth test", options.buffer_bytes));
  constexpr int64_t kChunk = 1 << 20;
  const auto n_chunks = static_cast<int64_t>(options.buffer_bytes / kChunk);
  team.parallel_for(n_chunks, 16, [&](int64_t b, int64_t e) {  // touched by those who read
    std::fill(buffer.data() + b * kChunk, buffer.data() + e * kChunk, std::byte{1});
  });
  std::atomic<uint64_t> sink{0};
  double best = 0;
  const auto begin = Clock::now();
  for (int round = 0; round < 3 || since(begin) < options.seconds; ++round) {
    const auto t = Clock::now();
    team.parallel_for(n_chunks, 4, [&](int64_t b, int64_t e) {
      sink.fetch_add(read_all(reinterpret_cast<const uint64_t*>(buffer.data() + b * kChunk),
                              static_cast<size_t>((e - b) * kChunk / 8)),
                     std::memory_order_relaxed);
    });
    best = std::max(best, static_cast<double>(options.buffer_bytes) / since(t) / 1e9);
  }
  return best;
}

double measure_int8_gop_s(ThreadTeam& team, const kernels::Kernels& kernels, double seconds) {
  double best = 0;
  const auto begin = Clock::now();
  for (int round = 0; round < 3 || since(begin) < seconds; ++round) {
    std::atomic<int64_t> done{0};
    const auto t = Clock::now();
    team.run([&](int) { done.fetch_add(kernels.int8_burst(200'000), std::memory_order_relaxed); });
    best = std::max(best, static_cast<double>(done.load()) / since(t) / 1e9);
  }
  return best;
}

}  // namespace watra::engine
