// y = W x for quantized weights and 8-bit activations (q8_b32): panels of eight rows, any number of tokens.
//
//   y[m,r] = sum_b ( dw[r,b] dx[m,b] dot(m,r,b) + mw[r,b] sx[m,b] ),  b = 0 .. D/32-1
//   dot    = sum_j qw[r,b,j] qx[m,b,j]  (int32, exact)        sx[m,b] = dx[m,b] sum_j qx[m,b,j]
//
//   W [R,D] raw rows                         read once from memory per kTokenBlock tokens, unpacked once per panel
//   (unpack.h) X [M,D] ActBlocks                        stays in L1 and L2 Y [M,R] f32 written once
//
// With q8x2_b32 a token is two such rows, values and remainders; their two sums are added at the end.
//
// Order: blocks left to right, one FMA for the scale and one for the minimum of each block and row, a lane per row and
// nothing to fold. The same for every M, range and tile; integer dot products have no order. Half blocks (Q6_K, Q3_K,
// Q2_K): dot = sum over both of scale * dot16, exact too.
#pragma once

#include "kernels/act_format.h"
#include "kernels/cpu/avx2/unpack.h"
#include "kernels/ops.h"

#include WATRA_KERNELS_F8

namespace watra::kernels::WATRA_KERNELS_ISA {

inline constexpr int kPanelRows = 8;
// Rows of activations (one or two a token) whose sums wait while the panels of a row group pass by. Their activations
// over one panel (352 bytes each) and the panel itself stay in L1.
inline constexpr int64_t kTokenBlock = 32;

struct MatmulScratch {
  Panel panel;
  __m256 sums[kTokenBlock];
  const ActBlock* x[kTokenBlock];
};

inline __m256i broadcast4(const void* p) {
  int32_t v;
  __builtin_memcpy(&v, p, 4);
  return _mm256_set1_epi32(v);
}

// 32-bit sums of the 16-bit pairs of `count` vectors from `first` on, times a 16-bit factor.
template <class Unpack, int kTokens>
inline void dot_vectors(const __m256i* q, int first, int count, const ActBlock* const* x, int block, __m256i factor,
                        __m256i* total) {
  for (int from = first; from < first + count; from += Unpack::kChain) {
    __m256i pairs[kTokens];
    for (int j = from; j < from + Unpack::kChain && j < first + count; ++j) {
      const __m256i w = q[j];
      const __m256i magnitude = Unpack::kSigned ? _mm256_abs_epi8(w) : w;
      for (int m = 0; m < kTokens; ++m) {
        __m256i acts = broadcast4(x[m][block].q + 4 * j);
        if constexpr (Unpack::kSigned) acts = _mm256_sign_epi8(acts, w);
        const __m256i product = _mm256_maddubs_epi16(magnitude, acts);
        pairs[m] = j == from ? product : _mm256_add_epi16(pairs[m], product);
      }
    }
    for (int m = 0; m < kTokens; ++m) total[m] = _mm256_add_epi32(total[m], _mm256_madd_epi16(pairs[m], factor));
  }
}

template <class Unpack, int kTokens>
inline void add_panel(const Panel& panel, int n_blocks, const ActBlock* const* x, __m256* sums) {
  __m256 acc[kTokens];
  for (int m = 0; m < kTokens; ++m) acc[m] = sums[m];
  for (int b = 0; b < n_blocks; ++b) {
    __m256i dot[kTokens];
    for (int m = 0; m < kTokens; ++m) dot[m] = _mm256_setzero_si256();
    if constexpr (Unpack::kHalves) {
      dot_vectors<Unpack, kTokens>(panel.q[b], 0, 4, x, b, panel.half_scale[b][0], dot);
      dot_vectors<Unpack, kTokens>(panel.q[b], 4, 4, x, b, panel.half_scale[b][1], dot);
    } else {
      dot_vectors<Unpack, kTokens>(panel.q[b], 0, 8, x, b, _mm256_set1_epi16(1), dot);
    }
    for (int m = 0; m < kTokens; ++m) {
      if constexpr (Unpack::kOffset != 0) {
        const __m256i factor = Unpack::kHalves
                                   ? _mm256_mullo_epi16(panel.half_scales[b], _mm256_set1_epi16(Unpack::kOffset))
                                   : _mm256_set1_epi16(Unpack::kOffset);
        dot[m] = _mm256_sub_epi32(dot[m], _mm256_madd_epi16(factor, broadcast4(x[m][b].sums)));
      }
      const __m256 dx = _mm256_set1_ps(x[m][b].scale);
      acc[m] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[m]), _mm256_mul_ps(panel.scale[b], dx), acc[m]);
      if constexpr (Unpack::kMin && Unpack::kHalves) {
        const __m256i mins = _mm256_madd_epi16(panel.half_mins[b], broadcast4(x[m][b].sums));
        acc[m] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(mins), _mm256_mul_ps(panel.min[b], dx), acc[m]);
      } else if constexpr (Unpack::kMin) {
        acc[m] = _mm256_fmadd_ps(panel.min[b], _mm256_set1_ps(x[m][b].scaled_sum), acc[m]);
      }
    }
  }
  for (int m = 0; m < kTokens; ++m) sums[m] = acc[m];
}

