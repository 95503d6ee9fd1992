// F8: eight floats that are computed together, in portable C++ (GCC and Clang vector extensions, two halves of four).
//
// The files in lanes/ are the text of the kernels that look the same on every ISA. They are compiled once per ISA into
// the namespace WATRA_KERNELS_ISA (a macro that the including .cpp defines), over that ISA's F8. Nothing here may be
// shared between two ISAs by the linker, or a processor would meet instructions it does not have.
#pragma once

#include <cstdint>
#include <cstring>

#include "tensor/half.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

using f32x4 = float __attribute__((vector_size(16)));
using i32x4 = int32_t __attribute__((vector_size(16)));

struct F8 {
  f32x4 lo, hi;
};
struct I8 {
  i32x4 lo, hi;
};

inline F8 set(float v) { return {f32x4{v, v, v, v}, f32x4{v, v, v, v}}; }
inline F8 zero() { return set(0.0f); }
inline F8 load(const float* p) {
  F8 r;
  std::memcpy(&r, p, sizeof r);
  return r;
}
inline void store(float* p, F8 v) { std::memcpy(p, &v, sizeof v); }

inline F8 operator+(F8 a, F8 b) { return {a.lo + b.lo, a.hi + b.hi}; }
inline F8 operator-(F8 a, F8 b) { return {a.lo - b.lo, a.hi - b.hi}; }
inline F8 operator*(F8 a, F8 b) { return {a.lo * b.lo, a.hi * b.hi}; }
inline F8 operator/(F8 a, F8 b) { return {a.lo / b.lo, a.hi / b.hi}; }
// a * b + c, with the rounding of this ISA: two roundings here, one where there is an instruction for it.
inline F8 fma(F8 a, F8 b, F8 c) { return a * b + c; }

// Where a lane compares true, `yes`. Comparisons with NaN are false.
inline F8 where_greater(F8 a, F8 b, F8 yes, F8 no) {
  return {a.lo > b.lo ? yes.lo : no.lo, a.hi > b.hi ? yes.hi : no.hi};
}
inline F8 max(F8 a, F8 b) { return where_greater(a, b, a, b); }  // b where either is NaN
inline F8 min(F8 a, F8 b) { return where_greater(b, a, a, b); }  // b where either is NaN

inline I8 bits(F8 v) { return {reinterpret_cast<i32x4>(v.lo), reinterpret_cast<i32x4>(v.hi)}; }
inline F8 from_bits(I8 v) { return {reinterpret_cast<f32x4>(v.lo), reinterpret_cast<f32x4>(v.hi)}; }
inline I8 set_bits(int32_t v) { return {i32x4{v, v, v, v}, i32x4{v, v, v, v}}; }
inline I8 operator+(I8 a, I8 b) { return {a.lo + b.lo, a.hi + b.hi}; }
inline I8 operator&(I8 a, I8 b) { return {a.lo & b.lo, a.hi & b.hi}; }
inline I8 operator|(I8 a, I8 b) { return {a.lo | b.lo, a.hi | b.hi}; }
template <int kBits>
I8 shift_left(I8 a) {
  return {a.lo << kBits, a.hi << kBits};
}

// The one order in which eight lanes become one number: halves, then pairs, then the two that are left.
inline float fold_sum(F8 v) {
  const f32x4 s = v.lo + v.hi;
  return (s[0] + s[2]) + (s[1] + s[3]);
}
// out[i] = fold_sum(v[i]), i < 4.
inline void fold_sum4(const F8* v, float* out) {
  for (int i = 0; i < 4; ++i) out[i] = fold_sum(v[i]);
}
// Lane i of the answer is fold_sum(v[i]).
inline F8 fold_sum8(const F8* v) {
  float sums[8];
  for (int i = 0; i < 8; ++i) sums[i] = fold_sum(v[i]);
  return load(sums);
}
inline float fold_max(F8 v) {
  const f32x4 s = v.lo > v.hi ? v.lo : v.hi;
  const float a = s[0] > s[2] ? s[0] : s[2], b = s[1] > s[3] ? s[1] : s[3];
  return a > b ? a : b;
}

