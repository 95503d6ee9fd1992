// How activations are stored for the products, and the scalar conversions that define each format.
//
// A row of D activations in format q8_b32 is D/32 blocks; the integers are what the products are exact in.
#pragma once

#include <cstdint>

#include "kernels/ops.h"

namespace watra::kernels {

// Blocks whose largest magnitude is below this are stored as zeros: the scale and its inverse stay normal numbers.
inline constexpr float kActSmallest = 0x1p-110f;

// x[i] ~ scale * q[i], scale = max |x| / 127, q = x[i] * (1 / scale) rounded to nearest even. D % 32 == 0.
struct ActBlock {
  float scale;
  float scaled_sum;  // scale * (sum of q): meets the minimum of a weight block
  int16_t sums[2];   // of q[0..15] and q[16..31]: meet offsets and minima of half blocks, as one 32-bit broadcast
  int8_t q[32];
};
static_assert(sizeof(ActBlock) == 44 && alignof(ActBlock) == 4);

// q8x2_b32: D/32 such blocks, then D/32 more for the remainders x - scale * q, whose scale is scale / 254.
inline constexpr float kActSecondLevel = 1.0f / 254.0f;

int64_t act_row_bytes(ActFormat format, int64_t d);
// Scalar. ISA tables may bring a faster one that gives the same bytes.
void convert_act_row(ActFormat format, const float* x, std::byte* out, int64_t d);
// What a converted row stands for.
void decode_act_row(ActFormat format, const std::byte* in, float* out, int64_t d);

}  // namespace watra::kernels
