// y = W x with float activations: the products of every dtype on the generic ISA, and of the plain float types
// everywhere.
//
//   y[m,r] = fold_sum(acc),  acc[i mod 8] += w[r,i] * x[m,i],  i = 0 .. D-1 left to right
//
//   W [R,D] f32, f16, bf16: read in place;  anything else: dequantized four rows at a time, once for all M
//   X [M,D] f32
//
// Order: the lanes above, whatever the tile, M or range: tiles only decide which sums are computed side by side.
#pragma once

#include "kernels/lanes/math.h"
#include "kernels/ops.h"
#include "tensor/quantize.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

inline constexpr int kDotRows = 4;  // rows per tile: four chains of sums hide most of an FMA's latency at M = 1
inline constexpr int kDotTokens = 2;
// Above this M a 16-bit weight is widened once into scratch instead of once per tile.
inline constexpr int64_t kWidenAbove = 4;

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

template <class Weight, int kRows, int kTokens>
inline void dot_tile(const std::byte* const* rows, const float* x, int64_t x_stride, int64_t d, float* y,
                     int64_t y_stride) {
  F8 acc[kRows][kTokens];
  const typename Weight::Element* w[kRows];
  for (int r = 0; r < kRows; ++r) {
    w[r] = reinterpret_cast<const typename Weight::Element*>(rows[r]);
    for (int m = 0; m < kTokens; ++m) acc[r][m] = zero();
  }
  int64_t i = 0;
  for (; i + 8 <= d; i += 8) {
    F8 xs[kTokens];
    for (int m = 0; m < kTokens; ++m) xs[m] = load(x + m * x_stride + i);
    for (int r = 0; r < kRows; ++r) {
      const F8 ws = Weight::at(w[r] + i);
      for (int m = 0; m < kTokens; ++m) acc[r][m] = fma(ws, xs[m], acc[r][m]);
    }
  }
  if (i < d) {
    F8 xs[kTokens];
    for (int m = 0; m < kTokens; ++m) xs[m] = load_tail(x + m * x_stride + i, d - i);
    for (int r = 0; r < kRows; ++r) {
      const F8 ws = weight_tail<Weight>(w[r] + i, d - i);
      for (int m = 0; m < kTokens; ++m) acc[r][m] = fma(ws, xs[m], acc[r][m]);
    }
  }
  for (int m = 0; m < kTokens; ++m)
    for (int r = 0; r < kRows; ++r) y[m * y_stride + r] = fold_sum(acc[r][m]);
}

template <class Weight>
void dot_rows(const std::byte* const* rows, int64_t n_rows, const MatmulArgs& a, int64_t d, int64_t first_row) {
  const auto* x = reinterpret_cast<const float*>(a.x);
  const int64_t x_stride = a.x_stride_bytes / static_cast<int64_t>(sizeof(float));
  int64_t m = 0;
  for (; m + kDotTokens <= a.m; m += kDotTokens) {
    float* y = a.y + m * a.y_stride + first_row;
    if (n_rows == kDotRows) {
      dot_tile<Weight, kDotRows, kDotTokens>(rows, x + m * x_stride, x_stride, d, y, a.y_stride);
    } else {
      for (int64_t r = 0; r < n_rows; ++r)
        dot_tile<Weight, 1, kDotTokens>(rows + r, x + m * x_stride, x_stride, d, y + r, a.y_stride);
    }
  }
  for (; m < a.m; ++m) {
    float* y = a.y + m * a.y_stride + first_row;
    if (n_rows == kDotRows) {
      dot_tile<Weight, kDotRows, 1>(rows, x + m * x_stride, x_stride, d, y, a.y_stride);
    } else {
      for (int64_t r = 0; r < n_rows; ++r)
        dot_tile<Weight, 1, 1>(rows + r, x + m * x_stride, x_stride, d, y + r, a.y_stride);
    }
  }
}

inline int64_t dot_scratch_bytes(int64_t d) {
  return kDotRows * ((d + 15) / 16 * 16) * static_cast<int64_t>(sizeof(float));
}

template <class Weight>
void widen(const std::byte* row, float* out, int64_t d) {
  const auto* w = reinterpret_cast<const typename Weight::Element*>(row);
  int64_t i = 0;
  for (; i + 8 <= d; i += 8) store(out + i, Weight::at(w + i));
  if (i < d) store_tail(out + i, weight_tail<Weight>(w + i, d - i), d - i);
}

inline void matmul_float(const MatmulArgs& a, int64_t row_begin, int64_t row_end, std::byte* scratch) {
  const int64_t d = a.w.shape.cols();
  const DType dtype = a.w.dtype;
  const uint64_t row_bytes = tensor::row_bytes(dtype, d);
  auto* wide = reinterpret_cast<float*>(scratch);
  const int64_t wide_stride = (d + 15) / 16 * 16;
  for (int64_t r = row_begin; r < row_end; r += kDotRows) {
    const int64_t n = row_end - r < kDotRows ? row_end - r : kDotRows;
    const std::byte* rows[kDotRows];
    for (int64_t i = 0; i < n; ++i) rows[i] = a.w.data + static_cast<uint64_t>(r + i) * row_bytes;
    if (dtype == DType::f32) {
      dot_rows<WeightF32>(rows, n, a, d, r);
      continue;
    }
    if (a.m <= kWidenAbove && dtype == DType::f16) {
      dot_rows<WeightF16>(rows, n, a, d, r);
      continue;
    }
    if (a.m <= kWidenAbove && dtype == DType::bf16) {
      dot_rows<WeightBf16>(rows, n, a, d, r);
      continue;
    }
    for (int64_t i = 0; i < n; ++i) {
      float* out = wide + i * wide_stride;
      if (dtype == DType::f16)
        widen<WeightF16>(rows[i], out, d);
      else if (dtype == DType::bf16)
        widen<WeightBf16>(rows[i], out, d);
      else
        tensor::dequantize_row(dtype, rows[i], out, d);
      rows[i] = reinterpret_cast<const std::byte*>(out);
    }
    dot_rows<WeightF32>(rows, n, a, d, r);
  }
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
