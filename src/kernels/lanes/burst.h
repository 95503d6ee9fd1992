// As many multiply-adds of floats as the ISA can do: for the measured peak.
#pragma once

#include <cstddef>
#include <cstdint>

#include WATRA_KERNELS_F8

namespace watra::kernels::WATRA_KERNELS_ISA {

inline int64_t fma_burst(int64_t iterations) {
  constexpr int kChains = 12;
  F8 sums[kChains];
  volatile float half = 0.5f;  // so that nothing is known beforehand
  const F8 a = set(half), b = set(half);
  for (int i = 0; i < kChains; ++i) sums[i] = set(static_cast<float>(i));
  for (int64_t n = 0; n < iterations; ++n)
    for (int i = 0; i < kChains; ++i) sums[i] = fma(sums[i], a, b);
  F8 total = zero();
  for (int i = 0; i < kChains; ++i) total = total + sums[i];
  half = fold_sum(total);
  return iterations * kChains * 8;
}

// Reads whole lines and does nothing else; they are fetched before as the products do it. bytes % 256 == 0.
inline uint64_t read_burst(const std::byte* from, int64_t bytes, const FetchAhead& fetch) {
  I8 seen[4] = {set_bits(0), set_bits(0), set_bits(0), set_bits(0)};
  for (int64_t at = 0; at < bytes; at += 256) {
    const auto* p = reinterpret_cast<const float*>(from + at);
    for (int64_t line = 0; line < 256; line += 64) {
      if (fetch.far) __builtin_prefetch(from + at + fetch.far + line, 0, 2);
      if (fetch.near) __builtin_prefetch(from + at + fetch.near + line);
    }
    for (int i = 0; i < 8; ++i) seen[i % 4] = seen[i % 4] | bits(load(p + 8 * i));
  }
  float all[8];
  store(all, from_bits((seen[0] | seen[1]) | (seen[2] | seen[3])));
  uint64_t any = 0;
  for (float f : all) any |= static_cast<uint64_t>(f != 0.0f);
  return any;
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