inline F8 load_f16(const uint16_t* p) {
  // Exponent and fraction at their places in a float, times 2^112: exact, subnormals included.
  const auto four = [](const uint16_t* q) {
    const i32x4 h = {q[0], q[1], q[2], q[3]};
    const i32x4 magnitude = h & 0x7fff;
    i32x4 r = reinterpret_cast<i32x4>(reinterpret_cast<f32x4>(magnitude << 13) * 0x1p112f);
    r |= (magnitude > 0x7bff) & 0x7f800000;
    return reinterpret_cast<f32x4>(r | ((h & 0x8000) << 16));
  };
  return {four(p), four(p + 4)};
}
inline F8 load_bf16(const uint16_t* p) {
  const i32x4 lo = {p[0], p[1], p[2], p[3]}, hi = {p[4], p[5], p[6], p[7]};
  return from_bits({lo << 16, hi << 16});
}
inline void store_f16(uint16_t* p, F8 v) {
  float wide[8];
  store(wide, v);
  for (int i = 0; i < 8; ++i) p[i] = tensor::f32_to_f16(wide[i]);
}

// v, held in a register from here on: the compiler would load it again at each of several uses.
inline F8 keep(F8 v) { return v; }
// Brings a line into the second-level cache, or into the first.
inline void fetch_far(const void* p) { __builtin_prefetch(p, 0, 2); }
inline void fetch_near(const void* p) { __builtin_prefetch(p, 0, 3); }
inline F8 set_f16(uint16_t half) { return set(tensor::f16_to_f32(half)); }
inline F8 load_i8(const int8_t* p) {
  float wide[8];
  for (int i = 0; i < 8; ++i) wide[i] = p[i];
  return load(wide);
}
// Rounds to the nearest integer, ties to even. The values lie within [-128, 127].
inline void store_i8(int8_t* p, F8 v) {
  const F8 magic = set(0x1.8p23f);
  float wide[8];
  store(wide, (v + magic) - magic);
  for (int i = 0; i < 8; ++i) p[i] = static_cast<int8_t>(wide[i]);
}
// Low and high four bits of eight bytes.
inline void load_nibbles(const uint8_t* p, F8& low, F8& high) {
  float l[8], h[8];
  for (int i = 0; i < 8; ++i) {
    l[i] = static_cast<float>(p[i] & 15);
    h[i] = static_cast<float>(p[i] >> 4);
  }
  low = load(l);
  high = load(h);
}
// Lanes i and i + kDistance become their sum and their difference.
template <int kDistance>
F8 butterfly(F8 v) {
  float in[8], out[8];
  store(in, v);
  for (int i = 0; i < 8; ++i) out[i] = i & kDistance ? in[i ^ kDistance] - in[i] : in[i ^ kDistance] + in[i];
  return load(out);
}
// Lanes 2i and 2i + 1 turned by the angle of cos[i], sin[i].
inline F8 rotate_pairs(F8 v, const float* cos, const float* sin) {
  float in[8], out[8];
  store(in, v);
  for (int i = 0; i < 4; ++i) {
    out[2 * i] = in[2 * i] * cos[i] - in[2 * i + 1] * sin[i];
    out[2 * i + 1] = in[2 * i + 1] * cos[i] + in[2 * i] * sin[i];
  }
  return load(out);
}
// The lanes in kParts equal parts: part i to p[i] + at.
template <int kParts>
void store_parts(float* const* p, int64_t at, F8 v) {
  float lanes[8];
  store(lanes, v);
  for (int i = 0; i < kParts; ++i) std::memcpy(p[i] + at, lanes + i * (8 / kParts), 8 / kParts * sizeof(float));
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
