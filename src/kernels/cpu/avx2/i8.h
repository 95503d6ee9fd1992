// The vectors of kernels/q8 in 256 bits: eight rows, one 32-bit lane each. For AVX2, and for AVX-VNNI where the
// compiler is allowed it (VEX form), or AVX-512 VNNI with 256-bit vectors (EVEX form).
//
//   I  32-bit integers or, four to a lane, bytes        F  floats
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/q8/book_entry.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

struct I {
  __m256i v;
};
struct F {
  __m256 v;
};
inline constexpr int kLanes = 8;

inline I load_words(const void* p) { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
inline I set_bytes(int b) { return {_mm256_set1_epi8(static_cast<char>(b))}; }
inline I set_words(int32_t w) { return {_mm256_set1_epi32(w)}; }
inline I zero_words() { return {_mm256_setzero_si256()}; }
inline I broadcast_word(const void* p) {
  int32_t w;
  __builtin_memcpy(&w, p, 4);
  return set_words(w);
}
inline I operator&(I a, I b) { return {_mm256_and_si256(a.v, b.v)}; }
inline I operator|(I a, I b) { return {_mm256_or_si256(a.v, b.v)}; }
inline I operator^(I a, I b) { return {_mm256_xor_si256(a.v, b.v)}; }
inline I operator+(I a, I b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline I operator-(I a, I b) { return {_mm256_sub_epi32(a.v, b.v)}; }
inline I subtract_bytes(I a, I b) { return {_mm256_sub_epi8(a.v, b.v)}; }
// Shifts of 32-bit lanes; bits cross bytes, so callers mask.
inline I left(I a, int bits) { return {_mm256_slli_epi32(a.v, bits)}; }
inline I right(I a, int bits) { return {_mm256_srli_epi32(a.v, bits)}; }
inline I right_signed(I a, int bits) { return {_mm256_srai_epi32(a.v, bits)}; }
// The same by a number that the compiler does not know.
inline I right_by(I a, int bits) { return {_mm256_srlv_epi32(a.v, _mm256_set1_epi32(bits))}; }
// 0xff where a byte has none of the mask's bits.
inline I bytes_without(I a, I mask) {
  return {_mm256_cmpeq_epi8(_mm256_and_si256(a.v, mask.v), _mm256_setzero_si256())};
}
// table[a] for bytes a < 16.
inline I look_up(const int8_t* table, I a) {
  return {
      _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))), a.v)};
}
// -q where a byte of `bits` has the one bit of `mask`, else q.
inline I negated_where(I q, I bits, I mask) {
  const __m256i minus = _mm256_cmpeq_epi8(_mm256_and_si256(bits.v, mask.v), mask.v);
  return {_mm256_sub_epi8(_mm256_xor_si256(q.v, minus), minus)};
}
inline void store_words(uint32_t* p, I a) { _mm256_store_si256(reinterpret_cast<__m256i*>(p), a.v); }
// Of a table of eight bytes each, entry number[r] to lane r: bytes 0 to 3 to q[0], 4 to 7 to q[1].
inline void look_up_eight(const int8_t* table, const uint32_t* number, I* q) {
  const auto entry = [&](int row) { return entry_of_eight(table, number[row]); };
  const __m256 a = _mm256_castsi256_ps(_mm256_set_epi64x(entry(5), entry(4), entry(1), entry(0)));
  const __m256 b = _mm256_castsi256_ps(_mm256_set_epi64x(entry(7), entry(6), entry(3), entry(2)));
  q[0].v = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88));
  q[1].v = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd));
}
// Of a table of four bytes each, entry number[16 * j + r] to lane r of q[j], j < 4: a row's four side by side, then
// turned.
inline void look_up_fours(const int8_t* table, const uint32_t* number, I* q) {
  const auto row = [&](int r) { return entries_of_four(table, number + r); };
  const auto two = [&](int r) { return _mm256_set_m128i(row(r + 4), row(r)); };
  const __m256i a = two(0), b = two(1), c = two(2), d = two(3);
  const __m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d);
  const __m256i ab_high = _mm256_unpackhi_epi32(a, b), cd_high = _mm256_unpackhi_epi32(c, d);
  q[0].v = _mm256_unpacklo_epi64(ab, cd);
  q[1].v = _mm256_unpackhi_epi64(ab, cd);
  q[2].v = _mm256_unpacklo_epi64(ab_high, cd_high);
  q[3].v = _mm256_unpackhi_epi64(ab_high, cd_high);
}
// Byte `byte` of each lane in all four bytes of the lane.
template <int kByte>
inline I spread_byte(I a) {
  constexpr char b = kByte, c = kByte + 4, d = kByte + 8, e = kByte + 12;
  return {_mm256_shuffle_epi8(a.v, _mm256_setr_epi8(b, b, b, b, c, c, c, c, d, d, d, d, e, e, e, e,  //
                                                    b, b, b, b, c, c, c, c, d, d, d, d, e, e, e, e))};
}

