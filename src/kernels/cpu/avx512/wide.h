// Wide in 512 bits: sixteen floats. AVX-512 F, BW and VL. Meanings: lanes/wide_f8.h.
#pragma once

#include "kernels/lanes/math.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

struct Wide {
  __m512 v;
};
inline constexpr int64_t kWide = 16;
inline constexpr int kDotTokens = 6;      // 24 sums, four weights, an activation
inline constexpr int64_t kNearRows = 64;  // the second-level cache is fast enough for a tile of this size

inline Wide wide_zero() { return {_mm512_setzero_ps()}; }
inline Wide load_wide(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store(float* p, Wide v) { _mm512_storeu_ps(p, v.v); }
inline Wide fma(Wide a, Wide b, Wide c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }

inline Wide wide_of_f16(__m256i halves) { return {_mm512_cvtph_ps(halves)}; }
inline Wide wide_of_bf16(__m256i halves) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
}
inline __m256i load_sixteen(const uint16_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
inline Wide load_wide_f16(const uint16_t* p) { return wide_of_f16(load_sixteen(p)); }
inline Wide load_wide_bf16(const uint16_t* p) { return wide_of_bf16(load_sixteen(p)); }
inline Wide load_wide_tail(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
inline Wide load_wide_f16_tail(const uint16_t* p, int64_t n) {
  return wide_of_f16(_mm256_maskz_loadu_epi16(first_lanes(n), p));
}
inline Wide load_wide_bf16_tail(const uint16_t* p, int64_t n) {
  return wide_of_bf16(_mm256_maskz_loadu_epi16(first_lanes(n), p));
}

// Halves first, then as eight lanes are folded.
inline F8 folded_once(Wide v) { return {_mm256_add_ps(_mm512_castps512_ps256(v.v), _mm512_extractf32x8_ps(v.v, 1))}; }
inline float fold_sum(Wide v) { return fold_sum(folded_once(v)); }
inline void fold_sum4(const Wide* v, float* out) {
  const F8 halves[4] = {folded_once(v[0]), folded_once(v[1]), folded_once(v[2]), folded_once(v[3])};
  fold_sum4(halves, out);
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
