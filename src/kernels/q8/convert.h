// A row of floats to 8-bit records: the same bytes as the scalar conversion of act_format.cpp, in 256-bit vectors.
#pragma once

#include <immintrin.h>

#include "kernels/act_format.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

inline float largest_of(__m256 v) {
  const __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 t = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(t, _mm_movehdup_ps(t)));
}

// Where the parts of a record go.
struct RecordPlace {
  int8_t* q;
  float* scale;
  ActSum *sum, *first_half, *second_half;
};
inline RecordPlace place_of(ActRecord& r) { return {r.q, &r.scale, &r.sum, &r.half[0], &r.half[1]}; }

inline void write_record(ActFormat format, const __m256* v, float scale, const RecordPlace& out) {
  const __m256 inverse = _mm256_set1_ps(scale > 0.0f ? 1.0f / scale : 0.0f);
  const __m256i most = _mm256_set1_epi32(127), least = _mm256_set1_epi32(-127);
  __m256i q[4];
  for (int i = 0; i < 4; ++i)
    q[i] = _mm256_max_epi32(_mm256_min_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse)), most), least);
  // Packs work within 128-bit lanes; the last permutation puts the words of four back in order.
  const __m256i first = _mm256_packs_epi32(q[0], q[1]), second = _mm256_packs_epi32(q[2], q[3]);
  const __m256i bytes =
      _mm256_permutevar8x32_epi32(_mm256_packs_epi16(first, second), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.q), bytes);
  // Sums of the halves: pairs to 16 bits, fours to 32 bits, then four lanes of each half.
  const __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes), _mm256_set1_epi16(1));
  const __m256i twos = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4e));
  const __m256i ones = _mm256_add_epi32(twos, _mm256_shuffle_epi32(twos, 0xb1));
  const int low = _mm256_extract_epi32(ones, 0), high = _mm256_extract_epi32(ones, 4);
  *out.scale = scale;
  if (format == ActFormat::q8) {
    out.sum->scaled = scale * static_cast<float>(low + high);
    out.first_half->scaled = scale * static_cast<float>(low);
    out.second_half->scaled = scale * static_cast<float>(high);
  } else {
    const int added = added_to_weights(format);
    out.sum->start = kFloatMagic - added * (low + high);
    out.first_half->start = kFloatMagic - added * low;
    out.second_half->start = kFloatMagic - added * high;
  }
}

// at: n_blocks; record(acts, block), rest(acts, block) and flag(acts, block) of the row at hand.
template <class Layout>
inline void convert_row_to(ActFormat format, const float* x, std::byte* acts, const Layout& at) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  float power = 0.0f;
  for (int64_t b = 0; b < at.n_blocks; ++b) {
    __m256 v[4], largest = _mm256_setzero_ps();
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm256_loadu_ps(x + 32 * b + 8 * i);
      largest = _mm256_max_ps(largest, _mm256_and_ps(v[i], magnitude));
    }
    const float most = largest_of(largest), scale = most < kActSmallest ? 0.0f : most / 127.0f;
    write_record(format, v, scale, at.record(acts, b));
    power += scale * scale;
  }
  const float limit = power / static_cast<float>(at.n_blocks) * kActRestAbove;
  for (int64_t b = 0; b < at.n_blocks; ++b) {
    const RecordPlace r = at.record(acts, b);
    const float scale = *r.scale;
    const bool has_rest = scale * scale > limit;
    *at.flag(acts, b) = static_cast<std::byte>(has_rest);
    if (!has_rest) continue;
    __m256 rest[4];
    for (int i = 0; i < 4; ++i) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(r.q + 8 * i));
      const __m256 value = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
      rest[i] = _mm256_fmadd_ps(_mm256_set1_ps(-scale), value, _mm256_loadu_ps(x + 32 * b + 8 * i));
    }
    write_record(format, rest, scale * kActSecondLevel, at.rest(acts, b));
  }
}

struct RowOfRecords {
  ActLayout at;
  int64_t row, n_blocks = at.n_blocks;
  RecordPlace record(std::byte* acts, int64_t b) const {
    return place_of(*reinterpret_cast<ActRecord*>(acts + at.record(b, row)));
  }
  RecordPlace rest(std::byte* acts, int64_t b) const {
    return place_of(*reinterpret_cast<ActRecord*>(acts + at.rest(b, row)));
  }
  std::byte* flag(std::byte* acts, int64_t b) const { return acts + at.flag(b, row); }
};

inline void convert_row(ActFormat format, const float* x, std::byte* acts, int64_t row, int64_t m, int64_t d) {
  if (!is_integer(format)) return convert_act_row(format, x, acts, row, m, d);
  convert_row_to(format, x, acts, RowOfRecords{ActLayout(m, d), row});
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
