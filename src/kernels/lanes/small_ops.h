// Norms, rotations, gates and sums: one row each. Elementwise loops are left to the compiler (no order to keep);
// reductions and transcendental functions go through F8, tails included.
#pragma once

#include "kernels/lanes/math.h"
#include "kernels/ops.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

// Order: lane i mod 16 sums its squares left to right; the two halves, then fold_sum.
inline void rms_norm(const float* x, const float* weight, float* y, int64_t d, float eps) {
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
  const float inverse = 1.0f / __builtin_sqrtf(fold_sum(a + b) / static_cast<float>(d) + eps);
  if (weight)
    for (int64_t j = 0; j < d; ++j) y[j] = x[j] * inverse * weight[j];
  else
    for (int64_t j = 0; j < d; ++j) y[j] = x[j] * inverse;
}

inline void rope(float* x, int64_t n_heads, int64_t d_head, int64_t n_rot, RopeStyle style, const float* cos,
                 const float* sin) {
  const int64_t half = n_rot / 2;
  for (int64_t h = 0; h < n_heads; ++h, x += d_head) {
    if (style == RopeStyle::halves) {
      for (int64_t i = 0; i < half; ++i) {
        const float u = x[i], v = x[half + i];
        x[i] = u * cos[i] - v * sin[i];
        x[half + i] = u * sin[i] + v * cos[i];
      }
    } else {
      for (int64_t i = 0; i < half; ++i) {
        const float u = x[2 * i], v = x[2 * i + 1];
        x[2 * i] = u * cos[i] - v * sin[i];
        x[2 * i + 1] = u * sin[i] + v * cos[i];
      }
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
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) store(y + i, activation(load(gate + i)) * load(up + i));
  if (i < n) store_tail(y + i, activation(load_tail(gate + i, n - i)) * load_tail(up + i, n - i), n - i);
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
  for (int64_t i = 0; i < n; ++i) x[i] += y[i];
}
inline void scale(float* x, float s, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] *= s;
}
inline void softcap(float* x, float cap, int64_t n) {
  const F8 c = set(cap);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) store(x + i, c * tanh(load(x + i) / c));
  if (i < n) store_tail(x + i, c * tanh(load_tail(x + i, n - i) / c), n - i);
}

inline void store_kv(KvType type, const float* src, std::byte* dst, int64_t n) {
  if (type == KvType::f32) {
    __builtin_memcpy(dst, src, static_cast<size_t>(n) * 4);
    return;
  }
  auto* out = reinterpret_cast<uint16_t*>(dst);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) store_f16(out + i, load(src + i));
  if (i < n) {
    uint16_t tail[8];
    store_f16(tail, load_tail(src + i, n - i));
    for (int64_t j = i; j < n; ++j) out[j] = tail[j - i];
  }
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