template <class Unpack>
void matmul_q8(const MatmulArgs& a, int64_t d, int64_t row_begin, int64_t row_end, MatmulScratch& scratch) {
  using Block = typename Unpack::Block;
  const int64_t n_blocks = d / 32;
  const int64_t row_bytes = d / Block::kElements * static_cast<int64_t>(sizeof(Block));
  constexpr int64_t kPanelBytes = 256 / Block::kElements * static_cast<int64_t>(sizeof(Block));
  const int64_t levels = a.x_format == ActFormat::q8x2_b32 ? 2 : 1;
  const int64_t token_block = kTokenBlock / levels;
  for (int64_t r = row_begin; r < row_end; r += kPanelRows) {
    for (int64_t m0 = 0; m0 < a.m; m0 += token_block) {
      const int64_t tokens = a.m - m0 < token_block ? a.m - m0 : token_block;
      const int64_t n_sums = tokens * levels;
      for (int64_t m = 0; m < n_sums; ++m) {
        scratch.sums[m] = _mm256_setzero_ps();
        scratch.x[m] =
            reinterpret_cast<const ActBlock*>(a.x + (m0 + m / levels) * a.x_stride_bytes) + m % levels * n_blocks;
      }
      const uint8_t* rows[kPanelRows];  // rows beyond the end repeat the last one; their sums are not stored
      for (int64_t i = 0; i < kPanelRows; ++i)
        rows[i] = reinterpret_cast<const uint8_t*>(a.w.data) + (r + i < row_end ? r + i : row_end - 1) * row_bytes;
      for (int64_t b = 0; b < n_blocks; b += 8) {
        const int blocks = n_blocks - b < 8 ? static_cast<int>(n_blocks - b) : 8;
        Unpack::panel(rows, blocks, scratch.panel);
        for (auto& row : rows) row += kPanelBytes;
        int64_t m = 0;
        for (; m + 4 <= n_sums; m += 4) add_panel<Unpack, 4>(scratch.panel, blocks, scratch.x + m, scratch.sums + m);
        for (; m + 2 <= n_sums; m += 2) add_panel<Unpack, 2>(scratch.panel, blocks, scratch.x + m, scratch.sums + m);
        for (; m < n_sums; ++m) add_panel<Unpack, 1>(scratch.panel, blocks, scratch.x + m, scratch.sums + m);
        for (m = 0; m < n_sums; ++m) scratch.x[m] += blocks;
      }
      if (levels == 2)
        for (int64_t m = 0; m < tokens; ++m)
          scratch.sums[m] = _mm256_add_ps(scratch.sums[2 * m], scratch.sums[2 * m + 1]);
      for (int64_t m = 0; m < tokens; ++m) {
        float* y = a.y + (m0 + m) * a.y_stride + r;
        if (r + kPanelRows <= row_end) {
          _mm256_storeu_ps(y, scratch.sums[m]);
        } else {
          alignas(32) float tail[kPanelRows];
          _mm256_store_ps(tail, scratch.sums[m]);
          for (int64_t i = 0; r + i < row_end; ++i) y[i] = tail[i];
        }
      }
    }
  }
}

// One block from 32 floats in four vectors. The same bytes as the scalar conversion of act_format.cpp.
inline void convert_block_q8(const __m256* v, float scale, ActBlock* out, __m256i* q) {
  const __m256 inverse = _mm256_set1_ps(scale > 0.0f ? 1.0f / scale : 0.0f);
  const __m256i most = _mm256_set1_epi32(127), least = _mm256_set1_epi32(-127);
  for (int i = 0; i < 4; ++i)
    q[i] = _mm256_max_epi32(_mm256_min_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse)), most), least);
  // 32-bit to 8-bit packs work within 128-bit lanes; the last permutation puts the words of four back in order.
  const __m256i first = _mm256_packs_epi32(q[0], q[1]), second = _mm256_packs_epi32(q[2], q[3]);
  const __m256i bytes =
      _mm256_permutevar8x32_epi32(_mm256_packs_epi16(first, second), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out->q), bytes);
  // Sums of the halves: pairs to 16 bits, fours to 32 bits, then four lanes of each half.
  const __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(set8(1), bytes), _mm256_set1_epi16(1));
  const __m256i twos = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4e));
  const __m256i ones = _mm256_add_epi32(twos, _mm256_shuffle_epi32(twos, 0xb1));
  const int low = _mm256_extract_epi32(ones, 0), high = _mm256_extract_epi32(ones, 4);
  out->scale = scale;
  out->scaled_sum = scale * static_cast<float>(low + high);
  out->sums[0] = static_cast<int16_t>(low);
  out->sums[1] = static_cast<int16_t>(high);
}

// A row to q8_b32, and its remainders to `rest` unless that is null (q8x2_b32).
inline void convert_act_row_q8(const float* x, ActBlock* out, ActBlock* rest, int64_t d) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  for (int64_t b = 0; b < d / 32; ++b, x += 32, ++out) {
    __m256 v[4], largest = _mm256_setzero_ps();
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm256_loadu_ps(x + 8 * i);
      largest = _mm256_max_ps(largest, _mm256_and_ps(v[i], magnitude));
    }
    const float most = fold_max({largest});
    const float scale = most < kActSmallest ? 0.0f : most / 127.0f;
    __m256i q[4];
    convert_block_q8(v, scale, out, q);
    if (!rest) continue;
    for (int i = 0; i < 4; ++i) v[i] = _mm256_fmadd_ps(_mm256_set1_ps(-scale), _mm256_cvtepi32_ps(q[i]), v[i]);
    convert_block_q8(v, scale * kActSecondLevel, rest++, q);
  }
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
