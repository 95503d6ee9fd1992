// y = W x with float activations for many tokens, and of weights that cannot be read in place: rows are unpacked, a
// block at a time, into the order in which tiles read them, once for all tokens. Order of sums: dot.h.
//
//   block    kBlockRows rows x kChunk columns: 128 KiB of floats, in the second-level cache while all tokens pass by
//   unpacked [block rows / 4][steps][4][step]    a tile of four rows reads its weights front to back
//
// The next block's weights are fetched while one is unpacked; the next tile's activations while one is multiplied.
#pragma once

#include "kernels/lanes/dot.h"
#include "tensor/quantize.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

inline constexpr int64_t kBlockRows = 64;
// So many tokens stay in the second-level cache while the rows of a block pass by kNearRows at a time.
inline constexpr int64_t kNearTokens = 48;
static_assert(kNearTokens % kDotTokens == 0);

struct alignas(64) DotScratch {
  float row[FactorsF32::kChunk];  // a chunk of a row that is no plain float type
  std::byte block[kBlockRows * FactorsF32::kChunk * sizeof(float)];
};
inline int64_t dot_scratch_bytes(int64_t) { return sizeof(DotScratch); }

// Into the second-level cache.
inline void fetch_lines(const void* from, int64_t n_bytes) {
  for (int64_t i = 0; i < n_bytes; i += 64) __builtin_prefetch(static_cast<const std::byte*>(from) + i, 0, 2);
}

inline const std::byte* row_part(const TensorView& w, int64_t r, int64_t column) {
  return w.data + static_cast<uint64_t>(r) * tensor::row_bytes(w.dtype, w.shape.cols()) +
         tensor::row_bytes(w.dtype, column);
}

// n columns of a row to out, step by step `stride` elements apart; the last step is filled with zeros.
template <class Factors>
void unpack_row(const typename Factors::Weight* w, int64_t n, typename Factors::Act* out, int64_t stride) {
  constexpr int64_t kStep = Factors::kStep;
  int64_t i = 0;
  for (; i + kStep <= n; i += kStep, out += stride) Factors::store_unpacked(out, Factors::weights(w + i));
  if (i < n) Factors::store_unpacked(out, Factors::weights_tail(w + i, n - i));
}

// Columns [from, from + n) of row r, whatever its type, as floats.
inline void unpack_any_row(const TensorView& w, int64_t r, int64_t from, int64_t n, float* out, int64_t stride,
                           DotScratch& s) {
  const std::byte* row = row_part(w, r, from);
  switch (w.dtype) {
    case DType::f32:
      return unpack_row<FactorsF32>(reinterpret_cast<const float*>(row), n, out, stride);
    case DType::f16:
      return unpack_row<FactorsF16>(reinterpret_cast<const uint16_t*>(row), n, out, stride);
    case DType::bf16:
      return unpack_row<FactorsBf16>(reinterpret_cast<const uint16_t*>(row), n, out, stride);
    default:
      tensor::dequantize_row(w.dtype, row, s.row, n);
      return unpack_row<FactorsF32>(s.row, n, out, stride);
  }
}

// All tokens against an unpacked block of n_rows rows from r on and n columns from `from` on.
template <class Factors>
void multiply_block(const MatmulArgs& a, const typename Factors::Weight* block, int64_t r, int64_t n_rows, int64_t from,
                    int64_t n, const ActRows<typename Factors::Act>& x) {
  constexpr int64_t kStep = Factors::kStep;
  const int64_t row_elements = (n + kStep - 1) / kStep * kStep;
  const auto n_bytes = n * static_cast<int64_t>(sizeof(typename Factors::Act));
  for (int64_t first = 0; first < a.m; first += kNearTokens)
    for (int64_t near = 0; near < n_rows; near += kNearRows) {
      const int64_t end = near + kNearRows < n_rows ? near + kNearRows : n_rows;
      for_token_tiles(a.m - first < kNearTokens ? a.m - first : kNearTokens, [&](auto tokens, int64_t tile) {
        const int64_t m = first + tile;
        const auto acts = tile_acts<Factors>(x, m, tokens(), from);
        int64_t next = m + kDotTokens;  // the token whose activations are fetched beside a tile
        for (int64_t i = near; i < end; i += kDotRows) {
          if (next < a.m && next < m + 2 * kDotTokens) fetch_lines(x.x + next++ * x.stride + from, n_bytes);
          dot_tile<Factors, kDotRows, tokens(), Fetches::nothing>(
              block + i * row_elements, {kStep, kDotRows * kStep}, acts, n, a.y + m * a.y_stride + r + i, a.y_stride,
              static_cast<int>(end - i < kDotRows ? end - i : kDotRows), from == 0);
        }
      });
    }
}

// unpack(r, from, n, out, stride): columns [from, from + n) of row r as Factors::Weight, as unpack_row() writes them.
template <class Factors, class UnpackRow>
void matmul_blocks(const MatmulArgs& a, int64_t row_begin, int64_t row_end, const ActRows<typename Factors::Act>& x,
                   typename Factors::Weight* block, UnpackRow unpack) {
  constexpr int64_t kStep = Factors::kStep, kChunk = Factors::kChunk;
  const int64_t d = a.w.shape.cols();
  for (int64_t r = row_begin; r < row_end; r += kBlockRows) {
    const int64_t n_rows = row_end - r < kBlockRows ? row_end - r : kBlockRows;
    for (int64_t from = 0; from < d; from += kChunk) {
      const int64_t n = d - from < kChunk ? d - from : kChunk, row_elements = (n + kStep - 1) / kStep * kStep;
      // Behind this chunk of a row comes its next, or the first one of the row in the next block.
      const bool is_last = from + kChunk >= d;
      const int64_t ahead_row = is_last ? r + kBlockRows : r, ahead_from = is_last ? 0 : from + kChunk;
      const int64_t ahead_n = d - ahead_from < kChunk ? d - ahead_from : kChunk;
      const auto ahead_bytes = static_cast<int64_t>(tensor::row_bytes(a.w.dtype, ahead_n));
      for (int64_t i = 0; i < n_rows; ++i) {
        if (ahead_row + i < row_end) fetch_lines(row_part(a.w, ahead_row + i, ahead_from), ahead_bytes);
        unpack(r + i, from, n, block + i / kDotRows * kDotRows * row_elements + i % kDotRows * kStep, kDotRows * kStep);
      }
      // Where a tile's rows are missing, whatever lies there is multiplied, and not stored.
      multiply_block<Factors>(a, block, r, n_rows, from, n, x);
    }
  }
}

inline void matmul_float(const MatmulArgs& a, int64_t row_begin, int64_t row_end, std::byte* scratch) {
  const ActRows<float> x = {reinterpret_cast<const float*>(a.x),
                            a.x_stride_bytes / static_cast<int64_t>(sizeof(float))};
  if (a.m <= kInPlace && a.w.dtype == DType::f32) return matmul_in_place<FactorsF32>(a, row_begin, row_end, x);
  if (a.m <= kInPlace && a.w.dtype == DType::f16) return matmul_in_place<FactorsF16>(a, row_begin, row_end, x);
  if (a.m <= kInPlace && a.w.dtype == DType::bf16) return matmul_in_place<FactorsBf16>(a, row_begin, row_end, x);
  DotScratch& s = *reinterpret_cast<DotScratch*>(scratch);
  matmul_blocks<FactorsF32>(a, row_begin, row_end, x, reinterpret_cast<float*>(s.block),
                            [&](int64_t r, int64_t from, int64_t n, float* out, int64_t stride) {
                              unpack_any_row(a.w, r, from, n, out, stride, s);
                            });
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
