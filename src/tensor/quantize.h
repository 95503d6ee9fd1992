// Scalar quantization and dequantization: the truth every faster kernel is held to.
//
// Dequantization is bit-exact with the reference of the `gguf` Python package. Quantization is at least as good (RMSE
// on the block's weights) as llama.cpp's of the same type. Thread-safe, no allocation visible to the caller, no I/O.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "tensor/dtype.h"
#include "tensor/half.h"

namespace watra::tensor {

// n elements (whole blocks) from `src` to `dst`. REQUIRES: can_dequantize(dtype), n % block_elements == 0.
void dequantize_row(DType dtype, const void* src, float* dst, int64_t n);
bool can_dequantize(DType dtype);

// n elements (whole blocks) from `src` to `dst`. `importance` (n values, mean squared activation of each input channel,
// or null) weighs the squared rounding error that is made small; only its ratios inside a block count. REQUIRES:
// can_quantize(dtype), n % block_elements == 0. Quantized types: NaN counts as 0, and magnitudes beyond what a scale
// can reach (infinity too) as the largest one it can; the caller checks beforehand if it wants an error. F32, F16,
// BF16: as they are.
void quantize_row(DType dtype, const float* src, void* dst, int64_t n, const float* importance = nullptr);
bool can_quantize(DType dtype);

}  // namespace watra::tensor
