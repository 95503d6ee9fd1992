#include "kernels/act_format.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/half.h"

namespace watra::kernels {
namespace {

ActRecord make_record(ActFormat format, const float* x, float scale) {
  ActRecord out;
  const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  int sums[2] = {0, 0};
  for (int i = 0; i < 32; ++i) {
    const int q = std::clamp(static_cast<int>(std::nearbyintf(x[i] * inverse)), -127, 127);
    out.q[i] = static_cast<int8_t>(q);
    sums[i / 16] += q;
  }
  out.scale = scale;
  const auto of = [&](int sum) {
    ActSum s;
    if (format == ActFormat::q8)
      s.scaled = scale * static_cast<float>(sum);
    else
      s.start = kFloatMagic - added_to_weights(format) * sum;
    return s;
  };
  out.sum = of(sums[0] + sums[1]);
  for (int h = 0; h < 2; ++h) out.half[h] = of(sums[h]);
  return out;
}

float largest_magnitude(const float* x, int64_t n) {
  float largest = 0.0f;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest;
}

float block_scale(const float* x) {
  const float largest = largest_magnitude(x, 32);
  return largest < kActSmallest ? 0.0f : largest / 127.0f;
}

void convert_bf16_row(const float* x, uint16_t* out, int64_t d) {
  const Bf16ActLayout at{d};
  std::fill_n(out, at.stride(), uint16_t{0});
  const auto largest = [&](int64_t b) {
    const int64_t from = b * Bf16ActLayout::kBlock;
    return largest_magnitude(x + from, std::min(Bf16ActLayout::kBlock, d - from));
  };
  float power = 0.0f;  // in block order
  for (int64_t b = 0; b < at.n_blocks(); ++b) power += largest(b) * largest(b);
  const float limit = power / static_cast<float>(at.n_blocks()) * kBf16RestAbove;
  auto* masks = reinterpret_cast<uint32_t*>(out + at.masks());
  for (int64_t b = 0; b < at.n_blocks(); ++b) {
    const bool has_rest = largest(b) * largest(b) > limit;
    if (has_rest) masks[b / 32] |= uint32_t{1} << b % 32;
    for (int64_t i = b * Bf16ActLayout::kBlock; i < std::min(d, (b + 1) * Bf16ActLayout::kBlock); ++i) {
      out[i] = tensor::f32_to_bf16(x[i]);
      if (has_rest) out[at.rest() + i] = tensor::f32_to_bf16(x[i] - tensor::bf16_to_f32(out[i]));
    }
  }
}

}  // namespace

int64_t act_bytes(ActFormat format, int64_t m, int64_t d) {
  if (format == ActFormat::f32) return m * d * 4;
  if (format == ActFormat::bf16) return m * Bf16ActLayout{d}.stride() * 2;
  return ActLayout(m, d).bytes();
}

void convert_act_row(ActFormat format, const float* x, std::byte* acts, int64_t row, int64_t m, int64_t d) {
  if (format == ActFormat::f32) {
    std::memcpy(acts + row * d * 4, x, static_cast<size_t>(d) * 4);
    return;
  }
  if (format == ActFormat::bf16)
    return convert_bf16_row(x, reinterpret_cast<uint16_t*>(acts) + row * Bf16ActLayout{d}.stride(), d);
  const ActLayout at(m, d);
  const auto record = [&](int64_t offset) -> ActRecord& { return *reinterpret_cast<ActRecord*>(acts + offset); };
  float power = 0.0f;  // of the scales, in block order
  for (int64_t b = 0; b < at.n_blocks; ++b) {
    ActRecord& r = record(at.record(b, row));
    r = make_record(format, x + 32 * b, block_scale(x + 32 * b));
    power += r.scale * r.scale;
  }
  const float limit = power / static_cast<float>(at.n_blocks) * kActRestAbove;
  for (int64_t b = 0; b < at.n_blocks; ++b) {
    const ActRecord& r = record(at.record(b, row));
    const bool has_rest = r.scale * r.scale > limit;
    acts[at.flag(b, row)] = static_cast<std::byte>(has_rest);
    if (!has_rest) continue;
    float rest[32];
    for (int i = 0; i < 32; ++i) rest[i] = std::fma(-r.scale, static_cast<float>(r.q[i]), x[32 * b + i]);
    record(at.rest(b, row)) = make_record(format, rest, r.scale * kActSecondLevel);
  }
}

void decode_act_row(ActFormat format, const std::byte* acts, int64_t row, int64_t m, float* out, int64_t d) {
  if (format == ActFormat::f32) {
    std::memcpy(out, acts + row * d * 4, static_cast<size_t>(d) * 4);
    return;
  }
  if (format == ActFormat::bf16) {
    const Bf16ActLayout at{d};
    const auto* in = reinterpret_cast<const uint16_t*>(acts) + row * at.stride();
    for (int64_t i = 0; i < d; ++i) out[i] = tensor::bf16_to_f32(in[i]) + tensor::bf16_to_f32(in[at.rest() + i]);
    return;
  }
  const ActLayout at(m, d);
  for (int64_t b = 0; b < at.n_blocks; ++b) {
    const auto value = [&](int64_t offset, int64_t i) {
      const auto& r = *reinterpret_cast<const ActRecord*>(acts + offset);
      return r.scale * static_cast<float>(r.q[i]);
    };
    for (int64_t i = 0; i < 32; ++i) {
      out[32 * b + i] = value(at.record(b, row), i);
      if (acts[at.flag(b, row)] != std::byte{0}) out[32 * b + i] += value(at.rest(b, row), i);
    }
  }
}

}  // namespace watra::kernels
