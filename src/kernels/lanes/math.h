// exp, tanh, erfc on eight lanes (see f8_portable.h for how these files are compiled). Errors against the exact value,
// found by the op test over the whole range: exp < 2 ulp, tanh < 3 ulp, erfc < 16 ulp up to where it becomes subnormal.
// Polynomials: least-maximum-error fits (Lawson's iteration) rounded to float. Tails of arrays go through the same
// code.
#pragma once

#include <cstdint>

#include WATRA_KERNELS_F8

namespace watra::kernels::WATRA_KERNELS_ISA {

// Up to 7 trailing elements; what is beyond reads as `fill`.
inline F8 load_tail(const float* p, int64_t n, float fill = 0.0f) {
  float buffer[8];
  for (int i = 0; i < 8; ++i) buffer[i] = i < n ? p[i] : fill;
  return load(buffer);
}
inline void store_tail(float* p, F8 v, int64_t n) {
  float buffer[8];
  store(buffer, v);
  for (int i = 0; i < n; ++i) p[i] = buffer[i];
}

// e^x = 2^n e^r, |r| <= ln 2 / 2, e^r = 1 + r + r^2 P(r). Below -87.33 the answer is 0, above 88.37 infinity; NaN
// stays.
inline F8 exp(F8 x) {
  const F8 magic = set(0x1.8p23f);  // adding it leaves round(v) in the low bits
  const F8 clamped = min(set(89.0f), max(set(-88.0f), x));
  const F8 shifted = fma(clamped, set(1.44269504f), magic);
  const F8 n = shifted - magic;
  const F8 r = fma(n, set(-1.42860677e-6f), fma(n, set(-0.693145752f), clamped));  // ln 2 in two parts
  F8 p = set(0.0013814539f);
  p = fma(p, r, set(0.008368745f));
  p = fma(p, r, set(0.04166839f));
  p = fma(p, r, set(0.16666521f));
  p = fma(p, r, set(0.49999994f));
  p = fma(p * r, r, r) + set(1.0f);
  const F8 power = from_bits(shift_left<23>(bits(shifted)) + set_bits(0x3f800000));  // the magic's own bits fall out
  return where_greater(set(-87.33f), x, zero(), p * power);
}

inline F8 abs(F8 x) { return from_bits(bits(x) & set_bits(0x7fffffff)); }

inline F8 tanh(F8 x) {
  const F8 a = abs(x), t = x * x;
  F8 p = set(-0.005714686f);
  p = fma(p, t, set(0.020648573f));
  p = fma(p, t, set(-0.05374291f));
  p = fma(p, t, set(0.13331485f));
  p = fma(p, t, set(-0.33333284f));
  const F8 small = fma(p * t, x, x);
  const F8 large = set(1.0f) - set(2.0f) / (exp(a + a) + set(1.0f));
  const F8 sign = from_bits(bits(x) & set_bits(INT32_MIN));
  return where_greater(a, set(0.625f), from_bits(bits(large) | bits(sign)), small);
}

// erfc(z) for z >= 0: e^(-z^2) t P(t), t = 1 / (1 + 0.35 z).
inline F8 erfc_positive(F8 z) {
  const F8 t = set(1.0f) / fma(set(0.35f), z, set(1.0f));
  F8 p = set(0.03840108f);
  p = fma(p, t, set(-0.15892841f));
  p = fma(p, t, set(0.18146148f));
  p = fma(p, t, set(-0.027705962f));
  p = fma(p, t, set(0.08701898f));
  p = fma(p, t, set(0.1460421f));
  p = fma(p, t, set(0.15118621f));
  p = fma(p, t, set(0.18790239f));
  p = fma(p, t, set(0.19713835f));
  p = fma(p, t, set(0.19748378f));
  return exp(zero() - z * z) * (t * p);
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
