// Search for the scale, or scale and offset, that quantizes a group of N weights with the least squared error
//
//   E = sum_i w[i] * (x[i] - d * q[i] - o)^2,   q[i] from a set of levels, o = 0 for types without an offset.
//
// For given levels the best d and o follow from linear equations; for given d and o the best levels are the nearest
// ones. The error as a function of d alone has many local minima, one for each way the weights fall on the levels. So:
// try scales around the one that just covers the range (smaller ones clip the extremes, larger ones fit fewer levels
// better), take the best after solving the equations, and alternate levels and equations from there until nothing
// improves.
//
// All arrays are whole groups; w > 0 somewhere, x and w finite and within what float squares can hold (prepare() in
// quantize.cpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include "tensor/internal/lanes.h"

namespace watra::tensor::internal {

// A later candidate must be better by more than the rounding of the sums, so that groups with several perfect fits
// (constant or ternary weights) all take the same one: their scales then agree, and share a super-block's scale
// exactly.
inline constexpr float kBetter = 1 + 5e-7f;

// ---- x = d * q

struct ScaleSums {
  float xq = 0, qq = 0;  // sum w x q, sum w q^2
  float scale() const { return qq > 0 ? xq / qq : 0.0f; }
  float gain() const { return qq > 0 ? xq * xq / qq : 0.0f; }  // how much the best scale takes off sum w x^2
};

template <class Levels, int N>
ScaleSums scale_sums(const float* x, const float* w, float inverse) {
  F4 xq{}, qq{};
  for (int i = 0; i < N; i += 4) {
    const F4 v = load(x + i);
    const F4 q = Levels::nearest(v * inverse);
    const F4 wq = load(w + i) * q;
    xq += wq * v;
    qq += wq * q;
  }
  return {sum(xq), sum(qq)};
}

inline float inverse_or_zero(float d) { return d != 0 ? 1.0f / d : 0.0f; }

// The element furthest from zero, with its sign.
template <int N>
float furthest(const float* x) {
  F4 highs = load(x), lows = highs;
  for (int i = 4; i < N; i += 4) {
    highs = larger(highs, load(x + i));
    lows = smaller(lows, load(x + i));
  }
  const float high = largest(highs), low = smallest(lows);
  return high > -low ? high : low;
}

// The scale with the least error. `factors`: where to map the furthest weight, in units of the longer, negative end of
// the levels; a factor below zero maps it to the other side.
template <class Levels, int N>
float fit_scale(const float* x, const float* w, std::span<const float> factors) {
  const float extreme = furthest<N>(x);
  if (extreme == 0) return 0;
  const float full = Levels::kLow / extreme;
  ScaleSums best = scale_sums<Levels, N>(x, w, full);
  for (const float factor : factors) {
    const ScaleSums s = scale_sums<Levels, N>(x, w, full * factor);
    if (s.gain() > best.gain() * kBetter) best = s;
  }
  for (int round = 0; round < 4; ++round) {
    const ScaleSums s = scale_sums<Levels, N>(x, w, inverse_or_zero(best.scale()));
    if (!(s.gain() > best.gain())) break;
    best = s;
  }
  return best.scale();
}

// Levels nearest to x under the scale d, and what they leave.
template <class Levels, int N>
float assign_levels(const float* x, const float* w, float d, float* levels) {
  const float inverse = inverse_or_zero(d);
  F4 error{};
  for (int i = 0; i < N; i += 4) {
    const F4 v = load(x + i);
    const F4 q = Levels::nearest(v * inverse);
    const F4 r = v - d * q;
    error += load(w + i) * r * r;
    store(q, levels + i);
  }
  return sum(error);
}

// ---- x = d * q + o, q = 0 .. kTop

enum class Offset { any, not_positive, not_negative };

struct AffineFit {
  float d = 0, o = 0;
};

struct AffineSums {
  float q = 0, qq = 0, xq = 0;  // sum w q, sum w q^2, sum w x q
};

template <int kTop, int N>
AffineSums affine_sums(const float* x, const float* w, float inverse, float o) {
  F4 sq{}, sqq{}, sxq{};
  for (int i = 0; i < N; i += 4) {
    const F4 v = load(x + i);
    const F4 q = round_even(clamp((v - o) * inverse, 0, kTop));
    const F4 wq = load(w + i) * q;
    sq += wq;
    sqq += wq * q;
    sxq += wq * v;
  }
  return {sum(sq), sum(sqq), sum(sxq)};
}

// Solves the linear equations of one assignment; gain as above. Offsets on the forbidden side become 0.
struct AffineSolver {
  double w, x;  // sum w, sum w x
  Offset allowed;

  double solve(const AffineSums& s, AffineFit& fit) const {
    const double q = s.q, qq = s.qq, xq = s.xq;
    const double determinant = w * qq - q * q;
    if (determinant > 1e-7 * w * qq) {
      const double inverse = 1 / determinant;
      const double d = (w * xq - x * q) * inverse, o = (qq * x - q * xq) * inverse;
      if (allowed == Offset::any || (allowed == Offset::not_positive ? o <= 0 : o >= 0)) {
        fit = {static_cast<float>(d), static_cast<float>(o)};
        return d * xq + o * x;
      }
    }
    if (qq <= 0) return fit = {}, 0;
    fit = {static_cast<float>(xq / qq), 0};
    return xq * xq / qq;
  }
};

// `cuts`: how much of the range to give up at either end, as fractions of it; all pairs are tried.
template <int kTop, int N>
AffineFit fit_affine(const float* x, const float* w, Offset allowed, std::span<const float> cuts) {
  F4 lows = load(x), highs = lows, sum_w{}, sum_x{};
  for (int i = 0; i < N; i += 4) {
    const F4 v = load(x + i), wv = load(w + i);
    lows = smaller(lows, v);
    highs = larger(highs, v);
    sum_w += wv;
    sum_x += wv * v;
  }
  float low = smallest(lows), high = largest(highs);
  if (allowed == Offset::not_positive) low = std::min(low, 0.0f);
  if (allowed == Offset::not_negative) low = std::max(low, 0.0f);
  high = std::max(high, low);
  const float range = high - low;
  if (range == 0) return {0, low};

  const AffineSolver solver{sum(sum_w), sum(sum_x), allowed};
  AffineFit best{range / kTop, low};
  double best_gain = 0;
  const auto consider = [&](float inverse, float o) {
    AffineFit fit;
    const double gain = solver.solve(affine_sums<kTop, N>(x, w, inverse, o), fit);
    if (gain > best_gain * kBetter && fit.d > 0) best = fit, best_gain = gain;
  };
  consider(kTop / range, low);
  for (const float low_cut : cuts) {
    for (const float high_cut : cuts) {
      consider(kTop / (range * (1 - low_cut - high_cut)), low + low_cut * range);
    }
  }
  // Weights that lie on a grid already (ternary ones, say, or a requantized file's) and span fewer levels than there
  // are.
  for (int steps = kTop - 1; steps >= std::max(1, kTop - 4); --steps) {
    consider(static_cast<float>(steps) / range, low);
  }
  for (int round = 0; round < 4; ++round) {
    AffineFit fit;
    const double gain = solver.solve(affine_sums<kTop, N>(x, w, inverse_or_zero(best.d), best.o), fit);
    if (!(gain > best_gain) || !(fit.d > 0)) break;
    best = fit, best_gain = gain;
  }
  return best;
}

}  // namespace watra::tensor::internal
