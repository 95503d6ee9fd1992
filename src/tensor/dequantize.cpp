// Dequantization of the plain types, the 32-weight blocks, the K super-blocks and the ternary and 4-bit float types.
// blocks.h says what the bits mean. Products and sums are taken in the reference's order, each rounded to float, so
// that the result is the reference's bit for bit. The codebook types are in dequantize_codebook.cpp.
#include <cassert>
#include <cstring>

#include "tensor/blocks.h"
#include "tensor/codebooks.h"
#include "tensor/internal/block_codec.h"
#include "tensor/quantize.h"

namespace watra::tensor {
namespace internal {
namespace {

float low(uint8_t v) { return static_cast<float>(v & 15); }
float high(uint8_t v) { return static_cast<float>(v >> 4); }

uint32_t word(const uint8_t (&bytes)[4]) {
  uint32_t w;
  std::memcpy(&w, bytes, 4);
  return w;
}

void dequantize_block(const BlockQ4_0& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * (low(b.qs[i]) - 8);
    y[16 + i] = d * (high(b.qs[i]) - 8);
  }
}

void dequantize_block(const BlockQ4_1& b, float* y) {
  const float d = f16_to_f32(b.d), m = f16_to_f32(b.m);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * low(b.qs[i]) + m;
    y[16 + i] = d * high(b.qs[i]) + m;
  }
}

// Five-bit level of weight k.
float five_bits(const uint8_t (&qs)[16], uint32_t qh, int k) {
  const uint32_t nibble = k < 16 ? qs[k] & 15u : qs[k - 16] >> 4;
  return static_cast<float>(nibble | ((qh >> k) & 1) << 4);
}

void dequantize_block(const BlockQ5_0& b, float* y) {
  const float d = f16_to_f32(b.d);
  const uint32_t qh = word(b.qh);
  for (int k = 0; k < 32; ++k) y[k] = d * (five_bits(b.qs, qh, k) - 16);
}

void dequantize_block(const BlockQ5_1& b, float* y) {
  const float d = f16_to_f32(b.d), m = f16_to_f32(b.m);
  const uint32_t qh = word(b.qh);
  for (int k = 0; k < 32; ++k) y[k] = d * five_bits(b.qs, qh, k) + m;
}

void dequantize_block(const BlockQ8_0& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int k = 0; k < 32; ++k) y[k] = d * b.qs[k];
}

void dequantize_block(const BlockQ8_1& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int k = 0; k < 32; ++k) y[k] = d * b.qs[k];
}

void dequantize_block(const BlockQ2K& b, float* y) {
  const float d = f16_to_f32(b.d), dmin = f16_to_f32(b.dmin);
  for (int j = 0; j < 16; ++j) {
    const float dl = d * low(b.scales[j]), ml = dmin * high(b.scales[j]);
    const uint8_t* q = b.qs + 32 * (j / 8) + 16 * (j % 2);
    const int shift = 2 * (j / 2 % 4);
    for (int i = 0; i < 16; ++i) y[16 * j + i] = dl * static_cast<float>((q[i] >> shift) & 3) - ml;
  }
}

void dequantize_block(const BlockQ3K& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int j = 0; j < 16; ++j) {
    const float dl = d * static_cast<float>(q3k_scale(b.scales, j));
    const uint8_t* q = b.qs + 32 * (j / 8) + 16 * (j % 2);
    const uint8_t* h = b.hmask + 16 * (j % 2);
    const int shift = 2 * (j / 2 % 4), bit = j / 2;
    for (int i = 0; i < 16; ++i) {
      const int level = ((q[i] >> shift) & 3) + 4 * ((h[i] >> bit) & 1) - 4;
      y[16 * j + i] = dl * static_cast<float>(level);
    }
  }
}

void dequantize_block(const BlockQ4K& b, float* y) {
  const float d = f16_to_f32(b.d), dmin = f16_to_f32(b.dmin);
  for (int j = 0; j < 8; ++j) {
    const ScaleMin s = k4_scale_min(b.scales, j);
    const float dl = d * static_cast<float>(s.scale), ml = dmin * static_cast<float>(s.min);
    const uint8_t* q = b.qs + 32 * (j / 2);
    const int shift = 4 * (j % 2);
    for (int i = 0; i < 32; ++i) y[32 * j + i] = dl * static_cast<float>((q[i] >> shift) & 15) - ml;
  }
}

