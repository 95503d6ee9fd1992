// One tile of kKvPage positions: scores of a few queries against its keys, and its values summed by weight. The small
// products that attention.h is made of.
//
//   s[r][j] = q[r] . k[j]                       o[r] = o[r] * correction[r] + sum_j w[r][j] v[j]
//
//   K, V  rows of floats (padded to eight), or of f16 as they lie in a page      each loaded once per kRows queries
//
// Order, the same whatever kRows is and wherever the rows come from: q.k over eight lanes left to right, then
// fold_sum; o one FMA per position, left to right.
#pragma once

#include <type_traits>

#include "kernels/lanes/math.h"
#include "kernels/ops.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

struct Tile {
  const std::byte* rows;
  int64_t stride_bytes;
};

// A tile that is needed next, brought into the second cache while others are computed with: asked for in the first it
// would hold the loads of these up. So do many lines in a row: beside f16, which is read as it lies, they are fetched
// one at a time (AheadStream), but for what a first tile lacks itself. Null: nothing.
struct Ahead {
  const std::byte* rows = nullptr;
  int64_t stride_bytes = 0;
  // Rows [begin, end).
  void fetch(int64_t begin, int64_t end) const {
    if (!rows) return;
    for (int64_t at = begin * stride_bytes; at < end * stride_bytes; at += 64) __builtin_prefetch(rows + at, 0, 2);
  }
};

// Lines beside a loop over an f16 tile that takes n times eight elements a turn: one in kTurns, or kLines in each. So
// many are fetched as such a tile has, too many where a quantized one follows (once a pass). idle: what is touched
// where nothing is needed.
template <int n>
struct AheadStream {
  static constexpr int kTurns = n < 4 ? 4 / n : 1, kLines = n > 4 ? n / 4 : 1;
  const std::byte* at;
  int64_t step_bytes;
  AheadStream(Ahead ahead, int64_t offset_bytes, const std::byte* idle)
      : at(ahead.rows ? ahead.rows + offset_bytes : idle), step_bytes(ahead.rows ? kLines * 64 : 0) {}
  void step() {
    for (int i = 0; i < kLines; ++i) fetch_far(at + i * 64);
    at += step_bytes;
  }
};
// The same for tiles that are fetched otherwise.
struct NoStream {
  static constexpr int kTurns = 1;
  NoStream(Ahead, int64_t, const std::byte*) {}
  void step() {}
};
template <bool kHalf, int n>
using StreamBeside = std::conditional_t<kHalf, AheadStream<n>, NoStream>;

template <bool kHalf>
F8 load_element(const std::byte* row, int64_t e) {
  if constexpr (kHalf)
    return load_f16(reinterpret_cast<const uint16_t*>(row) + e);
  else
    return load(reinterpret_cast<const float*>(row) + e);
}

// Vectors beside kRows queries: as many sums as sixteen registers hold beside what they are made of.
constexpr int vectors_of(int rows) { return rows > 4 ? 2 : 8 / rows; }

// acc[r * kPositions + p]: the lanes of q[r] . keys[p].
template <bool kHalf, int kRows, int kPositions>
inline void score_positions(const float* const* q, const std::byte* keys, int64_t stride_bytes, int64_t d,
                            StreamBeside<kHalf, kPositions> next, F8* acc) {
  for (int i = 0; i < kRows * kPositions; ++i) acc[i] = zero();
  const auto eight = [&](int64_t e) {
    F8 k[kPositions];
    for (int p = 0; p < kPositions; ++p) k[p] = load_element<kHalf>(keys + p * stride_bytes, e);
    for (int r = 0; r < kRows; ++r) {
      const F8 x = keep(load(q[r] + e));
      for (int p = 0; p < kPositions; ++p) acc[r * kPositions + p] = fma(x, k[p], acc[r * kPositions + p]);
    }
  };
  constexpr int kTurns = decltype(next)::kTurns;
  int64_t e = 0;
  for (; e + 8 * kTurns <= d; e += 8 * kTurns) {
    next.step();
    for (int i = 0; i < kTurns; ++i) eight(e + 8 * i);
  }
  for (; e < d; e += 8) eight(e);
}

