// y = W x with float activations: the products of every dtype on the generic ISA, and of the plain float types
// everywhere.
//
//   y[m,r] = fold_sum(acc),  acc[i mod 8] += w[r,i] * x[m,i],  i = 0 .. D-1 left to right
//
//   W [R,D]  f32, f16, bf16    few tokens: read in place, once, rows side by side
//            any dtype         more tokens: a chunk of columns of 16 rows becomes floats once for 64 tokens
//   X [M,D]  f32               64 tokens of a chunk stay in the second-level cache while rows pass by
//   Y [M,R]  f32               sums wait in scratch, eight lanes each, from chunk to chunk
//
// Order: the lanes above, whatever the tile, chunk, M or range: they only decide which sums are computed side by side.
//
// Cost   a step of eight columns for 4 rows and 3 tokens is 12 FMAs and 7 loads: bound by the FMAs.
#pragma once

#include "kernels/lanes/math.h"
#include "kernels/ops.h"
#include "tensor/quantize.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

inline constexpr int kDotRows = 4;    // rows of a tile: enough chains of sums to hide most of an FMA's latency
inline constexpr int kDotTokens = 3;  // tokens of a tile: with 4 rows, as many sums as sixteen registers hold
// Up to this M plain float weights are read in place.
inline constexpr int64_t kInPlace = 16;

inline constexpr int64_t kChunkColumns = 512, kChunkRows = 16, kChunkTokens = 64;

struct WeightF32 {
  using Element = float;
  static F8 at(const float* p) { return load(p); }
};
struct WeightF16 {
  using Element = uint16_t;
  static F8 at(const uint16_t* p) { return load_f16(p); }
};
struct WeightBf16 {
  using Element = uint16_t;
  static F8 at(const uint16_t* p) { return load_bf16(p); }
};

template <class Weight>
F8 weight_tail(const typename Weight::Element* p, int64_t n) {
  typename Weight::Element buffer[8] = {};
  for (int i = 0; i < n; ++i) buffer[i] = p[i];
  return Weight::at(buffer);
}

// acc[r][m] += w[r] x[m] over d columns; rows lie `w_stride` elements apart, tokens `x_stride`. As many elements at
// `ahead`, unless it is null, are fetched meanwhile, one line after the other: that is how memory is fast.
template <class Weight, int kRows, int kTokens>
[[gnu::always_inline]] inline void add_columns(F8 (*acc)[kTokens], const typename Weight::Element* w, int64_t w_stride,
                                               const float* x, int64_t x_stride, int64_t d,
                                               const typename Weight::Element* ahead) {
  constexpr int64_t kLine = 64 / sizeof(typename Weight::Element);
  const auto step = [&](int64_t i) __attribute__((always_inline)) {
    F8 xs[kTokens];
    for (int m = 0; m < kTokens; ++m) xs[m] = load(x + m * x_stride + i);
    for (int r = 0; r < kRows; ++r) {
      const F8 ws = Weight::at(w + r * w_stride + i);
      for (int m = 0; m < kTokens; ++m) acc[r][m] = fma(ws, xs[m], acc[r][m]);
    }
  };
  int64_t i = 0;
  if (ahead)
    for (; i + kLine <= d; i += kLine) {
      for (int r = 0; r < kRows; ++r) __builtin_prefetch(ahead + kRows * i + r * kLine);
      for (int64_t j = 0; j < kLine; j += 8) step(i + j);
    }
  for (; i + 8 <= d; i += 8) step(i);
  if (i == d) return;
  F8 xs[kTokens];
  for (int m = 0; m < kTokens; ++m) xs[m] = load_tail(x + m * x_stride + i, d - i);
  for (int r = 0; r < kRows; ++r) {
    const F8 ws = weight_tail<Weight>(w + r * w_stride + i, d - i);
    for (int m = 0; m < kTokens; ++m) acc[r][m] = fma(ws, xs[m], acc[r][m]);
  }
}

