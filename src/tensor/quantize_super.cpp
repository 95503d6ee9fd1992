// Quantization of the super-blocks: fit (internal/super_block.h), then pack as blocks.h describes.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "tensor/blocks.h"
#include "tensor/internal/levels.h"
#include "tensor/internal/quantize_rows.h"
#include "tensor/internal/super_block.h"

namespace watra::tensor::internal {
namespace {

// The largest magnitude that a super-block of these integer ranges can hold with a finite f16 scale, and searches can
// square.
constexpr float kLimit = kF16Max * 15;

struct Prepared {
  alignas(16) float x[kSuperBlock], w[kSuperBlock];
  Prepared(const float* src, const float* importance) { prepare(src, importance, kSuperBlock, kLimit, x, w); }
};

template <class Block, class Fn>
void each_block(const float* src, void* dst, int64_t n, const float* importance, Fn fn) {
  auto* blocks = static_cast<Block*>(dst);
  for (int64_t i = 0; i < n; i += kSuperBlock) {
    fn(Prepared(src + i, importance ? importance + i : nullptr), blocks[i / kSuperBlock]);
  }
}

// Codes of all weights under a finished fit.
template <class Levels, int kSubs>
void assign_codes(const Prepared& p, const SignedSuperFit<kSubs>& fit, uint8_t (&codes)[kSuperBlock]) {
  constexpr int N = kSuperBlock / kSubs;
  const float d = f16_to_f32(fit.d);
  for (int j = 0; j < kSubs; ++j) {
    float levels[N];
    assign_levels<Levels, N>(p.x + j * N, p.w + j * N, d * static_cast<float>(fit.scales[j]), levels);
    for (int i = 0; i < N; ++i) codes[j * N + i] = Levels::code(levels[i]);
  }
}

template <int kTop, int kSubs>
void assign_codes(const Prepared& p, const AffineSuperFit<kSubs>& fit, uint8_t (&codes)[kSuperBlock]) {
  constexpr int N = kSuperBlock / kSubs;
  const float d = f16_to_f32(fit.d), dmin = f16_to_f32(fit.dmin);
  for (int j = 0; j < kSubs; ++j) {
    assign_affine_levels<kTop, N>(p.x + j * N, d * static_cast<float>(fit.scales[j]),
                                  dmin * static_cast<float>(fit.mins[j]), codes + j * N);
  }
}

// Two bits (from `first_bit` on) of each code: 128 weights in 32 bytes, four planes of 32.
void pack_two_bits(const uint8_t (&codes)[kSuperBlock], int first_bit, uint8_t (&out)[64]) {
  std::memset(out, 0, sizeof out);
  for (int k = 0; k < kSuperBlock; ++k) {
    out[32 * (k / 128) + k % 32] |= static_cast<uint8_t>(((codes[k] >> first_bit) & 3) << (2 * (k / 32 % 4)));
  }
}

// One bit of each code: eight planes of 32.
void pack_one_bit(const uint8_t (&codes)[kSuperBlock], int bit, uint8_t (&out)[32]) {
  std::memset(out, 0, sizeof out);
  for (int k = 0; k < kSuperBlock; ++k) out[k % 32] |= static_cast<uint8_t>(((codes[k] >> bit) & 1) << (k / 32));
}

// Low nibbles: of each run of 2 * half weights, the first half in the low nibbles of `half` bytes, the second in the
// high ones.
void pack_low_nibbles(const uint8_t (&codes)[kSuperBlock], int half, uint8_t (&out)[128]) {
  for (int k = 0; k < 128; ++k) {
    const int first = k / half * 2 * half + k % half;
    out[k] = static_cast<uint8_t>((codes[first] & 15) | (codes[first + half] & 15) << 4);
  }
}

void pack_k4_scales(const AffineSuperFit<8>& fit, uint8_t (&s)[12]) {
  for (int j = 0; j < 4; ++j) {
    const uint8_t scale = fit.scales[j + 4], min = fit.mins[j + 4];
    s[j] = static_cast<uint8_t>(fit.scales[j] | (scale >> 4) << 6);
    s[j + 4] = static_cast<uint8_t>(fit.mins[j] | (min >> 4) << 6);
    s[j + 8] = static_cast<uint8_t>((scale & 15) | (min & 15) << 4);
  }
}

void pack_q3k_scales(const std::array<int8_t, 16>& scales, uint8_t (&s)[12]) {
  std::memset(s, 0, sizeof s);
  for (int j = 0; j < 16; ++j) {
    const int v = scales[j] + 32;
    s[j % 8] |= static_cast<uint8_t>((v & 15) << (4 * (j / 8)));
    s[8 + j % 4] |= static_cast<uint8_t>((v >> 4) << (2 * (j / 4)));
  }
}

}  // namespace

void quantize_q2_k(const float* src, void* dst, int64_t n, const float* importance) {
  each_block<BlockQ2K>(src, dst, n, importance, [](const Prepared& p, BlockQ2K& b) {
    const auto fit = fit_affine_super<3, 16, 15>(p.x, p.w);
    uint8_t codes[kSuperBlock];
    assign_codes<3>(p, fit, codes);
    b.d = fit.d, b.dmin = fit.dmin;
    for (int j = 0; j < 16; ++j) b.scales[j] = static_cast<uint8_t>(fit.scales[j] | fit.mins[j] << 4);
    pack_two_bits(codes, 0, b.qs);
  });
}

void quantize_q3_k(const float* src, void* dst, int64_t n, const float* importance) {
  each_block<BlockQ3K>(src, dst, n, importance, [](const Prepared& p, BlockQ3K& b) {
    using Levels = UniformLevels<-4, 3>;
    const auto fit = fit_signed_super<Levels, 16, -32, 31>(p.x, p.w);
    uint8_t codes[kSuperBlock];
    assign_codes<Levels>(p, fit, codes);
    b.d = fit.d;
    pack_q3k_scales(fit.scales, b.scales);
    pack_two_bits(codes, 0, b.qs);
    pack_one_bit(codes, 2, b.hmask);
  });
}

void quantize_q4_k(const float* src, void* dst, int64_t n, const float* importance) {
  each_block<BlockQ4K>(src, dst, n, importance, [](const Prepared& p, BlockQ4K& b) {
    const auto fit = fit_affine_super<15, 8, 63>(p.x, p.w);
    uint8_t codes[kSuperBlock];
    assign_codes<15>(p, fit, codes);
    b.d = fit.d, b.dmin = fit.dmin;
    pack_k4_scales(fit, b.scales);
    pack_low_nibbles(codes, 32, b.qs);
  });
}

void quantize_q5_k(const float* src, void* dst, int64_t n, const float* importance) {
  each_block<BlockQ5K>(src, dst, n, importance, [](const Prepared& p, BlockQ5K& b) {
    const auto fit = fit_affine_super<31, 8, 63>(p.x, p.w);
    uint8_t codes[kSuperBlock];
    assign_codes<31>(p, fit, codes);
    b.d = fit.d, b.dmin = fit.dmin;
    pack_k4_scales(fit, b.scales);
    pack_low_nibbles(codes, 32, b.qs);
    pack_one_bit(codes, 4, b.qh);
  });
}

void quantize_q6_k(const float* src, void* dst, int64_t n, const float* importance) {
  each_block<BlockQ6K>(src, dst, n, importance, [](const Prepared& p, BlockQ6K& b) {
    using Levels = UniformLevels<-32, 31>;
    const auto fit = fit_signed_super<Levels, 16, -128, 127>(p.x, p.w);
    uint8_t codes[kSuperBlock];
    assign_codes<Levels>(p, fit, codes);
    b.d = fit.d;
    std::copy(fit.scales.begin(), fit.scales.end(), b.scales);
    pack_low_nibbles(codes, 64, b.ql);
    pack_two_bits(codes, 4, b.qh);
  });
}

void quantize_iq4_xs(const float* src, void* dst, int64_t n, const float* importance) {
  each_block<BlockIQ4XS>(src, dst, n, importance, [](const Prepared& p, BlockIQ4XS& b) {
    const auto fit = fit_signed_super<Iq4Levels, 8, -32, 31>(p.x, p.w);
    uint8_t codes[kSuperBlock];
    assign_codes<Iq4Levels>(p, fit, codes);
    b.d = fit.d;
    b.scales_h = 0;
    for (int j = 0; j < 8; ++j) {
      const int v = fit.scales[j] + 32;
      if (j % 2 == 0) b.scales_l[j / 2] = 0;
      b.scales_l[j / 2] |= static_cast<uint8_t>((v & 15) << (4 * (j % 2)));
      b.scales_h |= static_cast<uint16_t>((v >> 4) << (2 * j));
    }
    pack_low_nibbles(codes, 16, b.qs);
  });
}

// The scale is a float here and the levels have 8 bits: cover the range (-128 stays unused, as in Q8_0), then solve for
// the scale. Magnitudes are brought to the range of the levels first, so that any float will do up to half of the
// largest: the solution may lie above the first guess.
void quantize_q8_k(const float* src, void* dst, int64_t n, const float* importance) {
  auto* blocks = static_cast<BlockQ8K*>(dst);
  for (int64_t i = 0; i < n; i += kSuperBlock) {
    BlockQ8K& b = blocks[i / kSuperBlock];
    float x[kSuperBlock], w[kSuperBlock];
    prepare(src + i, importance ? importance + i : nullptr, kSuperBlock, std::numeric_limits<float>::max() / 2, x, w);
    const float largest = std::fabs(furthest<kSuperBlock>(x));
    b = {};
    if (largest == 0) continue;
    double xq = 0, qq = 0;
    for (int k = 0; k < kSuperBlock; ++k) {
      const double v = static_cast<double>(x[k]) / largest * 127;
      const double q = std::nearbyint(v);
      b.qs[k] = static_cast<int8_t>(q);
      b.bsums[k / 16] = static_cast<int16_t>(b.bsums[k / 16] + b.qs[k]);
      xq += w[k] * v * q;
      qq += w[k] * q * q;
    }
    b.d = static_cast<float>(largest / 127.0 * (qq > 0 ? xq / qq : 1.0));
  }
}

}  // namespace watra::tensor::internal