void dequantize_block(const BlockQ5K& b, float* y) {
  const float d = f16_to_f32(b.d), dmin = f16_to_f32(b.dmin);
  for (int j = 0; j < 8; ++j) {
    const ScaleMin s = k4_scale_min(b.scales, j);
    const float dl = d * static_cast<float>(s.scale), ml = dmin * static_cast<float>(s.min);
    const uint8_t* q = b.qs + 32 * (j / 2);
    const int shift = 4 * (j % 2);
    for (int i = 0; i < 32; ++i) {
      const int level = ((q[i] >> shift) & 15) | ((b.qh[i] >> j) & 1) << 4;
      y[32 * j + i] = dl * static_cast<float>(level) - ml;
    }
  }
}

void dequantize_block(const BlockQ6K& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int j = 0; j < 16; ++j) {
    const float dl = d * b.scales[j];
    const int half = j / 8, row = j % 8;  // 16 weights from 128 * half + 16 * row on
    const uint8_t* ql = b.ql + 64 * half + 16 * (row % 4);
    const uint8_t* qh = b.qh + 32 * half + 16 * (row % 2);
    const int low_shift = 4 * (row / 4), high_shift = 2 * (row / 2);
    for (int i = 0; i < 16; ++i) {
      const int level = ((ql[i] >> low_shift) & 15) | ((qh[i] >> high_shift) & 3) << 4;
      y[16 * j + i] = dl * static_cast<float>(level - 32);
    }
  }
}

void dequantize_block(const BlockQ8K& b, float* y) {
  for (int k = 0; k < 256; ++k) y[k] = b.d * b.qs[k];
}

constexpr uint8_t kPowersOf3[5] = {1, 3, 9, 27, 81};

float ternary_digit(uint8_t packed, int n) {
  const auto fraction = static_cast<uint8_t>(packed * kPowersOf3[n]);  // modulo 256: the integer part falls off
  return static_cast<float>(((fraction * 3) >> 8) - 1);
}

void dequantize_block(const BlockTQ1_0& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int n = 0; n < 5; ++n) {
    for (int i = 0; i < 32; ++i) y[32 * n + i] = d * ternary_digit(b.qs[i], n);
    for (int i = 0; i < 16; ++i) y[160 + 16 * n + i] = d * ternary_digit(b.qs[32 + i], n);
  }
  for (int n = 0; n < 4; ++n) {
    for (int i = 0; i < 4; ++i) y[240 + 4 * n + i] = d * ternary_digit(b.qh[i], n);
  }
}

void dequantize_block(const BlockTQ2_0& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int k = 0; k < 256; ++k) {
    const int level = (b.qs[32 * (k / 128) + k % 32] >> (2 * (k / 32 % 4))) & 3;
    y[k] = d * static_cast<float>(level - 1);
  }
}

// 2^(e - 128); the two smallest are subnormal floats.
float e8m0_half(uint8_t e) {
  return std::bit_cast<float>(e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23);
}

// Half the value of an e4m3 number (bias 7, sign ignored).
float e4m3_half(uint8_t v) {
  if (v == 0x7f) return 0.0f;
  const int exponent = (v >> 3) & 15, mantissa = v & 7;
  if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
  return std::bit_cast<float>(static_cast<uint32_t>(exponent - 8 + 127) << 23 | static_cast<uint32_t>(mantissa) << 20);
}

void dequantize_block(const BlockMXFP4& b, float* y) {
  const float d = e8m0_half(b.e);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * kFp4Values[b.qs[i] & 15];
    y[16 + i] = d * kFp4Values[b.qs[i] >> 4];
  }
}

void dequantize_block(const BlockNVFP4& b, float* y) {
  for (int j = 0; j < 4; ++j) {
    const float d = e4m3_half(b.d[j]);
    for (int i = 0; i < 8; ++i) {
      y[16 * j + i] = d * kFp4Values[b.qs[8 * j + i] & 15];
      y[16 * j + 8 + i] = d * kFp4Values[b.qs[8 * j + i] >> 4];
    }
  }
}

void dequantize_block(const BlockIQ4NL& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * kIq4Values[b.qs[i] & 15];
    y[16 + i] = d * kIq4Values[b.qs[i] >> 4];
  }
}

