// y = W x with float activations: the products of every dtype on the generic ISA, of the plain float types and of
// those without integer products everywhere. Few tokens; dot_blocks.h has the many.
//
//   y[m,r] = sum over chunks of fold_sum(acc),  acc[i mod L] += w[r,i] * x[m,i],  i = the chunk's columns left to right
//
//   W [R,D]  f32, f16, bf16    read in place, once, four rows side by side
//   X [M,D]  f32               a chunk of a few tokens stays in the first-level cache
//   Y [M,R]  f32               a chunk's share is added to the one before
//
// Order: L lanes (a step of a weight type, below), chunks of kChunk columns from the row's first column on, chunks
// added left to right. The same for every tile, M and range: these only decide which sums are computed side by side.
//
// Cost   a step for 4 rows and 6 tokens is 24 FMAs and 10 loads (16 registers: 3 tokens, 12 and 7): bound by the FMAs.
#pragma once

#include <type_traits>

#include "kernels/ops.h"

#ifndef WATRA_KERNELS_WIDE
#define WATRA_KERNELS_WIDE "kernels/lanes/wide_f8.h"
#endif
#include WATRA_KERNELS_WIDE

namespace watra::kernels::WATRA_KERNELS_ISA {

inline constexpr int kDotRows = 4;  // rows of a tile; their sums are folded together
// Up to this M plain float weights are read in place.
inline constexpr int64_t kInPlace = 16;

// How weights and activations are multiplied: what lies in memory, what of it a step takes, what a step does.
struct FactorsF32 {
  using Weight = float;
  using Act = float;
  using Vector = Wide;
  static constexpr bool kRests = false;
  static constexpr int64_t kStep = kWide;
  static constexpr int64_t kChunk = 512;  // a tile's weights and activations of so many fit the first-level cache
  static Vector weights(const Weight* p) { return load_wide(p); }
  static Vector weights_tail(const Weight* p, int64_t n) { return load_wide_tail(p, n); }
  static Vector acts(const Act* p) { return load_wide(p); }
  static Vector acts_tail(const Act* p, int64_t n) { return load_wide_tail(p, n); }
  static Wide add(Wide sum, Vector w, Vector x) { return fma(w, x, sum); }
  static void store_unpacked(Act* p, Vector w) { store(p, w); }
};
struct FactorsF16 : FactorsF32 {
  using Weight = uint16_t;
  static Vector weights(const Weight* p) { return load_wide_f16(p); }
  static Vector weights_tail(const Weight* p, int64_t n) { return load_wide_f16_tail(p, n); }
};
struct FactorsBf16 : FactorsF32 {
  using Weight = uint16_t;
  static Vector weights(const Weight* p) { return load_wide_bf16(p); }
  static Vector weights_tail(const Weight* p, int64_t n) { return load_wide_bf16_tail(p, n); }
};

// Where the weights of a tile lie: `row` elements from row to row, `step` from step to step.
struct TileStrides {
  int64_t row, step;
};

// acc[m][r] += w[r] x[m], of one step.
template <class Factors, int kRows, int kTokens, class WeightAt, class ActAt>
[[gnu::always_inline]] inline void add_step(Wide (*acc)[kRows], WeightAt weight, ActAt act) {
  // What is fewer waits in registers for what is more.
  if constexpr (kTokens >= kRows) {
    typename Factors::Vector w[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) w[r] = weight(r);
#pragma GCC unroll 8
    for (int m = 0; m < kTokens; ++m) {
      const auto x = act(m);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) acc[m][r] = Factors::add(acc[m][r], w[r], x);
    }
  } else {
    typename Factors::Vector x[kTokens];
#pragma GCC unroll 8
    for (int m = 0; m < kTokens; ++m) x[m] = act(m);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const auto w = weight(r);
#pragma GCC unroll 8
      for (int m = 0; m < kTokens; ++m) acc[m][r] = Factors::add(acc[m][r], w, x[m]);
    }
  }
}

