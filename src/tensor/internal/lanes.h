// Four floats at a time, in the compiler's own vector type: the searches below run on every machine's baseline
// instructions and add in the same order everywhere, so that the same weights give the same file on each of them.
#pragma once

#include <algorithm>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace watra::tensor::internal {

using F4 = float __attribute__((vector_size(16)));

inline F4 load(const float* p) {
  F4 v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

inline void store(F4 v, float* p) { __builtin_memcpy(p, &v, sizeof v); }
inline F4 splat(float v) { return F4{v, v, v, v}; }
inline float sum(F4 v) { return (v[0] + v[2]) + (v[1] + v[3]); }
inline float largest(F4 v) { return std::max(std::max(v[0], v[1]), std::max(v[2], v[3])); }
inline float smallest(F4 v) { return std::min(std::min(v[0], v[1]), std::min(v[2], v[3])); }

// Of numbers, never of NaN.
#if defined(__SSE2__)
inline F4 larger(F4 a, F4 b) { return _mm_max_ps(a, b); }
inline F4 smaller(F4 a, F4 b) { return _mm_min_ps(a, b); }
#else
inline F4 larger(F4 a, F4 b) { return a > b ? a : b; }
inline F4 smaller(F4 a, F4 b) { return a < b ? a : b; }
#endif

inline F4 clamp(F4 v, float low, float high) { return smaller(larger(v, splat(low)), splat(high)); }

// To the nearest integer, ties to even, for |v| < 2^22: adding 1.5 * 2^23 leaves no room for a fraction.
inline F4 round_even(F4 v) {
  const F4 shift = splat(0x1.8p23f);
  return (v + shift) - shift;
}

}  // namespace watra::tensor::internal
