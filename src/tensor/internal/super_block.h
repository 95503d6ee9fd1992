// The two-level fit of super-blocks: 256 weights in kSubs sub-blocks of N, whose scales (and minima) are themselves
// stored as small integers times one f16 for the whole super-block.
//
// Each sub-block is first fitted alone (scale_search.h). Then, in turns: every sub-block takes the integers near its
// own fit that leave the least error under the current super-block scale, levels assigned anew; and the super-block
// scale (with the scale of the minima) is solved for by least squares with integers and levels held. The best round is
// kept.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tensor/blocks.h"
#include "tensor/half.h"
#include "tensor/internal/scale_search.h"
#include "tensor/internal/search_points.h"

namespace watra::tensor::internal {

inline constexpr int kRounds = 4;

inline uint16_t nearest_f16(float v) { return f32_to_f16(std::clamp(v, -kF16Max, kF16Max)); }

// The first guess of a super-block's scale. Among the subnormals of f16, where steps are coarse, it is rounded away
// from zero: integers can make a scale that is too large finer, but not one that is too small longer.
inline uint16_t first_f16(float v) {
  uint16_t bits = nearest_f16(v);
  const float magnitude = std::fabs(v);
  if (magnitude > 0 && magnitude < 0x1p-14f && std::fabs(f16_to_f32(bits)) < magnitude) ++bits;
  return bits;
}

// ---- x = d * scale[j] * q

template <int kSubs>
struct SignedSuperFit {
  uint16_t d = 0;  // f16
  std::array<int8_t, kSubs> scales{};
};

struct ScaleTrial {
  float error;
  ScaleSums sums;
};

template <class Levels, int N>
ScaleTrial try_scale(const float* x, const float* w, float d) {
  const float inverse = inverse_or_zero(d);
  F4 error{}, xq{}, qq{};
  for (int i = 0; i < N; i += 4) {
    const F4 v = load(x + i), wv = load(w + i);
    const F4 q = Levels::nearest(v * inverse);
    const F4 r = v - d * q, wq = wv * q;
    error += wv * r * r;
    xq += wq * v;
    qq += wq * q;
  }
  return {sum(error), {sum(xq), sum(qq)}};
}

template <class Levels, int kSubs, int kScaleLow, int kScaleHigh>
SignedSuperFit<kSubs> fit_signed_super(const float* x, const float* w) {
  constexpr int N = kSuperBlock / kSubs;
  std::array<float, kSubs> own;
  float longest = 0;
  for (int j = 0; j < kSubs; ++j) {
    own[j] = fit_scale<Levels, N>(x + j * N, w + j * N, kFactors<Levels>);
    if (std::fabs(own[j]) > std::fabs(longest)) longest = own[j];
  }

  SignedSuperFit<kSubs> best, current;
  float best_error = std::numeric_limits<float>::infinity();
  current.d = first_f16(longest / kScaleLow);  // the longest scale gets the longer, negative end
  for (int round = 0; round < kRounds; ++round) {
    const float d = f16_to_f32(current.d);
    if (d == 0) break;
    float error = 0, xq = 0, qq = 0;
    for (int j = 0; j < kSubs; ++j) {
      const int centre = static_cast<int>(std::lrint(std::clamp(own[j] / d, float{kScaleLow}, float{kScaleHigh})));
      ScaleTrial kept{std::numeric_limits<float>::infinity(), {}};
      for (int scale = std::max(centre - 1, kScaleLow); scale <= std::min(centre + 1, kScaleHigh); ++scale) {
        const ScaleTrial trial = try_scale<Levels, N>(x + j * N, w + j * N, d * static_cast<float>(scale));
        if (trial.error < kept.error) kept = trial, current.scales[j] = static_cast<int8_t>(scale);
      }
      const auto scale = static_cast<float>(current.scales[j]);
      error += kept.error;
      xq += scale * kept.sums.xq;
      qq += scale * scale * kept.sums.qq;
    }
    if (!(error < best_error)) break;
    best = current, best_error = error;
    if (qq <= 0) break;
    const uint16_t next = nearest_f16(xq / qq);
    if (next == current.d) break;
    current.d = next;
  }
  return best;
}

// ---- x = d * scale[j] * q - dmin * min[j]

template <int kSubs>
struct AffineSuperFit {
  uint16_t d = 0, dmin = 0;  // f16
  std::array<uint8_t, kSubs> scales{}, mins{};
};

struct AffineTrial {
  float error;
  AffineSums sums;
};

template <int kTop, int N>
AffineTrial try_affine(const float* x, const float* w, float d, float min) {
  const float inverse = inverse_or_zero(d);
  F4 error{}, sq{}, sqq{}, sxq{};
  for (int i = 0; i < N; i += 4) {
    const F4 v = load(x + i), wv = load(w + i);
    const F4 q = round_even(clamp((v + min) * inverse, 0, kTop));
    const F4 r = v - (d * q - min), wq = wv * q;
    error += wv * r * r;
    sq += wq;
    sqq += wq * q;
    sxq += wq * v;
  }
  return {sum(error), {sum(sq), sum(sqq), sum(sxq)}};
}

// The equations for d and dmin over all sub-blocks: x ~ d * a + dmin * b with a = scale * q, b = -min.
struct SuperEquations {
  double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;