// Activations of a pass. Where their format has rests (Factors::kRests), further elements of a row, or null.
template <class Act>
struct ActRows {
  const Act* x;
  int64_t stride;
  int64_t rest = 0, masks = 0;  // from a row's begin to its rests, and to their masks: one of 32 bits a chunk
};

// Those of a tile: kTokens rows from a chunk's first column on; bit s of steps_with_rests: in step s some have a rest.
template <class Act>
struct TileActs {
  const Act* x;
  int64_t stride;
  int64_t rest = 0;
  uint32_t steps_with_rests = 0;
};
template <class Factors>
TileActs<typename Factors::Act> tile_acts(const ActRows<typename Factors::Act>& rows, int64_t first, int n_tokens,
                                          int64_t from) {
  const auto* x = rows.x + first * rows.stride;
  uint32_t steps = 0;
  if constexpr (Factors::kRests)
    for (int m = 0; m < n_tokens; ++m) {
      uint32_t of_token;
      __builtin_memcpy(&of_token, x + m * rows.stride + rows.masks + from / Factors::kChunk * 2, sizeof of_token);
      steps |= of_token;
    }
  return {x + from, rows.stride, rows.rest, steps};
}

// What a tile fetches meanwhile, each line beside the weights of a row (several in a row hold each other up): the line
// at `ahead` and those behind it, as many as the tile's weights have, so that memory is read in the order in which it
// lies; into the second-level cache, and near ones of its own rows into the first, or straight into that.
enum class Fetches { nothing, far_and_near, straight };
inline constexpr int64_t kNearLines = 8;

// What a chunk of n columns adds to kRows rows and kTokens tokens: to y, or, as the first chunk, into it; of the rows
// only the first n_rows. A function of its own, so that registers are given out for it alone.
template <class Factors, int kRows, int kTokens, Fetches kFetches>
[[gnu::noinline]] void dot_tile(const typename Factors::Weight* w, TileStrides stride,
                                const TileActs<typename Factors::Act>& acts, int64_t n, float* y, int64_t y_stride,
                                int n_rows, bool is_first, const typename Factors::Weight* ahead = nullptr) {
  constexpr int64_t kStep = Factors::kStep, kLine = 64 / static_cast<int64_t>(sizeof(typename Factors::Weight));
  Wide acc[kTokens][kRows];
#pragma GCC unroll 8
  for (int m = 0; m < kTokens; ++m)
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) acc[m][r] = wide_zero();
  if (!is_first)
    for (int m = 0; m < kTokens; ++m) __builtin_prefetch(y + m * y_stride, 1);
  const auto* x = acts.x;
  const int64_t x_stride = acts.stride;
  const auto* at = w;
  int64_t i = 0;
  // beside(r): before row r's weights.
  const auto step_beside = [&](auto beside) __attribute__((always_inline)) {
    add_step<Factors, kRows, kTokens>(
        acc,
        [&](int r) __attribute__((always_inline)) {
          beside(r);
          return Factors::weights(at + r * stride.row);
        },
        [&](int m) __attribute__((always_inline)) { return Factors::acts(x + m * x_stride + i); });
    at += stride.step;
    i += kStep;
  };
  const auto step = [&]() __attribute__((always_inline)) {
    step_beside([](int) {});
  };
  const auto last_step = [&](int64_t left) __attribute__((always_inline)) {
    add_step<Factors, kRows, kTokens>(
        acc, [&](int r) __attribute__((always_inline)) { return Factors::weights_tail(at + r * stride.row, left); },
        [&](int m) __attribute__((always_inline)) { return Factors::acts_tail(x + m * x_stride + i, left); });
  };
  if constexpr (kFetches != Fetches::nothing) {
    static_assert(kLine % kStep == 0);
    constexpr int kSteps = static_cast<int>(kLine / kStep);  // that a line lasts
    while (i + kLine <= n) {                                 // NOLINT(bugprone-infinite-loop): steps move i
#pragma GCC unroll 8
      for (int s = 0; s < kSteps; ++s)
        step_beside([&](int r) __attribute__((always_inline)) {
          if (r * kSteps / kRows != s) return;
          kFetches == Fetches::straight ? fetch_near(ahead) : fetch_far(ahead);
          ahead += kLine;
          if (kFetches == Fetches::far_and_near) fetch_near(at + r * stride.row + kLine * kNearLines);
        });
    }
  }
  while (i + kStep <= n) step();  // NOLINT(bugprone-infinite-loop)
  if (i < n) last_step(n - i);
  if constexpr (Factors::kRests) {
    x += acts.rest;
    for (uint32_t steps = acts.steps_with_rests; steps; steps &= steps - 1) {
      const int64_t s = __builtin_ctz(steps);
      at = w + s * stride.step;
      i = s * kStep;
      i + kStep <= n ? step() : last_step(n - i);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < kTokens; ++m) {
    float share[kRows];
    if constexpr (kRows == 4)
      fold_sum4(acc[m], share);
    else
      for (int r = 0; r < kRows; ++r) share[r] = fold_sum(acc[m][r]);
    float* to = y + m * y_stride;
    if (n_rows == kRows) {
      if (!is_first)
        for (int r = 0; r < kRows; ++r) share[r] += to[r];
      __builtin_memcpy(to, share, sizeof share);
    } else {
      for (int r = 0; r < n_rows; ++r) to[r] = is_first ? share[r] : share[r] + to[r];
    }
  }
}

