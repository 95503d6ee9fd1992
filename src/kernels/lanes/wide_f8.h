// Wide: as many floats as a register of the ISA holds, for the products of float weights. Here: eight (F8).
#pragma once

#include "kernels/lanes/math.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

using Wide = F8;
inline constexpr int64_t kWide = 8;
inline constexpr int kDotTokens = 3;     // tokens of a tile: with four rows, as many sums as sixteen registers hold
inline constexpr int64_t kNearRows = 8;  // so many unpacked rows and a tile's activations fit the first-level cache

inline Wide wide_zero() { return zero(); }
inline Wide load_wide(const float* p) { return load(p); }
inline Wide load_wide_f16(const uint16_t* p) { return load_f16(p); }
inline Wide load_wide_bf16(const uint16_t* p) { return load_bf16(p); }
// The first n < kWide elements, then zeros.
inline Wide load_wide_tail(const float* p, int64_t n) { return load_tail(p, n); }
template <Wide (*kLoad)(const uint16_t*)>
inline Wide load_wide_half_tail(const uint16_t* p, int64_t n) {
  uint16_t buffer[kWide] = {};
  for (int i = 0; i < n; ++i) buffer[i] = p[i];
  return kLoad(buffer);
}
inline Wide load_wide_f16_tail(const uint16_t* p, int64_t n) { return load_wide_half_tail<load_wide_f16>(p, n); }
inline Wide load_wide_bf16_tail(const uint16_t* p, int64_t n) { return load_wide_half_tail<load_wide_bf16>(p, n); }

}  // namespace watra::kernels::WATRA_KERNELS_ISA
