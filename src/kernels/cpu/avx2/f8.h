// F8 on AVX2 with FMA and F16C: one register. Meanings and the order of folds: lanes/f8_portable.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace watra::kernels::WATRA_KERNELS_ISA {

struct F8 {
  __m256 v;
};
struct I8 {
  __m256i v;
};

inline F8 set(float v) { return {_mm256_set1_ps(v)}; }
inline F8 zero() { return {_mm256_setzero_ps()}; }
inline F8 load(const float* p) { return {_mm256_loadu_ps(p)}; }
inline void store(float* p, F8 v) { _mm256_storeu_ps(p, v.v); }

inline F8 operator+(F8 a, F8 b) { return {_mm256_add_ps(a.v, b.v)}; }
inline F8 operator-(F8 a, F8 b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline F8 operator*(F8 a, F8 b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline F8 operator/(F8 a, F8 b) { return {_mm256_div_ps(a.v, b.v)}; }
inline F8 fma(F8 a, F8 b, F8 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }

inline F8 where_greater(F8 a, F8 b, F8 yes, F8 no) {
  return {_mm256_blendv_ps(no.v, yes.v, _mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ))};
}
inline F8 max(F8 a, F8 b) { return {_mm256_max_ps(a.v, b.v)}; }
inline F8 min(F8 a, F8 b) { return {_mm256_min_ps(a.v, b.v)}; }

inline I8 bits(F8 v) { return {_mm256_castps_si256(v.v)}; }
inline F8 from_bits(I8 v) { return {_mm256_castsi256_ps(v.v)}; }
inline I8 set_bits(int32_t v) { return {_mm256_set1_epi32(v)}; }
inline I8 operator+(I8 a, I8 b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline I8 operator&(I8 a, I8 b) { return {_mm256_and_si256(a.v, b.v)}; }
inline I8 operator|(I8 a, I8 b) { return {_mm256_or_si256(a.v, b.v)}; }
template <int kBits>
I8 shift_left(I8 a) {
  return {_mm256_slli_epi32(a.v, kBits)};
}

inline float fold_sum(F8 v) {
  const __m128 s = _mm_add_ps(_mm256_castps256_ps128(v.v), _mm256_extractf128_ps(v.v, 1));
  const __m128 t = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(t, _mm_movehdup_ps(t)));
}
inline void fold_sum4(const F8* v, float* out) {
  __m128 s[4];
  for (int i = 0; i < 4; ++i) s[i] = _mm_add_ps(_mm256_castps256_ps128(v[i].v), _mm256_extractf128_ps(v[i].v, 1));
  const auto pairs = [](__m128 a, __m128 b) { return _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a)); };
  const __m128 ab = pairs(s[0], s[1]), cd = pairs(s[2], s[3]);
  _mm_storeu_ps(out, _mm_add_ps(_mm_shuffle_ps(ab, cd, 0x88), _mm_shuffle_ps(ab, cd, 0xdd)));
}
inline F8 fold_sum8(const F8* v) {
  const auto halves = [](__m256 a, __m256 b) {  // a's four sums, b's four sums
    return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
  };
  const auto pairs = [](__m256 a, __m256 b) {
    return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee));
  };
  // Low half: v[0..3], high half: v[4..7], as the 128-bit lanes of the following steps want it.
  const __m256 s04 = halves(v[0].v, v[4].v), s15 = halves(v[1].v, v[5].v);
  const __m256 s26 = halves(v[2].v, v[6].v), s37 = halves(v[3].v, v[7].v);
  const __m256 p0 = pairs(s04, s15), p1 = pairs(s26, s37);
  return {_mm256_add_ps(_mm256_shuffle_ps(p0, p1, 0x88), _mm256_shuffle_ps(p0, p1, 0xdd))};
}
inline float fold_max(F8 v) {
  const __m128 s = _mm_max_ps(_mm256_castps256_ps128(v.v), _mm256_extractf128_ps(v.v, 1));
  const __m128 t = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(t, _mm_movehdup_ps(t)));
}

inline F8 load_f16(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
inline F8 load_bf16(const uint16_t* p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
}
inline void store_f16(uint16_t* p, F8 v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v.v, _MM_FROUND_TO_NEAREST_INT));
}

inline F8 keep(F8 v) {
  asm("" : "+x"(v.v));
  return v;
}
// At this place among the loads around them: what compilers may move they gather, and several fetches in a row hold
// loads up.
inline void fetch_far(const void* p) { asm volatile("prefetcht1 (%0)" : : "r"(p)); }
inline void fetch_near(const void* p) { asm volatile("prefetcht0 (%0)" : : "r"(p)); }
inline F8 set_f16(uint16_t half) { return {_mm256_set1_ps(_cvtsh_ss(half))}; }
inline F8 load_i8(const int8_t* p) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
}
inline void store_i8(int8_t* p, F8 v) {
  const __m256i wide = _mm256_cvtps_epi32(v.v);
  const __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(half, half));
}
inline void load_nibbles(const uint8_t* p, F8& low, F8& high) {
  const __m256i bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  low = {_mm256_cvtepi32_ps(_mm256_and_si256(bytes, _mm256_set1_epi32(15)))};
  high = {_mm256_cvtepi32_ps(_mm256_srli_epi32(bytes, 4))};
}
template <int kDistance>
F8 butterfly(F8 v) {
  const __m256 s = kDistance == 1   ? _mm256_permute_ps(v.v, 0xb1)
                   : kDistance == 2 ? _mm256_permute_ps(v.v, 0x4e)
                                    : _mm256_permute2f128_ps(v.v, v.v, 1);
  constexpr float p = 0.0f, n = -0.0f;  // minus where the lane is the upper of its pair
  const __m256 sign = kDistance == 1   ? _mm256_setr_ps(p, n, p, n, p, n, p, n)
                      : kDistance == 2 ? _mm256_setr_ps(p, p, n, n, p, p, n, n)
                                       : _mm256_setr_ps(p, p, p, p, n, n, n, n);
  return {_mm256_add_ps(s, _mm256_xor_ps(v.v, sign))};
}
inline F8 rotate_pairs(F8 v, const float* cos, const float* sin) {
  const auto twice = [](const float* p) {
    const __m128 four = _mm_loadu_ps(p);
    return _mm256_set_m128(_mm_unpackhi_ps(four, four), _mm_unpacklo_ps(four, four));
  };
  const __m256 swapped = _mm256_permute_ps(v.v, 0xb1);
  return {_mm256_addsub_ps(_mm256_mul_ps(v.v, twice(cos)), _mm256_mul_ps(swapped, twice(sin)))};
}
template <int kParts>
void store_parts(float* const* p, int64_t at, F8 v) {
  const __m128 lo = _mm256_castps256_ps128(v.v);
  if constexpr (kParts == 1) {
    _mm256_storeu_ps(p[0] + at, v.v);
  } else if constexpr (kParts == 2) {
    _mm_storeu_ps(p[0] + at, lo);
    _mm_storeu_ps(p[1] + at, _mm256_extractf128_ps(v.v, 1));
  } else {
    const __m128 hi = _mm256_extractf128_ps(v.v, 1);
    _mm_storel_pi(reinterpret_cast<__m64*>(p[0] + at), lo);
    _mm_storeh_pi(reinterpret_cast<__m64*>(p[1] + at), lo);
    _mm_storel_pi(reinterpret_cast<__m64*>(p[2] + at), hi);
    _mm_storeh_pi(reinterpret_cast<__m64*>(p[3] + at), hi);
  }
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
