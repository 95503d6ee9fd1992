// Between quantize.cpp (dispatch, 32-weight blocks) and quantize_super.cpp (super-blocks).
#pragma once

#include <cstdint>

namespace watra::tensor::internal {

// One block's weights and their importance, made safe for the searches: NaN is 0, magnitudes at most `limit`,
// importance non-negative with mean 1 (all 1 without importance or where it says nothing).
void prepare(const float* x, const float* importance, int n, float limit, float* x_out, float* w_out);

void quantize_q2_k(const float* src, void* dst, int64_t n, const float* importance);
void quantize_q3_k(const float* src, void* dst, int64_t n, const float* importance);
void quantize_q4_k(const float* src, void* dst, int64_t n, const float* importance);
void quantize_q5_k(const float* src, void* dst, int64_t n, const float* importance);
void quantize_q6_k(const float* src, void* dst, int64_t n, const float* importance);
void quantize_q8_k(const float* src, void* dst, int64_t n, const float* importance);
void quantize_iq4_xs(const float* src, void* dst, int64_t n, const float* importance);

}  // namespace watra::tensor::internal
