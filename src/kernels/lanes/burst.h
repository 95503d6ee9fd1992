// As many multiply-adds of floats as the ISA can do: for the measured peak.
#pragma once

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

}  // namespace watra::kernels::WATRA_KERNELS_ISA
