// Norms, rotations, gates and sums: one row each, eight lanes at a time, tails through the same code.
#pragma once

#include "kernels/lanes/math.h"
#include "kernels/ops.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

// fn(i, io) for i = 0, 8, ... below n: io loads and stores eight floats, of the last ones as many as there are.
struct Lanes {
  F8 load(const float* p) const { return WATRA_KERNELS_ISA::load(p); }
  void store(float* p, F8 v) const { WATRA_KERNELS_ISA::store(p, v); }
};
struct TailLanes {
  int64_t n;
  F8 load(const float* p) const { return load_tail(p, n); }
  void store(float* p, F8 v) const { store_tail(p, v, n); }
};
template <class Fn>
void in_lanes(int64_t n, Fn&& fn) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) fn(i, Lanes{});
  if (i < n) fn(i, TailLanes{n - i});
}

// 1 / sqrt(mean of squares + eps). Order: lane i mod 16 sums its squares left to right; the two halves, then fold_sum.
inline float inverse_rms(const float* x, int64_t d, float eps) {
  F8 a = zero(), b = zero();
  int64_t i = 0;
  for (; i + 16 <= d; i += 16) {
    const F8 u = load(x + i), v = load(x + i + 8);
    a = fma(u, u, a);
    b = fma(v, v, b);
  }
  if (i < d) {
    const F8 u = load_tail(x + i, d - i), v = load_tail(x + i + 8, d - i - 8);
    a = fma(u, u, a);
    b = fma(v, v, b);
  }
  return 1.0f / __builtin_sqrtf(fold_sum(a + b) / static_cast<float>(d) + eps);
}

inline void rms_norm(const float* x, const float* weight, float* y, int64_t d, float eps) {
  const F8 inverse = set(inverse_rms(x, d, eps));
  if (weight)
    in_lanes(d, [&](int64_t j, auto io) { io.store(y + j, io.load(x + j) * inverse * io.load(weight + j)); });
  else
    in_lanes(d, [&](int64_t j, auto io) { io.store(y + j, io.load(x + j) * inverse); });
}

// The mean is taken off first, so that the variance is a sum of squares without cancellation.
inline void layer_norm(const float* x, const float* weight, const float* bias, float* y, int64_t d, float eps) {
  F8 sum = zero();
  in_lanes(d, [&](int64_t j, auto io) { sum = sum + io.load(x + j); });
  const F8 mean = set(fold_sum(sum) / static_cast<float>(d));
  in_lanes(d, [&](int64_t j, auto io) { io.store(y + j, io.load(x + j) - mean); });
  const F8 inverse = set(inverse_rms(y, d, eps));
  in_lanes(d, [&](int64_t j, auto io) {
    io.store(y + j, fma(io.load(y + j) * inverse, io.load(weight + j), io.load(bias + j)));
  });
}

inline void rope(float* x, int64_t n_heads, int64_t d_head, int64_t n_rot, RopeStyle style, const float* cos,
                 const float* sin) {
  const int64_t half = n_rot / 2;
  for (int64_t h = 0; h < n_heads; ++h, x += d_head) {
    if (style == RopeStyle::halves) {
      in_lanes(half, [&](int64_t i, auto io) {
        const F8 u = io.load(x + i), v = io.load(x + half + i), c = io.load(cos + i), s = io.load(sin + i);
        io.store(x + i, u * c - v * s);
        io.store(x + half + i, u * s + v * c);
      });
    } else {
      int64_t i = 0;
      for (; i + 4 <= half; i += 4) store(x + 2 * i, rotate_pairs(load(x + 2 * i), cos + i, sin + i));
      if (i == half) continue;
      float c[4] = {}, s[4] = {};
      for (int64_t j = i; j < half; ++j) c[j - i] = cos[j], s[j - i] = sin[j];
      store_tail(x + 2 * i, rotate_pairs(load_tail(x + 2 * i, n_rot - 2 * i), c, s), n_rot - 2 * i);
    }
  }
}

inline F8 silu(F8 x) { return x / (set(1.0f) + exp(zero() - x)); }
// x (1 + tanh u) / 2 = x / (1 + e^(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3)
inline F8 gelu_tanh(F8 x) {
  const F8 u2 = x * fma(x * x, set(-0.0713548163f), set(-1.59576912f));
  return x / (set(1.0f) + exp(u2));
}
// x * (1 + erf(x / sqrt 2)) / 2, without cancellation on the negative side
inline F8 gelu_erf(F8 x) {
  const F8 h = set(0.5f) * erfc_positive(abs(x) * set(0.707106781f));
  return x * where_greater(zero(), x, h, set(1.0f) - h);
}

template <class Fn>
void glu_with(const float* gate, const float* up, float* y, int64_t n, Fn activation) {
  if (up)
    in_lanes(n, [&](int64_t i, auto io) { io.store(y + i, activation(io.load(gate + i)) * io.load(up + i)); });
  else
    in_lanes(n, [&](int64_t i, auto io) { io.store(y + i, activation(io.load(gate + i))); });
}
inline void glu(GluKind kind, const float* gate, const float* up, float* y, int64_t n) {
  switch (kind) {
    case GluKind::silu:
      return glu_with(gate, up, y, n, [](F8 v) { return silu(v); });
    case GluKind::gelu_tanh:
      return glu_with(gate, up, y, n, [](F8 v) { return gelu_tanh(v); });
    case GluKind::gelu_erf:
      return glu_with(gate, up, y, n, [](F8 v) { return gelu_erf(v); });
  }
}

inline void add(float* x, const float* y, int64_t n) {
  in_lanes(n, [&](int64_t i, auto io) { io.store(x + i, io.load(x + i) + io.load(y + i)); });
}
inline void scale(float* x, float s, int64_t n) {
  in_lanes(n, [&](int64_t i, auto io) { io.store(x + i, io.load(x + i) * set(s)); });
}
inline void softcap(float* x, float cap, int64_t n) {
  const F8 c = set(cap);
  in_lanes(n, [&](int64_t i, auto io) { io.store(x + i, c * tanh(io.load(x + i) / c)); });
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
