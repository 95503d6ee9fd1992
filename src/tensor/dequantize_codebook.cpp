// Dequantization of the IQ1, IQ2 and IQ3 types: look up a grid entry, put the signs on, scale. blocks.h says what the
// bits mean; the order of the products is the reference's.
#include <cstring>

#include "tensor/blocks.h"
#include "tensor/codebooks.h"
#include "tensor/half.h"
#include "tensor/internal/block_codec.h"

namespace watra::tensor::internal {
namespace {

uint32_t load32(const void* p) {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return v;
}

float half_step(uint32_t s) { return 0.5f + static_cast<float>(s); }
float odd(uint32_t s) { return static_cast<float>(2 * s + 1); }

// y[i] = scale * magnitude[i], minus where bit first_bit + i of `signs` is set.
template <size_t kWeights>
void put(const std::array<int8_t, kWeights>& magnitudes, uint32_t signs, float scale, float* y, int first_bit = 0) {
  for (size_t i = 0; i < kWeights; ++i) {
    const float v = scale * magnitudes[i];
    y[i] = (signs >> (first_bit + static_cast<int>(i))) & 1 ? -v : v;
  }
}

template <class Block, class Fn>
void each_block(const void* src, float* dst, int64_t n, Fn fn) {
  const auto* blocks = static_cast<const Block*>(src);
  for (int64_t i = 0; i < n / Block::kElements; ++i) fn(blocks[i], dst + i * Block::kElements);
}

// IQ1: group g of 8 weights, 11-bit grid index, shift by +-1/8.
void put_ternary(uint32_t index, bool delta_negative, float scale, float* y) {
  const float delta = delta_negative ? -0.125f : 0.125f;
  for (int i = 0; i < 8; ++i) y[i] = scale * (static_cast<float>(kIQ1Grid[index][i]) + delta);
}

}  // namespace

void dequantize_iq2_xxs(const void* src, float* dst, int64_t n) {
  each_block<BlockIQ2XXS>(src, dst, n, [](const BlockIQ2XXS& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int j = 0; j < 8; ++j) {
      const uint32_t indices = load32(b.qs + 4 * j), rest = load32(b.qs + 4 * j + 2);
      const float scale = d * half_step(rest >> 28) * 0.25f;
      for (int g = 0; g < 4; ++g) {
        put(kIQ2XXSGrid[(indices >> (8 * g)) & 255], even_signs((rest >> (7 * g)) & 127), scale, y + 32 * j + 8 * g);
      }
    }
  });
}

void dequantize_iq2_xs(const void* src, float* dst, int64_t n) {
  each_block<BlockIQ2XS>(src, dst, n, [](const BlockIQ2XS& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int g = 0; g < 32; ++g) {
      const uint32_t s = (b.scales[g / 4] >> (4 * (g / 2 % 2))) & 15u;
      put(kIQ2XSGrid[b.qs[g] & 511], even_signs(b.qs[g] >> 9), d * half_step(s) * 0.25f, y + 8 * g);
    }
  });
}

void dequantize_iq2_s(const void* src, float* dst, int64_t n) {
  each_block<BlockIQ2S>(src, dst, n, [](const BlockIQ2S& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int g = 0; g < 32; ++g) {
      const uint32_t s = (b.scales[g / 4] >> (4 * (g / 2 % 2))) & 15u;
      const uint32_t index = b.qs[g] | ((b.qh[g / 4] >> (2 * (g % 4))) & 3u) << 8;
      put(kIQ2SGrid[index], b.signs[g], d * half_step(s) * 0.25f, y + 8 * g);
    }
  });
}

void dequantize_iq3_xxs(const void* src, float* dst, int64_t n) {
  each_block<BlockIQ3XXS>(src, dst, n, [](const BlockIQ3XXS& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int j = 0; j < 8; ++j) {
      const uint32_t rest = load32(b.scales_signs + 4 * j);
      const float scale = d * half_step(rest >> 28) * 0.5f;
      for (int g = 0; g < 8; ++g) {
        const uint8_t signs = even_signs((rest >> (7 * (g / 2))) & 127);
        put(kIQ3XXSGrid[b.qs[8 * j + g]], signs, scale, y + 32 * j + 4 * g, 4 * (g % 2));
      }
    }
  });
}

void dequantize_iq3_s(const void* src, float* dst, int64_t n) {
  each_block<BlockIQ3S>(src, dst, n, [](const BlockIQ3S& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int g = 0; g < 64; ++g) {
      const int j = g / 8;
      const float scale = d * odd((b.scales[j / 2] >> (4 * (j % 2))) & 15u);
      const uint32_t index = b.qs[g] | ((b.qh[j] >> (g % 8)) & 1u) << 8;
      put(kIQ3SGrid[index], b.signs[g / 2], scale, y + 4 * g, 4 * (g % 2));
    }
  });
}

void dequantize_iq1_s(const void* src, float* dst, int64_t n) {
  each_block<BlockIQ1S>(src, dst, n, [](const BlockIQ1S& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int g = 0; g < 32; ++g) {
      const uint32_t h = b.qh[g / 4];
      const uint32_t index = b.qs[g] | ((h >> (3 * (g % 4))) & 7) << 8;
      put_ternary(index, h >> 15, d * odd((h >> 12) & 7), y + 8 * g);
    }
  });
}

void dequantize_iq1_m(const void* src, float* dst, int64_t n) {
  each_block<BlockIQ1M>(src, dst, n, [](const BlockIQ1M& b, float* y) {
    const uint32_t d_bits =
        b.scales[0] >> 12 | (b.scales[1] >> 12) << 4 | (b.scales[2] >> 12) << 8 | (b.scales[3] >> 12) << 12;
    const float d = f16_to_f32(static_cast<uint16_t>(d_bits));
    for (int g = 0; g < 32; ++g) {
      const uint32_t h = b.qh[g / 2] >> (4 * (g % 2));
      const uint32_t s = (b.scales[g / 8] >> (3 * (g / 2 % 4))) & 7u;
      put_ternary(b.qs[g] | (h & 7) << 8, h & 8, d * odd(s), y + 8 * g);
    }
  });
}

}  // namespace watra::tensor::internal