// kTokens tokens from the first on, few enough to read the weights where they lie; a lone one is as fast as memory and
// has the next rows fetched.
template <class Weight, int kRows, int kTokens>
void dot_in_place(const MatmulArgs& a, int64_t d, int64_t r, int64_t first) {
  const auto* w = reinterpret_cast<const typename Weight::Element*>(a.w.data) + r * d;
  const int64_t x_stride = a.x_stride_bytes / static_cast<int64_t>(sizeof(float));
  const float* x = reinterpret_cast<const float*>(a.x) + first * x_stride;
  F8 acc[kRows][kTokens];
  for (auto& row : acc)
    for (F8& sum : row) sum = zero();
  add_columns<Weight, kRows, kTokens>(acc, w, d, x, x_stride, d, kTokens == 1 && first == 0 ? w + kRows * d : nullptr);
  for (int m = 0; m < kTokens; ++m)
    for (int i = 0; i < kRows; ++i) a.y[(first + m) * a.y_stride + r + i] = fold_sum(acc[i][m]);
}

template <class Weight, int kRows>
void tokens_in_place(const MatmulArgs& a, int64_t d, int64_t r) {
  static_assert(kDotTokens == 3);
  int64_t m = 0;
  for (; m + 3 <= a.m; m += 3) dot_in_place<Weight, kRows, 3>(a, d, r, m);
  if (a.m - m == 2) dot_in_place<Weight, kRows, 2>(a, d, r, m);
  if (a.m - m == 1) dot_in_place<Weight, kRows, 1>(a, d, r, m);
}

template <class Weight>
void matmul_in_place(const MatmulArgs& a, int64_t row_begin, int64_t row_end) {
  const int64_t d = a.w.shape.cols();
  int64_t r = row_begin;
  for (; r + kDotRows <= row_end; r += kDotRows) tokens_in_place<Weight, kDotRows>(a, d, r);
  for (; r < row_end; ++r) tokens_in_place<Weight, 1>(a, d, r);
}

template <class Weight>
void widen(const std::byte* row, float* out, int64_t d) {
  const auto* w = reinterpret_cast<const typename Weight::Element*>(row);
  int64_t i = 0;
  for (; i + 8 <= d; i += 8) store(out + i, Weight::at(w + i));
  if (i < d) store_tail(out + i, weight_tail<Weight>(w + i, d - i), d - i);
}

struct alignas(64) DotScratch {
  float weights[kChunkRows][kChunkColumns];
  float sums[kChunkTokens][kChunkRows][8];
};
inline int64_t dot_scratch_bytes(int64_t) { return sizeof(DotScratch); }

// out = `n` columns of row r from column `from` on, as floats.
inline void chunk_of_row(const TensorView& w, int64_t r, int64_t from, int64_t n, float* out) {
  const std::byte* row =
      w.data + static_cast<uint64_t>(r) * tensor::row_bytes(w.dtype, w.shape.cols()) + tensor::row_bytes(w.dtype, from);
  switch (w.dtype) {
    case DType::f32:
      widen<WeightF32>(row, out, n);
      break;
    case DType::f16:
      widen<WeightF16>(row, out, n);
      break;
    case DType::bf16:
      widen<WeightBf16>(row, out, n);
      break;
    default:
      tensor::dequantize_row(w.dtype, row, out, n);
  }
}

// Fetches what chunk_of_row() will want when it is asked next for this row's place in the tile: the row's next chunk,
// or the first one of the row that follows there.
inline void fetch_ahead(const TensorView& w, int64_t r, int64_t from) {
  const int64_t d = w.shape.cols(), next = from + kChunkColumns;
  const uint64_t row_bytes = tensor::row_bytes(w.dtype, d);
  const std::byte* begin = next < d ? w.data + static_cast<uint64_t>(r) * row_bytes + tensor::row_bytes(w.dtype, next)
                                    : w.data + static_cast<uint64_t>(r + kChunkRows) * row_bytes;
  const uint64_t bytes = tensor::row_bytes(w.dtype, d - next < kChunkColumns && next < d ? d - next : kChunkColumns);
  for (uint64_t i = 0; i < bytes; i += 64) __builtin_prefetch(begin + i);
}