inline F load_floats(const float* p) { return {_mm256_load_ps(p)}; }
inline void store_floats(float* p, F a) { _mm256_store_ps(p, a.v); }
inline void store_unaligned(float* p, F a) { _mm256_storeu_ps(p, a.v); }
inline F set_floats(float f) { return {_mm256_set1_ps(f)}; }
inline F operator*(F a, F b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline F operator-(F a, F b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline F operator+(F a, F b) { return {_mm256_add_ps(a.v, b.v)}; }
inline F fma(F a, F b, F c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline F negated(F a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))}; }
inline F to_floats(I a) { return {_mm256_cvtepi32_ps(a.v)}; }
inline F as_floats(I a) { return {_mm256_castsi256_ps(a.v)}; }
inline F load_halves(const void* p) { return {_mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)))}; }
inline F low_halves(I a) {  // f16 in the low 16 bits of each lane
  const __m256i packed = _mm256_packus_epi32(_mm256_and_si256(a.v, _mm256_set1_epi32(0xffff)), _mm256_setzero_si256());
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)))};
}
inline F high_halves(I a) { return low_halves(right(a, 16)); }

// Whether unpacked integers of a block go through memory anyway, because registers are few.
inline constexpr bool kUnpackFirst = true;

// Keeps the compiler from reading a spilled vector again for each use.
inline I in_register(I a) {
  asm volatile("" : "+x"(a.v));
  return a;
}

inline F in_register(F a) {
  asm volatile("" : "+x"(a.v));
  return a;
}

// The same value, and two lines are fetched when it is there: into the second-level cache, and into the first.
// Compilers bring fetches of their own together.
inline I with_fetches(I a, const std::byte* far, const std::byte* near) {
  asm volatile("prefetcht1 %1\n\tprefetcht0 %2" : "+x"(a.v) : "m"(*far), "m"(*near));
  return a;
}

// The same value, computed by now: a compiler that needs it only later would put the work off, and keep all it reads.
inline F computed(F a) {
  asm volatile("" : "+x"(a.v));
  return a;
}

#if defined(__AVXVNNI__) || defined(WATRA_KERNELS_EVEX_DOT)

// Whether the integers of a format's weights are unsigned, with Unpack::kAdded added: else they are signed.
template <class Unpack>
inline constexpr bool kUnsignedWeights = true;

// sum + (unsigned bytes) * (signed bytes)
inline I dot_word(I sum, I u, I s) {
#if defined(__AVXVNNI__)
  return {_mm256_dpbusd_avx_epi32(sum.v, u.v, s.v)};
#else
  asm("%{evex%} vpdpbusd %2, %1, %0" : "+x"(sum.v) : "x"(u.v), "xm"(s.v));
  return sum;
#endif
}

// Whether words may be unpacked each when it is needed.
inline constexpr bool kWordByWord = true;

// Tokens whose sums are made side by side: with the two parts of a panel as many chains as registers allow, and as hide
// the latency of a dot product.
template <class Unpack>
inline constexpr int kTokensAtOnce = 4;

// So many tokens have code of their own, without loops, and sums that stay in registers as far as these go.
inline constexpr int kFewTokens = 4;

}  // namespace watra::kernels::WATRA_KERNELS_ISA

#include "kernels/q8/vnni_tile.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

// As many multiply-accumulates as the instructions of a product do: for the measured peak.
inline I burst_step(I sum, I a, I b) { return dot_word(sum, a, b); }

#else

// vpmaddubsw adds pairs in 16 bits: as many as fit are added before they are widened. Weights of a whole byte stay
// signed, as their pairs would not fit: the product's sign moves to the activations.
template <class Unpack>
inline constexpr bool kUnsignedWeights = Unpack::kMax < 128;

inline constexpr bool kWordByWord = false;

// Pairs and sums of each token and part want a register.
template <class Unpack>
inline constexpr int kTokensAtOnce = 2;
inline constexpr int kFewTokens = 2;

template <class Unpack, int kTokens, int kParts, int kWords, bool, class Weight, class Acts>
[[gnu::always_inline]] inline void dot_tile(I (*dot)[kParts], Weight weight, Acts acts) {
  constexpr int kChain = kUnsignedWeights<Unpack> ? 32767 / (2 * 127 * Unpack::kMax) : 1;
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i pairs[kTokens][kParts];
#pragma GCC unroll 8
  for (int j = 0; j < kWords; ++j) {
    const bool first = j % kChain == 0, last = j % kChain == kChain - 1 || j == kWords - 1;
    __m256i w[kParts];
#pragma GCC unroll 2
    for (int p = 0; p < kParts; ++p) w[p] = in_register(weight(p, j)).v;
#pragma GCC unroll 4
    for (int t = 0; t < kTokens; ++t) {
      const __m256i x = in_register(broadcast_word(acts(t, j))).v;
#pragma GCC unroll 2
      for (int p = 0; p < kParts; ++p) {
        __m256i product;
        if constexpr (kUnsignedWeights<Unpack>)
          product = _mm256_maddubs_epi16(w[p], x);
        else
          product = _mm256_maddubs_epi16(_mm256_abs_epi8(w[p]), _mm256_sign_epi8(x, w[p]));
        pairs[t][p] = first ? product : _mm256_add_epi16(pairs[t][p], product);
        if (last) dot[t][p].v = _mm256_add_epi32(dot[t][p].v, _mm256_madd_epi16(pairs[t][p], ones));
      }
    }
  }
}
inline I burst_step(I sum, I a, I b) {
  const __m256i pairs = _mm256_maddubs_epi16(a.v, b.v);
  return {_mm256_add_epi32(sum.v, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
}

#endif

}  // namespace watra::kernels::WATRA_KERNELS_ISA
