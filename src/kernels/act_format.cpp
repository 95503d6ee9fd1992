#include "kernels/act_format.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/half.h"

namespace watra::kernels {
namespace {

void convert_block(const float* x, float scale, ActBlock& out) {
  const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  int sums[2] = {0, 0};
  for (int i = 0; i < 32; ++i) {
    const int q = std::clamp(static_cast<int>(std::nearbyintf(x[i] * inverse)), -127, 127);
    out.q[i] = static_cast<int8_t>(q);
    sums[i / 16] += q;
  }
  out.scale = scale;
  out.scaled_sum = scale * static_cast<float>(sums[0] + sums[1]);
  out.sums[0] = static_cast<int16_t>(sums[0]);
  out.sums[1] = static_cast<int16_t>(sums[1]);
}

float block_scale(const float* x) {
  float largest = 0.0f;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest < kActSmallest ? 0.0f : largest / 127.0f;
}

}  // namespace

int64_t act_row_bytes(ActFormat format, int64_t d) {
  switch (format) {
    case ActFormat::f32:
      return d * 4;
    case ActFormat::bf16:
      return d * 2;
    case ActFormat::q8_b32:
      return d / 32 * static_cast<int64_t>(sizeof(ActBlock));
    case ActFormat::q8x2_b32:
      return 2 * (d / 32) * static_cast<int64_t>(sizeof(ActBlock));
  }
  return 0;
}

void convert_act_row(ActFormat format, const float* x, std::byte* out, int64_t d) {
  switch (format) {
    case ActFormat::f32:
      std::memcpy(out, x, static_cast<size_t>(d) * 4);
      break;
    case ActFormat::bf16:
      for (int64_t i = 0; i < d; ++i) reinterpret_cast<uint16_t*>(out)[i] = tensor::f32_to_bf16(x[i]);
      break;
    case ActFormat::q8_b32:
      for (int64_t b = 0; b < d / 32; ++b)
        convert_block(x + 32 * b, block_scale(x + 32 * b), reinterpret_cast<ActBlock*>(out)[b]);
      break;
    case ActFormat::q8x2_b32:
      for (int64_t b = 0; b < d / 32; ++b, x += 32) {
        ActBlock& first = reinterpret_cast<ActBlock*>(out)[b];
        convert_block(x, block_scale(x), first);
        float rest[32];
        for (int i = 0; i < 32; ++i) rest[i] = std::fma(-first.scale, static_cast<float>(first.q[i]), x[i]);
        convert_block(rest, first.scale * kActSecondLevel, reinterpret_cast<ActBlock*>(out)[d / 32 + b]);
      }
      break;
  }
}

void decode_act_row(ActFormat format, const std::byte* in, float* out, int64_t d) {
  switch (format) {
    case ActFormat::f32:
      std::memcpy(out, in, static_cast<size_t>(d) * 4);
      break;
    case ActFormat::bf16:
      for (int64_t i = 0; i < d; ++i) out[i] = tensor::bf16_to_f32(reinterpret_cast<const uint16_t*>(in)[i]);
      break;
    case ActFormat::q8_b32:
      for (int64_t i = 0; i < d; ++i) {
        const ActBlock& block = reinterpret_cast<const ActBlock*>(in)[i / 32];
        out[i] = block.scale * static_cast<float>(block.q[i % 32]);
      }
      break;
    case ActFormat::q8x2_b32:
      for (int64_t i = 0; i < d; ++i) {
        const ActBlock* first = reinterpret_cast<const ActBlock*>(in) + i / 32;
        const ActBlock* second = first + d / 32;
        out[i] =
            first->scale * static_cast<float>(first->q[i % 32]) + second->scale * static_cast<float>(second->q[i % 32]);
      }
      break;
  }
}

}  // namespace watra::kernels