// Calls tile(n, first) for n_tokens tokens in turn; n, a constant of the type, is at most kDotTokens.
template <class Tile>
[[gnu::always_inline]] inline void for_token_tiles(int64_t n_tokens, Tile tile) {
  int64_t m = 0;
  for (; m + kDotTokens <= n_tokens; m += kDotTokens) tile(std::integral_constant<int, kDotTokens>(), m);
  switch (n_tokens - m) {
    case 1:
      return tile(std::integral_constant<int, 1>(), m);
    case 2:
      return tile(std::integral_constant<int, 2>(), m);
    case 3:
      if constexpr (kDotTokens > 3) return tile(std::integral_constant<int, 3>(), m);
      break;
    case 4:
      if constexpr (kDotTokens > 3) return tile(std::integral_constant<int, 4>(), m);
      break;
    case 5:
      if constexpr (kDotTokens > 3) return tile(std::integral_constant<int, 5>(), m);
      break;
    default:
      break;
  }
}

// kRows rows from r on, where they lie.
template <class Factors, int kRows>
void rows_in_place(const MatmulArgs& a, int64_t r, const ActRows<typename Factors::Act>& acts) {
  const int64_t d = a.w.shape.cols();
  const auto* w = reinterpret_cast<const typename Factors::Weight*>(a.w.data) + r * d;
  for (int64_t from = 0; from < d; from += Factors::kChunk) {
    const int64_t n = d - from < Factors::kChunk ? d - from : Factors::kChunk;
    for_token_tiles(a.m, [&](auto tokens, int64_t m) {
      const auto tile = m > 0                              ? dot_tile<Factors, kRows, tokens(), Fetches::nothing>
                        : a.m == 1 && a.fetch.straight > 0 ? dot_tile<Factors, kRows, tokens(), Fetches::straight>
                                                           : dot_tile<Factors, kRows, tokens(), Fetches::far_and_near>;
      tile(w + from, {d, Factors::kStep}, tile_acts<Factors>(acts, m, tokens(), from), n, a.y + m * a.y_stride + r,
           a.y_stride, kRows, from == 0, w + kRows * (d + from));  // where the rows that follow have their share
    });
  }
}

template <class Factors>
void matmul_in_place(const MatmulArgs& a, int64_t row_begin, int64_t row_end,
                     const ActRows<typename Factors::Act>& acts) {
  int64_t r = row_begin;
  for (; r + kDotRows <= row_end; r += kDotRows) rows_in_place<Factors, kDotRows>(a, r, acts);
  for (; r < row_end; ++r) rows_in_place<Factors, 1>(a, r, acts);
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
