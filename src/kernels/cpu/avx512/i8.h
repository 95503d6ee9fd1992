// The vectors of kernels/q8 in 512 bits: sixteen rows, one 32-bit lane each. AVX-512 F, BW, DQ, VL and VNNI.
// Meanings: cpu/avx2/i8.h.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/q8/book_entry.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

struct I {
  __m512i v;
};
struct F {
  __m512 v;
};
inline constexpr int kLanes = 16;

inline I load_words(const void* p) { return {_mm512_loadu_si512(p)}; }
inline I set_bytes(int b) { return {_mm512_set1_epi8(static_cast<char>(b))}; }
inline I set_words(int32_t w) { return {_mm512_set1_epi32(w)}; }
inline I zero_words() { return {_mm512_setzero_si512()}; }
inline I broadcast_word(const void* p) {
  int32_t w;
  __builtin_memcpy(&w, p, 4);
  return set_words(w);
}
inline I operator&(I a, I b) { return {_mm512_and_si512(a.v, b.v)}; }
inline I operator|(I a, I b) { return {_mm512_or_si512(a.v, b.v)}; }
inline I operator^(I a, I b) { return {_mm512_xor_si512(a.v, b.v)}; }
inline I operator+(I a, I b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline I operator-(I a, I b) { return {_mm512_sub_epi32(a.v, b.v)}; }
inline I subtract_bytes(I a, I b) { return {_mm512_sub_epi8(a.v, b.v)}; }
inline I left(I a, int bits) { return {_mm512_slli_epi32(a.v, static_cast<unsigned>(bits))}; }
inline I right(I a, int bits) { return {_mm512_srli_epi32(a.v, static_cast<unsigned>(bits))}; }
inline I right_signed(I a, int bits) { return {_mm512_srai_epi32(a.v, static_cast<unsigned>(bits))}; }
inline I right_by(I a, int bits) { return {_mm512_srlv_epi32(a.v, _mm512_set1_epi32(bits))}; }
inline I bytes_without(I a, I mask) { return {_mm512_movm_epi8(_mm512_testn_epi8_mask(a.v, mask.v))}; }
inline I look_up(const int8_t* table, I a) {
  const __m512i wide = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  return {_mm512_shuffle_epi8(wide, a.v)};
}
inline I negated_where(I q, I bits, I mask) {
  return {_mm512_mask_sub_epi8(q.v, _mm512_test_epi8_mask(bits.v, mask.v), _mm512_setzero_si512(), q.v)};
}
inline void store_words(uint32_t* p, I a) { _mm512_store_si512(p, a.v); }
inline void look_up_eight(const int8_t* table, const uint32_t* number, I* q) {
  const auto entry = [&](int row) { return entry_of_eight(table, number[row]); };
  const __m512 a = _mm512_castsi512_ps(
      _mm512_set_epi64(entry(13), entry(12), entry(9), entry(8), entry(5), entry(4), entry(1), entry(0)));
  const __m512 b = _mm512_castsi512_ps(
      _mm512_set_epi64(entry(15), entry(14), entry(11), entry(10), entry(7), entry(6), entry(3), entry(2)));
  q[0].v = _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0x88));
  q[1].v = _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0xdd));
}
inline void look_up_fours(const int8_t* table, const uint32_t* number, I* q) {
  const auto row = [&](int r) { return entries_of_four(table, number + r); };
  const auto four = [&](int r) {
    const __m256i low = _mm256_set_m128i(row(r + 4), row(r)), high = _mm256_set_m128i(row(r + 12), row(r + 8));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  };
  const __m512i a = four(0), b = four(1), c = four(2), d = four(3);
  const __m512i ab = _mm512_unpacklo_epi32(a, b), cd = _mm512_unpacklo_epi32(c, d);
  const __m512i ab_high = _mm512_unpackhi_epi32(a, b), cd_high = _mm512_unpackhi_epi32(c, d);
  q[0].v = _mm512_unpacklo_epi64(ab, cd);
  q[1].v = _mm512_unpackhi_epi64(ab, cd);
  q[2].v = _mm512_unpacklo_epi64(ab_high, cd_high);
  q[3].v = _mm512_unpackhi_epi64(ab_high, cd_high);
}
template <int kByte>
inline I spread_byte(I a) {
  constexpr int b = kByte * 0x01010101;
  return {_mm512_shuffle_epi8(
      a.v, _mm512_broadcast_i32x4(_mm_setr_epi32(b, b + 0x04040404, b + 0x08080808, b + 0x0c0c0c0c)))};
}

inline F load_floats(const float* p) { return {_mm512_load_ps(p)}; }
inline void store_floats(float* p, F a) { _mm512_store_ps(p, a.v); }
inline void store_unaligned(float* p, F a) { _mm512_storeu_ps(p, a.v); }
inline F set_floats(float f) { return {_mm512_set1_ps(f)}; }
inline F operator*(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F operator-(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F operator+(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F fma(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F negated(F a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
inline F to_floats(I a) { return {_mm512_cvtepi32_ps(a.v)}; }
inline F as_floats(I a) { return {_mm512_castsi512_ps(a.v)}; }
inline F load_halves(const void* p) { return {_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)))}; }
inline F low_halves(I a) { return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(a.v))}; }
inline F high_halves(I a) { return low_halves(right(a, 16)); }

inline F in_register(F a) { return a; }  // there are enough
inline I in_register(I a) { return a; }

// The same value, and two lines are fetched when it is there: into the second-level cache, and into the first.
// Compilers bring fetches of their own together.
inline I with_fetches(I a, const std::byte* far, const std::byte* near) {
  asm volatile("prefetcht1 %1\n\tprefetcht0 %2" : "+v"(a.v) : "m"(*far), "m"(*near));
  return a;
}

// The same value, computed by now: a compiler that needs it only later would put the work off, and keep all it reads.
inline F computed(F a) {
  asm volatile("" : "+v"(a.v));
  return a;
}

// Whether unpacked integers of a block go through memory anyway, because registers are few.
inline constexpr bool kUnpackFirst = false;
inline constexpr bool kWordByWord = true;
// So many tokens have code of their own, without loops, and sums that stay in registers as far as these go.
inline constexpr int kFewTokens = 8;

template <class Unpack>
inline constexpr bool kUnsignedWeights = true;

inline I dot_word(I sum, I u, I s) { return {_mm512_dpbusd_epi32(sum.v, u.v, s.v)}; }
// The same with the four signed bytes at p in every lane. The compiler does not find this form by itself.
inline I dot_broadcast(I sum, I u, const void* p) {
  struct Four {
    char bytes[4];
  };
  asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum.v) : "v"(u.v), "m"(*static_cast<const Four*>(p)));
  return sum;
}

template <class Unpack>
inline constexpr int kTokensAtOnce = 8;

}  // namespace watra::kernels::WATRA_KERNELS_ISA

#include "kernels/q8/vnni_tile.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

inline I burst_step(I sum, I a, I b) { return dot_word(sum, a, b); }

}  // namespace watra::kernels::WATRA_KERNELS_ISA
