// Quantization: dispatch, plain types and the 32-weight blocks. Super-blocks are in quantize_super.cpp, the searches
// that both use in internal/scale_search.h.
#include "tensor/quantize.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>

#include "tensor/blocks.h"
#include "tensor/internal/levels.h"
#include "tensor/internal/quantize_rows.h"
#include "tensor/internal/scale_search.h"
#include "tensor/internal/search_points.h"

namespace watra::tensor {
namespace internal {

void prepare(const float* x, const float* importance, int n, float limit, float* x_out, float* w_out) {
  for (int i = 0; i < n; ++i) x_out[i] = std::isnan(x[i]) ? 0.0f : std::clamp(x[i], -limit, limit);
  double total = 0;
  if (importance) {
    for (int i = 0; i < n; ++i) total += importance[i] > 0 ? importance[i] : 0;
  }
  if (!(total > 0) || !std::isfinite(total)) {
    std::fill_n(w_out, n, 1.0f);
    return;
  }
  const double normalize = n / total;
  for (int i = 0; i < n; ++i) w_out[i] = importance[i] > 0 ? static_cast<float>(importance[i] * normalize) : 0.0f;
}

namespace {

// f16 scales worth comparing: nearest to v, and among the coarse subnormals its neighbours too.
struct F16Choices {
  std::array<uint16_t, 3> bits;
  int n;
};

F16Choices f16_choices(float v) {
  const uint16_t nearest = f32_to_f16(std::clamp(v, -kF16Max, kF16Max));
  F16Choices c{{nearest, 0, 0}, 1};
  const uint16_t magnitude = nearest & 0x7fff, sign = nearest & 0x8000;
  if (v == 0 || magnitude >= 0x0400) return c;
  c.bits[c.n++] = static_cast<uint16_t>(sign | (magnitude + 1));
  if (magnitude > 0) c.bits[c.n++] = static_cast<uint16_t>(sign | (magnitude - 1));
  return c;
}

// The block's levels under the best of some scales, rounded to f16; returns its bits.
template <class Levels>
uint16_t encode_scaled(const float* x, const float* w, std::initializer_list<float> scales, uint8_t* codes) {
  uint16_t best_bits = 0;
  float best_error = INFINITY;
  alignas(16) float levels[32], best_levels[32];
  for (const float scale : scales) {
    const F16Choices choices = f16_choices(scale);
    for (int c = 0; c < choices.n; ++c) {
      const float error = assign_levels<Levels, 32>(x, w, f16_to_f32(choices.bits[c]), levels);
      if (!(error < best_error)) continue;
      best_error = error;
      best_bits = choices.bits[c];
      std::copy_n(levels, 32, best_levels);
    }
  }
  for (int i = 0; i < 32; ++i) codes[i] = Levels::code(best_levels[i]);
  return best_bits;
}

template <class Levels>
uint16_t quantize_scaled(const float* src, const float* importance, uint8_t* codes) {
  alignas(16) float x[32], w[32];
  prepare(src, importance, 32, kF16Max * -Levels::kLow, x, w);
  return encode_scaled<Levels>(x, w, {fit_scale<Levels, 32>(x, w, kFactors<Levels>), furthest<32>(x) / Levels::kLow},
                               codes);
}

struct ScaleOffset {
  uint16_t d, m;
};

// Best levels for a given f16 offset: the scale solved for again, as rounding moved the offset.
template <int kTop>
float encode_affine(const float* x, const float* w, const AffineFit& fit, ScaleOffset& out, uint8_t* codes) {
  out.m = f32_to_f16(std::clamp(fit.o, -kF16Max, kF16Max));
  const float m = f16_to_f32(out.m);
  float best_error = INFINITY;
  const F16Choices choices = f16_choices(fit.d);
  for (int c = 0; c < choices.n; ++c) {
    const float d = f16_to_f32(choices.bits[c]), inverse = inverse_or_zero(d);
    float error = 0;
    uint8_t levels[32];
    for (int i = 0; i < 32; i += 4) {
      const F4 v = load(x + i), q = round_even(clamp((v - m) * inverse, 0, kTop)), r = v - (d * q + m);
      error += sum(load(w + i) * r * r);
      for (int k = 0; k < 4; ++k) levels[i + k] = static_cast<uint8_t>(q[k]);
    }
    if (!(error < best_error)) continue;
    best_error = error;
    out.d = choices.bits[c];
    std::copy_n(levels, 32, codes);
  }
  return best_error;
}

template <int kTop>
ScaleOffset quantize_affine(const float* src, const float* importance, uint8_t* codes) {
  alignas(16) float x[32], w[32];
  prepare(src, importance, 32, kF16Max, x, w);
  AffineFit fit = fit_affine<kTop, 32>(x, w, Offset::any, kCuts<kTop>);
  // The offset rounds to f16 first; the scale is then the best one beside it.
  const float m = f16_to_f32(f32_to_f16(std::clamp(fit.o, -kF16Max, kF16Max)));
  double xq = 0, qq = 0;
  for (int i = 0; i < 32; ++i) {
    const float q = fit.d > 0 ? std::clamp(std::nearbyint((x[i] - fit.o) / fit.d), 0.0f, float{kTop}) : 0.0f;
    xq += static_cast<double>(w[i]) * q * (x[i] - m);
    qq += static_cast<double>(w[i]) * q * q;
  }
  if (qq > 0) fit.d = static_cast<float>(xq / qq);

  ScaleOffset searched, plain;
  uint8_t plain_codes[32];
  const auto [low, high] = std::minmax_element(x, x + 32);
  const float searched_error = encode_affine<kTop>(x, w, fit, searched, codes);
  const float plain_error = encode_affine<kTop>(x, w, {(*high - *low) / kTop, *low}, plain, plain_codes);
  if (searched_error <= plain_error) return searched;
  std::copy_n(plain_codes, 32, codes);
  return plain;
}

void pack_nibbles(const uint8_t (&codes)[32], uint8_t (&qs)[16]) {
  for (int i = 0; i < 16; ++i) qs[i] = static_cast<uint8_t>((codes[i] & 15) | codes[16 + i] << 4);
}

void pack_fifth_bits(const uint8_t (&codes)[32], uint8_t (&qh)[4]) {
  uint32_t bits = 0;
  for (int i = 0; i < 32; ++i) bits |= static_cast<uint32_t>(codes[i] >> 4) << i;
  std::memcpy(qh, &bits, 4);
}

void quantize_block(const float* x, const float* importance, BlockQ4_0& b) {
  uint8_t codes[32];
  b.d = quantize_scaled<UniformLevels<-8, 7>>(x, importance, codes);
  pack_nibbles(codes, b.qs);
}

void quantize_block(const float* x, const float* importance, BlockQ5_0& b) {
  uint8_t codes[32];
  b.d = quantize_scaled<UniformLevels<-16, 15>>(x, importance, codes);
  pack_nibbles(codes, b.qs);
  pack_fifth_bits(codes, b.qh);
}

void quantize_block(const float* x, const float* importance, BlockIQ4NL& b) {
  uint8_t codes[32];
  b.d = quantize_scaled<Iq4Levels>(x, importance, codes);
  pack_nibbles(codes, b.qs);
}

void quantize_block(const float* x, const float* importance, BlockQ4_1& b) {
  uint8_t codes[32];
  const ScaleOffset s = quantize_affine<15>(x, importance, codes);
  b.d = s.d, b.m = s.m;
  pack_nibbles(codes, b.qs);
}

void quantize_block(const float* x, const float* importance, BlockQ5_1& b) {
  uint8_t codes[32];
  const ScaleOffset s = quantize_affine<31>(x, importance, codes);
  b.d = s.d, b.m = s.m;
  pack_nibbles(codes, b.qs);
  pack_fifth_bits(codes, b.qh);
}

// 8 bits: the scale that just covers the range is the best one to within the rounding of f16; -128 stays unused, so
// that products of two such numbers can be negated in place. Returns the scale's bits.
uint16_t quantize_8_bits(const float* src, int8_t (&qs)[32]) {
  alignas(16) float x[32], w[32];
  prepare(src, nullptr, 32, kF16Max * 127, x, w);
  const F16Choices choices = f16_choices(std::fabs(furthest<32>(x)) / 127);
  uint16_t best_bits = 0;
  float best_error = INFINITY;
  for (int c = 0; c < choices.n; ++c) {
    alignas(16) float levels[32];
    const float error = assign_levels<UniformLevels<-127, 127>, 32>(x, w, f16_to_f32(choices.bits[c]), levels);
    if (!(error < best_error)) continue;
    best_error = error;
    best_bits = choices.bits[c];
    for (int i = 0; i < 32; ++i) qs[i] = static_cast<int8_t>(levels[i]);
  }
  return best_bits;
}

void quantize_block(const float* x, const float*, BlockQ8_0& b) { b.d = quantize_8_bits(x, b.qs); }

void quantize_block(const float* x, const float*, BlockQ8_1& b) {
  b.d = quantize_8_bits(x, b.qs);
  int total = 0;
  for (const int8_t q : b.qs) total += q;
  b.s = f32_to_f16(std::clamp(f16_to_f32(b.d) * static_cast<float>(total), -kF16Max, kF16Max));
}

template <class Block>
void quantize_blocks(const float* src, void* dst, int64_t n, const float* importance) {
  auto* blocks = static_cast<Block*>(dst);
  for (int64_t i = 0; i < n; i += Block::kElements) {
    quantize_block(src + i, importance ? importance + i : nullptr, blocks[i / Block::kElements]);
  }
}

void quantize_f32(const float* src, void* dst, int64_t n, const float*) {
  std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(float));
}

void quantize_f16(const float* src, void* dst, int64_t n, const float*) {
  std::transform(src, src + n, static_cast<uint16_t*>(dst), f32_to_f16);
}

void quantize_bf16(const float* src, void* dst, int64_t n, const float*) {
  std::transform(src, src + n, static_cast<uint16_t*>(dst), f32_to_bf16);
}

using QuantizeFn = void (*)(const float*, void*, int64_t, const float*);

QuantizeFn find_quantize(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return quantize_f32;
    case DType::f16:
      return quantize_f16;
    case DType::bf16:
      return quantize_bf16;
    case DType::q4_0:
      return quantize_blocks<BlockQ4_0>;
    case DType::q4_1:
      return quantize_blocks<BlockQ4_1>;
    case DType::q5_0:
      return quantize_blocks<BlockQ5_0>;
    case DType::q5_1:
      return quantize_blocks<BlockQ5_1>;
    case DType::q8_0:
      return quantize_blocks<BlockQ8_0>;
    case DType::q8_1:
      return quantize_blocks<BlockQ8_1>;
    case DType::iq4_nl:
      return quantize_blocks<BlockIQ4NL>;
    case DType::q2_k:
      return quantize_q2_k;
    case DType::q3_k:
      return quantize_q3_k;
    case DType::q4_k:
      return quantize_q4_k;
    case DType::q5_k:
      return quantize_q5_k;
    case DType::q6_k:
      return quantize_q6_k;
    case DType::q8_k:
      return quantize_q8_k;
    case DType::iq4_xs:
      return quantize_iq4_xs;
    default:
      return nullptr;
  }
}

}  // namespace
}  // namespace internal

bool can_quantize(DType dtype) { return internal::find_quantize(dtype) != nullptr; }

void quantize_row(DType dtype, const float* src, void* dst, int64_t n, const float* importance) {
  assert(n >= 0 && n % traits(dtype).block_elements == 0);
  internal::find_quantize(dtype)(src, dst, n, importance);
}

}  // namespace watra::tensor