// Scores of positions [begin, end) and of some more around them, which nobody may look at. d: a multiple of eight.
// own_values, next: fetched meanwhile, the former first.
template <bool kHalf, int kRows>
inline void score_rows(const float* const* q, Tile keys, Ahead own_values, Ahead next, int64_t d, int64_t begin,
                       int64_t end, float* const* s) {
  constexpr int kPositions = vectors_of(kRows);
  const auto positions = [&](int64_t j, F8* acc) {
    const std::byte* from = keys.rows + j * keys.stride_bytes;
    own_values.fetch(j, j + kPositions);
    if constexpr (!kHalf) next.fetch(j, j + kPositions);
    score_positions<kHalf, kRows, kPositions>(q, from, keys.stride_bytes, d, {next, j * next.stride_bytes, from}, acc);
  };
  if constexpr (kRows != 6) {
    for (int64_t j = begin / kPositions * kPositions; j < end; j += kPositions) {
      F8 acc[8];
      positions(j, acc);
      store_parts<kRows>(s, j, fold_sum8(acc));
    }
  } else {
    for (int64_t j = begin / 4 * 4; j < end; j += 4) {  // four queries two positions at a time, two of them four
      F8 acc[12], rest[8];
      positions(j, acc);
      store_parts<4>(s, j, fold_sum8(acc));
      for (int i = 0; i < 2; ++i) rest[i] = acc[8 + i], rest[4 + i] = acc[10 + i];
      positions(j + 2, acc);
      store_parts<4>(s, j + 2, fold_sum8(acc));
      for (int i = 0; i < 2; ++i) rest[2 + i] = acc[8 + i], rest[6 + i] = acc[10 + i];
      store_parts<2>(s + 4, j, fold_sum8(rest));
    }
  }
}

template <bool kHalf, int kRows, int kVectors>
inline void value_columns(const float* const* w, const float* correction, Tile values, Ahead ahead, int64_t e,
                          int64_t begin, int64_t end, float* const* o) {
  F8 acc[kRows][kVectors];
  for (int r = 0; r < kRows; ++r)
    for (int i = 0; i < kVectors; ++i) acc[r][i] = load(o[r] + e + 8 * i) * set(correction[r]);
  const std::byte* row = values.rows + begin * values.stride_bytes;
  const auto position = [&](int64_t j) {
    F8 v[kVectors];
    for (int i = 0; i < kVectors; ++i) v[i] = load_element<kHalf>(row, e + 8 * i);
    for (int r = 0; r < kRows; ++r) {
      const F8 weight = keep(set(w[r][j]));
      for (int i = 0; i < kVectors; ++i) acc[r][i] = fma(weight, v[i], acc[r][i]);
    }
    row += values.stride_bytes;
  };
  // These columns' share of the tile that is fetched, in the order of its lines.
  StreamBeside<kHalf, kVectors> next(ahead, (e * kKvPage + begin * 8 * kVectors) * 2, row);
  constexpr int kTurns = decltype(next)::kTurns;
  int64_t j = begin;
  for (; j + kTurns <= end; j += kTurns) {
    next.step();
    for (int i = 0; i < kTurns; ++i) position(j + i);
  }
  for (; j < end; ++j) position(j);
  for (int r = 0; r < kRows; ++r)
    for (int i = 0; i < kVectors; ++i) store(o[r] + e + 8 * i, acc[r][i]);
}

// ahead: fetched evenly meanwhile; beside f16 the share of these positions.
template <bool kHalf, int kRows>
inline void add_values(const float* const* w, const float* correction, Tile values, Ahead ahead, int64_t d,
                       int64_t begin, int64_t end, float* const* o) {
  constexpr int kWide = vectors_of(kRows);
  int64_t e = 0;
  const auto columns = [&]<int kVectors>() {
    for (; e + 8 * kVectors <= d; e += 8 * kVectors) {
      if constexpr (!kHalf) ahead.fetch(e * kKvPage / d, (e + 8 * kVectors) * kKvPage / d);
      value_columns<kHalf, kRows, kVectors>(w, correction, values, ahead, e, begin, end, o);
    }
  };
  columns.template operator()<kWide>();
  if constexpr (kWide > 4) columns.template operator()<4>();
  if constexpr (kWide > 2) columns.template operator()<2>();
  columns.template operator()<1>();
}

inline constexpr float kMinusInfinity = -__builtin_inff();

inline float exp_one(float x) {
  if (x == 0.0f) return 1.0f;  // what exp gives
  float lanes[8];
  store(lanes, exp(set(x)));
  return lanes[0];
}

// Turns scores [begin, end) of one tile into weights, exp(s - max); updates the running maximum and sum (lanes by
// position in the tile, then fold_sum); returns the factor on what was summed before.
inline float soften(float* s, int64_t begin, int64_t end, float cap, float& running_max, float& running_sum) {
  const int64_t first = begin / 8 * 8, last = (end + 7) / 8 * 8;
  if (cap > 0.0f)
    for (int64_t j = first; j < last; j += 8) store(s + j, set(cap) * tanh(load(s + j) / set(cap)));
  for (int64_t j = first; j < begin; ++j) s[j] = kMinusInfinity;
  for (int64_t j = end; j < last; ++j) s[j] = kMinusInfinity;
  F8 highest = set(kMinusInfinity);
  for (int64_t j = first; j < last; j += 8) highest = max(highest, load(s + j));
  const float tile_max = fold_max(highest);
  const float new_max = tile_max > running_max ? tile_max : running_max;
  F8 sum = zero();
  for (int64_t j = first; j < last; j += 8) {
    const F8 w = exp(load(s + j) - set(new_max));
    store(s + j, w);
    sum = sum + w;
  }
  const float correction = exp_one(running_max - new_max);
  running_sum = running_sum * correction + fold_sum(sum);
  running_max = new_max;
  return correction;
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