  void add(const AffineSums& s, double sum_w, double sum_x, double scale, double min) {
    aa += scale * scale * s.qq;
    ab -= scale * min * s.q;
    bb += min * min * sum_w;
    ax += scale * s.xq;
    bx -= min * sum_x;
  }

  // False when there is no solution of the wanted signs (d > 0, dmin of the sign of `sign`).
  bool solve(float sign, float& d, float& dmin) const {
    const double determinant = aa * bb - ab * ab;
    if (determinant > 1e-9 * aa * bb) {
      d = static_cast<float>((ax * bb - bx * ab) / determinant);
      dmin = static_cast<float>((bx * aa - ax * ab) / determinant);
      return d > 0 && dmin * sign > 0;
    }
    if (aa > 0 && bb == 0) return d = static_cast<float>(ax / aa), dmin = 0, d > 0;
    return false;
  }
};

template <int kTop, int kSubs, int kScaleMax>
AffineSuperFit<kSubs> fit_affine_super(const float* x, const float* w) {
  constexpr int N = kSuperBlock / kSubs;
  // Minima are stored without sign: they reach down from zero, or, when all weights are positive, with dmin < 0, up
  // from it.
  const bool all_positive = std::all_of(x, x + kSuperBlock, [](float v) { return v > 0; });
  const float sign = all_positive ? -1.0f : 1.0f;
  const Offset allowed = all_positive ? Offset::not_negative : Offset::not_positive;

  std::array<AffineFit, kSubs> own;
  std::array<float, kSubs> sum_w{}, sum_x{};
  float longest = 0, deepest = 0;
  for (int j = 0; j < kSubs; ++j) {
    own[j] = fit_affine<kTop, N>(x + j * N, w + j * N, allowed, kCuts<kTop>);
    longest = std::max(longest, own[j].d);
    deepest = std::max(deepest, std::fabs(own[j].o));
    for (int i = j * N; i < (j + 1) * N; ++i) sum_w[j] += w[i], sum_x[j] += w[i] * x[i];
  }

  AffineSuperFit<kSubs> best, current;
  float best_error = std::numeric_limits<float>::infinity();
  current.d = first_f16(longest / kScaleMax);
  current.dmin = first_f16(sign * deepest / kScaleMax);
  const auto near = [](float v) { return static_cast<int>(std::lrint(std::clamp(v, 0.0f, float{kScaleMax}))); };
  for (int round = 0; round < kRounds; ++round) {
    const float d = f16_to_f32(current.d), dmin = f16_to_f32(current.dmin);
    const float inverse_d = inverse_or_zero(d), inverse_dmin = inverse_or_zero(dmin);
    float error = 0;
    SuperEquations equations;
    for (int j = 0; j < kSubs; ++j) {
      const int scale0 = near(own[j].d * inverse_d), min0 = near(-own[j].o * inverse_dmin);
      AffineTrial kept{std::numeric_limits<float>::infinity(), {}};
      for (int scale = std::max(scale0 - 1, 0); scale <= std::min(scale0 + 1, kScaleMax); ++scale) {
        for (int min = std::max(min0 - 1, 0); min <= std::min(min0 + 1, kScaleMax); ++min) {
          const AffineTrial trial =
              try_affine<kTop, N>(x + j * N, w + j * N, d * static_cast<float>(scale), dmin * static_cast<float>(min));
          if (!(trial.error < kept.error)) continue;
          kept = trial;
          current.scales[j] = static_cast<uint8_t>(scale);
          current.mins[j] = static_cast<uint8_t>(min);
        }
      }
      error += kept.error;
      equations.add(kept.sums, sum_w[j], sum_x[j], current.scales[j], current.mins[j]);
    }
    if (!(error < best_error)) break;
    best = current, best_error = error;
    float next_d, next_dmin;
    if (!equations.solve(sign, next_d, next_dmin)) break;
    const uint16_t d_bits = nearest_f16(next_d), dmin_bits = nearest_f16(next_dmin);
    if (d_bits == current.d && dmin_bits == current.dmin) break;
    current.d = d_bits, current.dmin = dmin_bits;
  }
  return best;
}

// Levels under a finished fit.
template <int kTop, int N>
void assign_affine_levels(const float* x, float d, float min, uint8_t* levels) {
  const float inverse = inverse_or_zero(d);
  for (int i = 0; i < N; i += 4) {
    const F4 q = round_even(clamp((load(x + i) + min) * inverse, 0, kTop));
    for (int k = 0; k < 4; ++k) levels[i + k] = static_cast<uint8_t>(q[k]);
  }
}

}  // namespace watra::tensor::internal