// A chunk's share of the sums of kRows rows and kTokens tokens; sums[m][kChunkRows][8] of the first row and token.
template <int kRows, int kTokens>
[[gnu::noinline]] void dot_tile(const float* w, const float* x, int64_t x_stride, int64_t d, float* sums) {
  const auto sum = [sums](int r, int m) { return sums + (m * kChunkRows + r) * 8; };
  F8 acc[kRows][kTokens];
  for (int r = 0; r < kRows; ++r)
    for (int m = 0; m < kTokens; ++m) acc[r][m] = load(sum(r, m));
  add_columns<WeightF32, kRows, kTokens>(acc, w, kChunkColumns, x, x_stride, d, nullptr);
  for (int r = 0; r < kRows; ++r)
    for (int m = 0; m < kTokens; ++m) store(sum(r, m), acc[r][m]);
}

template <int kTokens>
void dot_chunk(const DotScratch& s, int64_t n_rows, const float* x, int64_t x_stride, int64_t d,
               float (*sums)[kChunkRows][8]) {
  int64_t r = 0;
  for (; r + kDotRows <= n_rows; r += kDotRows) dot_tile<kDotRows, kTokens>(s.weights[r], x, x_stride, d, sums[0][r]);
  for (; r < n_rows; ++r) dot_tile<1, kTokens>(s.weights[r], x, x_stride, d, sums[0][r]);
}

// n_rows <= kChunkRows rows from r on, for the tokens [first, first + n), n <= kChunkTokens.
inline void dot_block(const MatmulArgs& a, int64_t r, int64_t n_rows, int64_t first, int64_t n, DotScratch& s) {
  const int64_t d = a.w.shape.cols(), x_stride = a.x_stride_bytes / static_cast<int64_t>(sizeof(float));
  __builtin_memset(s.sums, 0, static_cast<size_t>(n) * sizeof s.sums[0]);
  for (int64_t from = 0; from < d; from += kChunkColumns) {
    const int64_t columns = d - from < kChunkColumns ? d - from : kChunkColumns;
    for (int64_t i = 0; i < n_rows; ++i) {
      if (first == 0) fetch_ahead(a.w, r + i, from);
      chunk_of_row(a.w, r + i, from, columns, s.weights[i]);
    }
    const float* x = reinterpret_cast<const float*>(a.x) + first * x_stride + from;
    int64_t m = 0;
    for (; m + kDotTokens <= n; m += kDotTokens)
      dot_chunk<kDotTokens>(s, n_rows, x + m * x_stride, x_stride, columns, s.sums + m);
    for (; m < n; ++m) dot_chunk<1>(s, n_rows, x + m * x_stride, x_stride, columns, s.sums + m);
  }
  for (int64_t m = 0; m < n; ++m)
    for (int64_t i = 0; i < n_rows; ++i) a.y[(first + m) * a.y_stride + r + i] = fold_sum(load(s.sums[m][i]));
}

inline void matmul_float(const MatmulArgs& a, int64_t row_begin, int64_t row_end, std::byte* scratch) {
  if (a.m <= kInPlace && a.w.dtype == DType::f32) return matmul_in_place<WeightF32>(a, row_begin, row_end);
  if (a.m <= kInPlace && a.w.dtype == DType::f16) return matmul_in_place<WeightF16>(a, row_begin, row_end);
  if (a.m <= kInPlace && a.w.dtype == DType::bf16) return matmul_in_place<WeightBf16>(a, row_begin, row_end);
  DotScratch& s = *reinterpret_cast<DotScratch*>(scratch);
  for (int64_t first = 0; first < a.m; first += kChunkTokens) {
    const int64_t n = a.m - first < kChunkTokens ? a.m - first : kChunkTokens;
    for (int64_t r = row_begin; r < row_end; r += kChunkRows)
      dot_block(a, r, row_end - r < kChunkRows ? row_end - r : kChunkRows, first, n, s);
  }
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
