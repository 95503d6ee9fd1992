// The vectors of kernels/q8 in 256 bits: eight rows, one 32-bit lane each. For AVX2, and for AVX-VNNI where the
// compiler is allowed it (VEX form), or AVX-512 VNNI with 256-bit vectors (EVEX form).
//
//   I  32-bit integers or, four to a lane, bytes        F  floats
#pragma once

#include <immintrin.h>

#include <array>
#include <cstdint>

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
inline I operator+(I a, I b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline I operator-(I a, I b) { return {_mm256_sub_epi32(a.v, b.v)}; }
inline I subtract_bytes(I a, I b) { return {_mm256_sub_epi8(a.v, b.v)}; }
// Shifts of 32-bit lanes; bits cross bytes, so callers mask.
inline I left(I a, int bits) { return {_mm256_slli_epi32(a.v, bits)}; }
inline I right(I a, int bits) { return {_mm256_srli_epi32(a.v, bits)}; }
inline I right_signed(I a, int bits) { return {_mm256_srai_epi32(a.v, bits)}; }
// 0xff where a byte has none of the mask's bits.
inline I bytes_without(I a, I mask) {
  return {_mm256_cmpeq_epi8(_mm256_and_si256(a.v, mask.v), _mm256_setzero_si256())};
}
// table[a] for bytes a < 16.
inline I look_up(const int8_t* table, I a) {
  return {
      _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))), a.v)};
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

// Keeps the compiler from reading a spilled vector again for each use.
inline I in_register(I a) {
  asm volatile("" : "+x"(a.v));
  return a;
}

#if defined(__AVXVNNI__) || (defined(__AVX512VNNI__) && defined(__AVX512VL__))

// What the activations must be for weights of a format: signed (and the weights unsigned) or offset by 128.
template <class Unpack>
inline constexpr bool kOffsetActivations = !Unpack::kUnsigned;

// sum + (unsigned bytes) * (signed bytes)
inline I dot_word(I sum, I u, I s) {
#if defined(__AVXVNNI__)
  return {_mm256_dpbusd_avx_epi32(sum.v, u.v, s.v)};
#else
  return {_mm256_dpbusd_epi32(sum.v, u.v, s.v)};
#endif
}

// sums[t] += weights q times kWords words of activations, for kTile tokens; acts(t) says where those of
// token t lie.
template <class Unpack, int kTile, int kWords, class Acts>
[[gnu::always_inline]] inline void dot_tile(I* sums, const I* q, Acts acts) {
  const auto term = [](I sum, I w, I x) {
    return kOffsetActivations<Unpack> ? dot_word(sum, x, w) : dot_word(sum, w, x);
  };
  if constexpr (kTile == 1) {  // two chains: one token alone waits for each product
    I odd = zero_words();
    for (int j = 0; j < kWords; j += 2) {
      sums[0] = term(sums[0], q[j], broadcast_word(acts(0) + 4 * j));
      odd = term(odd, q[j + 1], broadcast_word(acts(0) + 4 * (j + 1)));
    }
    sums[0] = sums[0] + odd;
    return;
  }
  for (int from = 0; from < kWords; from += 4) {
    I w[4];  // as many as have a register beside the sums
    for (int j = 0; j < 4; ++j) w[j] = in_register(q[from + j]);
    for (int j = 0; j < 4; ++j)
      for (int t = 0; t < kTile; ++t) sums[t] = term(sums[t], w[j], broadcast_word(acts(t) + 4 * (from + j)));
  }
}
// 128 times the sum of the weights: what the offset of the activations adds to a product.
template <class Unpack, int kWords>
inline I offset_of(const I* q) {
  I even = zero_words(), odd = zero_words();
  for (int j = 0; j < kWords; j += 2) {
    even = dot_word(even, set_bytes(-128), q[j]);
    odd = dot_word(odd, set_bytes(-128), q[j + 1]);
  }
  return even + odd;
}

// As many multiply-accumulates as the instructions of a product do: for the measured peak.
inline I burst_step(I sum, I a, I b) { return dot_word(sum, a, b); }

#else

// vpmaddubsw adds pairs in 16 bits: as many as fit are added before they are widened. Signed weights of a whole byte
// fit only with signed activations: the product's sign moves to them.
template <class Unpack>
inline constexpr bool kOffsetActivations = !Unpack::kUnsigned && Unpack::kMax <= 32;

template <class Unpack, int kTile, int kWords, class Acts>
[[gnu::always_inline]] inline void dot_tile(I* sums, const I* q, Acts acts) {
  constexpr int kMax = Unpack::kMax;
  constexpr int kChain = Unpack::kUnsigned            ? 32767 / (2 * 127 * kMax)
                         : kOffsetActivations<Unpack> ? 32767 / (2 * 255 * kMax)
                                                      : 1;
  const __m256i ones = _mm256_set1_epi16(1);
  for (int t = 0; t < kTile; ++t) {
    for (int from = 0; from < kWords; from += kChain) {
      __m256i pairs = _mm256_setzero_si256();
      for (int j = from; j < from + kChain && j < kWords; ++j) {
        const __m256i x = broadcast_word(acts(t) + 4 * j).v, w = q[j].v;
        __m256i product;
        if constexpr (Unpack::kUnsigned)
          product = _mm256_maddubs_epi16(w, x);
        else if constexpr (kOffsetActivations<Unpack>)
          product = _mm256_maddubs_epi16(x, w);
        else
          product = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
        pairs = j == from ? product : _mm256_add_epi16(pairs, product);
      }
      sums[t].v = _mm256_add_epi32(sums[t].v, _mm256_madd_epi16(pairs, ones));
    }
  }
}
template <class Unpack, int kWords>
inline I offset_of(const I* q) {
  alignas(4) static constexpr auto k128 = [] {
    std::array<uint8_t, 32> bytes{};
    for (auto& b : bytes) b = 128;
    return bytes;
  }();
  I sum = zero_words();
  dot_tile<Unpack, 1, kWords>(&sum, q, [](int) { return k128.data(); });
  return sum;
}
inline I burst_step(I sum, I a, I b) {
  const __m256i pairs = _mm256_maddubs_epi16(a.v, b.v);
  return {_mm256_add_epi32(sum.v, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
}

#endif

}  // namespace watra::kernels::WATRA_KERNELS_ISA
