#include "peaks.h"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <tuple>

#include "engine/hardware.h"

namespace watra::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kFreshSeconds = 10;
constexpr int kBurst = 200000;
// Enough independent sums to hide an FMA's latency (4 cycles, two a cycle) without leaving the registers.
constexpr int kSums = 10;

// The sums shrink towards a constant, so that they neither overflow nor become subnormal.
__attribute__((target("avx512f"))) double fma_avx512() {
  __m512 sums[kSums];
#pragma GCC unroll 16
  for (int i = 0; i < kSums; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(1.0f);
  for (int n = 0; n < kBurst; ++n)
#pragma GCC unroll 16
    for (auto& s : sums) s = _mm512_fmadd_ps(s, a, b);
#pragma GCC unroll 16
  for (auto& s : sums) asm volatile("" ::"v"(s));
  return 2.0 * 16 * kSums * kBurst;
}

__attribute__((target("avx2,fma"))) double fma_avx2() {
  __m256 sums[kSums];
#pragma GCC unroll 16
  for (int i = 0; i < kSums; ++i) sums[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(1.0f);
  for (int n = 0; n < kBurst; ++n)
#pragma GCC unroll 16
    for (auto& s : sums) s = _mm256_fmadd_ps(s, a, b);
#pragma GCC unroll 16
  for (auto& s : sums) asm volatile("" ::"x"(s));
  return 2.0 * 8 * kSums * kBurst;
}

double fma_gflop_s(ThreadTeam& threads) {
  const auto burst = __builtin_cpu_supports("avx512f") ? fma_avx512 : fma_avx2;
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    std::atomic<int64_t> done{0};
    const auto t = Clock::now();
    threads.run([&](int) { done += static_cast<int64_t>(burst()); });
    const double seconds = std::chrono::duration<double>(Clock::now() - t).count();
    best = std::max(best, 1e-9 * static_cast<double>(done) / seconds);
  }
  return best;
}

}  // namespace

ThreadTeam& team(int n_threads) {
  static std::map<int, std::unique_ptr<ThreadTeam>> teams;
  auto& t = teams[n_threads];
  if (!t) t = std::make_unique<ThreadTeam>(n_threads);
  return *t;
}

const Peaks& peaks(int n_threads, const kernels::Kernels& kernels) {
  static std::map<std::pair<int, const kernels::Kernels*>, std::pair<Clock::time_point, Peaks>> measured;
  auto [it, is_new] = measured.try_emplace({n_threads, &kernels});
  auto& [at, p] = it->second;
  if (!is_new && std::chrono::duration<double>(Clock::now() - at).count() < kFreshSeconds) return p;
  ThreadTeam& threads = team(n_threads);
  p = {.read_gb_s = engine::measure_read_gb_s(threads, {.seconds = 0.1}).value(),
       .int8_gmac_s = engine::measure_int8_gop_s(threads, kernels, 0.05) / 2,
       .fp32_fma_gflop_s = fma_gflop_s(threads)};
  at = Clock::now();
  return p;
}

}  // namespace watra::bench