void dequantize_block(const BlockIQ4XS& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int j = 0; j < 8; ++j) {
    const int scale = ((b.scales_l[j / 2] >> (4 * (j % 2))) & 15) | ((b.scales_h >> (2 * j)) & 3) << 4;
    const float dl = d * static_cast<float>(scale - 32);
    for (int i = 0; i < 16; ++i) {
      y[32 * j + i] = dl * kIq4Values[b.qs[16 * j + i] & 15];
      y[32 * j + 16 + i] = dl * kIq4Values[b.qs[16 * j + i] >> 4];
    }
  }
}

template <class Block>
void dequantize_blocks(const void* src, float* dst, int64_t n) {
  const auto* blocks = static_cast<const Block*>(src);
  for (int64_t i = 0; i < n / Block::kElements; ++i) dequantize_block(blocks[i], dst + i * Block::kElements);
}

void dequantize_f32(const void* src, float* dst, int64_t n) {
  std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(float));
}

void dequantize_f16(const void* src, float* dst, int64_t n) {
  const auto* v = static_cast<const uint16_t*>(src);
  for (int64_t i = 0; i < n; ++i) dst[i] = f16_to_f32(v[i]);
}

void dequantize_bf16(const void* src, float* dst, int64_t n) {
  const auto* v = static_cast<const uint16_t*>(src);
  for (int64_t i = 0; i < n; ++i) dst[i] = bf16_to_f32(v[i]);
}

using DequantizeFn = void (*)(const void*, float*, int64_t);

DequantizeFn find(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return dequantize_f32;
    case DType::f16:
      return dequantize_f16;
    case DType::bf16:
      return dequantize_bf16;
    case DType::q4_0:
      return dequantize_blocks<BlockQ4_0>;
    case DType::q4_1:
      return dequantize_blocks<BlockQ4_1>;
    case DType::q5_0:
      return dequantize_blocks<BlockQ5_0>;
    case DType::q5_1:
      return dequantize_blocks<BlockQ5_1>;
    case DType::q8_0:
      return dequantize_blocks<BlockQ8_0>;
    case DType::q8_1:
      return dequantize_blocks<BlockQ8_1>;
    case DType::q2_k:
      return dequantize_blocks<BlockQ2K>;
    case DType::q3_k:
      return dequantize_blocks<BlockQ3K>;
    case DType::q4_k:
      return dequantize_blocks<BlockQ4K>;
    case DType::q5_k:
      return dequantize_blocks<BlockQ5K>;
    case DType::q6_k:
      return dequantize_blocks<BlockQ6K>;
    case DType::q8_k:
      return dequantize_blocks<BlockQ8K>;
    case DType::tq1_0:
      return dequantize_blocks<BlockTQ1_0>;
    case DType::tq2_0:
      return dequantize_blocks<BlockTQ2_0>;
    case DType::mxfp4:
      return dequantize_blocks<BlockMXFP4>;
    case DType::nvfp4:
      return dequantize_blocks<BlockNVFP4>;
    case DType::iq4_nl:
      return dequantize_blocks<BlockIQ4NL>;
    case DType::iq4_xs:
      return dequantize_blocks<BlockIQ4XS>;
    case DType::iq2_xxs:
      return dequantize_iq2_xxs;
    case DType::iq2_xs:
      return dequantize_iq2_xs;
    case DType::iq2_s:
      return dequantize_iq2_s;
    case DType::iq3_xxs:
      return dequantize_iq3_xxs;
    case DType::iq3_s:
      return dequantize_iq3_s;
    case DType::iq1_s:
      return dequantize_iq1_s;
    case DType::iq1_m:
      return dequantize_iq1_m;
    case DType::f64:
    case DType::i8:
    case DType::i16:
    case DType::i32:
    case DType::i64:
      return nullptr;
  }
  return nullptr;
}

}  // namespace
}  // namespace internal

bool can_dequantize(DType dtype) { return internal::find(dtype) != nullptr; }

void dequantize_row(DType dtype, const void* src, float* dst, int64_t n) {
  assert(n >= 0 && n % traits(dtype).block_elements == 0);
  internal::find(dtype)(src, dst, n);
}

}  // namespace watra::tensor
