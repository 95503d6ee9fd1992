// y = W x for quantized weights by AMX: tiles of integer products for many tokens. The bits are those of q8/product.h,
// which has the formula, its order, and what W, X and Y are.
//
//   C [16 tokens, 16 rows] int32 = A [16 tokens, 32] times B [32, 16 rows]      one block of 32 columns
//
// An unpacked block (eight vectors of four columns of sixteen rows, q8/unpack.h) is B as it is. Activations are
// converted to A: tiles of 16 rows instead of records (TileActs). So an instruction makes 8192 products in 16 cycles,
// where 512-bit vectors need 64. What is left is to take C to memory and to turn it into floats, 16 vectors a block:
// that sets the time.
//
//   chunk   kChunkBlocks blocks of a group of 16 rows, unpacked once for kTokenBlock tokens: B, 16 KiB, stays in the
//           first-level cache; scales beside it
//   tile    16 tokens pass by a chunk with their sums in registers. While a block's C is made, the one before is stored
//           and the one before that is added
//   rests   those of a chunk are gathered into tiles of one block each
//   groups  up to kGroups pass by before the next chunk's activations are needed: these stay in the second-level cache
//
// Weights are signed here (what a format adds to them is taken away on unpacking), so no record's start is needed.
// Tile registers are set up at the beginning of a call and given back at its end: a thread that holds them would carry
// 8 KiB through every change of context.
//
// Cost  per block of 32 columns, 16 rows and 16 tokens: 16 cycles of products, 16 of stores, 32 FMAs (48 with minima or
//       halves). FMAs start once a cycle beside tiles, so these are the floor; 64 to 80 cycles are measured, where
//       products by vectors take 115 to 150.
#pragma once

#include <algorithm>

#include "kernels/q8/convert.h"
#include "kernels/q8/product.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

inline constexpr int64_t kChunkBlocks = 32;  // of 32 columns: whole panels of every format
inline constexpr int64_t kGroups = 8;
inline constexpr int kTileTokens = 16;

// Of a block of 16 rows: scales and minima (of halves, or [0] of the whole), and -kFloatMagicValue * scale[0].
struct BlockScales {
  F scale[2], less, min[2];
};
// A chunk of 16 rows: B of each block, and what belongs to it.
struct alignas(64) Chunk {
  uint32_t word[kChunkBlocks][8][16];
  BlockScales scales[kChunkBlocks];
  int n_blocks;
};

// A block of the activations of 16 tokens: A, and what meets the block's scales and minima.
struct alignas(64) TileActs {
  int8_t q[kTileTokens][32];
  float scale[kTileTokens];
  ActSum sum[kTileTokens], half[2][kTileTokens];  // as a record's
};

// Converted activations of passes by tiles: tile [M / 16][D/32], then rests and flags as act_format.h has them.
// A chunk of a tile lies in one piece.
struct TileLayout {
  int64_t m, n_blocks;
  TileLayout(int64_t n_rows, int64_t d) : m(n_rows), n_blocks(d / 32) {}
  int64_t tile(int64_t block, int64_t row) const {
    return (row / kTileTokens * n_blocks + block) * int64_t{sizeof(TileActs)};
  }
  int64_t flag_stride() const { return (m + 15) / 16 * 16; }
  int64_t rest(int64_t block, int64_t row) const {
    return tile(0, m + kTileTokens - 1) + (block * m + row) * ActLayout::kRecordBytes;
  }
  int64_t flag(int64_t block, int64_t row) const { return rest(n_blocks, 0) + block * flag_stride() + row; }
  int64_t bytes() const { return flag(n_blocks, 0); }
};

struct RowOfTiles {
  TileLayout at;
  int64_t row, n_blocks = at.n_blocks;
  RecordPlace record(std::byte* acts, int64_t b) const {
    TileActs& tile = *reinterpret_cast<TileActs*>(acts + at.tile(b, row));
    const int64_t t = row % kTileTokens;
    return {tile.q[t], &tile.scale[t], &tile.sum[t], &tile.half[0][t], &tile.half[1][t]};
  }
  RecordPlace rest(std::byte* acts, int64_t b) const {
    return place_of(*reinterpret_cast<ActRecord*>(acts + at.rest(b, row)));
  }
  std::byte* flag(std::byte* acts, int64_t b) const { return acts + at.flag(b, row); }
};

// Rests of one block, of up to 16 tokens of a pass of kTokenBlock.
struct alignas(64) RestTile {
  TileActs x;
  uint8_t token[kTileTokens];
  int block, n;
};
inline constexpr int64_t kRestTiles = kChunkBlocks * kTokenBlock / kTileTokens;

struct alignas(64) TileScratch {
  float sums[kGroups][kTokenBlock * kGroupRows];   // [group][token][row]: of the records
  float rests[kGroups][kTokenBlock * kGroupRows];  // likewise: of the rests
  Chunk chunk;
  int32_t out[2][2][kTileTokens][16];  // C: of even and odd blocks, of halves
  std::byte panel[8192];               // a raw panel, interleaved
  int n_rest_tiles;
  RestTile rest[kRestTiles];  // of a chunk, in the order of blocks; rarely more than a tenth is touched
};

// Registers: C 0 and 1 (halves: 0 to 3), A 4 and 5, B 6 and 7.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
inline void configure(const TileConfig& c) {
  asm volatile("" : : "r"(&c) : "memory");  // GCC 12 thinks that only its first bytes are read
  _tile_loadconfig(&c);
}
template <bool kHalves>
inline void configure() {
  TileConfig c;
  for (int i = 0; i < 8; ++i) {
    const bool is_c = i < 4, is_a = i >= 4 && i < 6;
    c.rows[i] = is_c || is_a ? kTileTokens : kHalves ? 4 : 8;
    c.row_bytes[i] = is_a ? (kHalves ? 16 : 32) : 64;
  }
  configure(c);
}

// Starts C of a block for the records from x on; keep_tile() writes it to memory. Even and odd blocks have registers of
// their own: while one's products are made, the other's are stored and those before them added.
template <bool kHalves, bool kOdd>
[[gnu::always_inline]] inline void make_tile(const uint32_t (*word)[16], const TileActs& x) {
  constexpr int kStride = sizeof x.q[0];
  if constexpr (kHalves && kOdd) {
    _tile_loadd(6, word, 64);
    _tile_loadd(4, x.q, kStride);
    _tile_zero(2);
    _tile_dpbssd(2, 4, 6);
    _tile_loadd(7, word + 4, 64);
    _tile_loadd(5, x.q[0] + 16, kStride);
    _tile_zero(3);
    _tile_dpbssd(3, 5, 7);
  } else if constexpr (kHalves) {
    _tile_loadd(6, word, 64);
    _tile_loadd(4, x.q, kStride);
    _tile_zero(0);
    _tile_dpbssd(0, 4, 6);
    _tile_loadd(7, word + 4, 64);
    _tile_loadd(5, x.q[0] + 16, kStride);
    _tile_zero(1);
    _tile_dpbssd(1, 5, 7);
  } else if constexpr (kOdd) {
    _tile_loadd(7, word, 64);
    _tile_loadd(5, x.q, kStride);
    _tile_zero(1);
    _tile_dpbssd(1, 5, 7);
  } else {
    _tile_loadd(6, word, 64);
    _tile_loadd(4, x.q, kStride);
    _tile_zero(0);
    _tile_dpbssd(0, 4, 6);
  }
}
template <bool kHalves, bool kOdd>
[[gnu::always_inline]] inline void keep_tile(int32_t (*out)[16][16]) {
  if constexpr (kHalves && kOdd) {
    _tile_stored(2, out[0], 64);
    _tile_stored(3, out[1], 64);
  } else if constexpr (kHalves) {
    _tile_stored(0, out[0], 64);
    _tile_stored(1, out[1], 64);
  } else if constexpr (kOdd) {
    _tile_stored(1, out[0], 64);
  } else {
    _tile_stored(0, out[0], 64);
  }
}

// sum + what C's row t says of a block, as q8/product.h's add_terms(). Beside tiles, multiplications start once a cycle
// (port 0; port 5 is the tiles') and additions twice, so C becomes floats by additions: kFloatMagic, an integer, makes
// the float kFloatMagicValue + C, and (that - kFloatMagicValue) * scale is one FMA, as kFloatMagicValue * scale is
// exact: scales have 22 bits at most (a half of 11 times an integer of 8), and 1.5 * 2^23 adds two.
template <bool kHalves, bool kMin>
[[gnu::always_inline]] inline F added(F sum, const int32_t (*out)[16][16], int t, const BlockScales& w,
                                      const TileActs& x) {
  const I magic = set_words(kFloatMagic);
  F value = fma(as_floats(load_words(out[0][t]) + magic), w.scale[0], w.less);
  if constexpr (kHalves)
    value = fma(as_floats(load_words(out[1][t]) + magic) - set_floats(kFloatMagicValue), w.scale[1], value);
  sum = fma(value, set_floats(x.scale[t]), sum);
  if constexpr (kMin && kHalves)
    sum = fma(w.min[1], set_floats(x.half[1][t].scaled), fma(w.min[0], set_floats(x.half[0][t].scaled), sum));
  else if constexpr (kMin)
    sum = fma(w.min[0], set_floats(x.sum[t].scaled), sum);
  return sum;
}

// n >= 1 tiles one after the other: each is made, a step later stored to memory, and another step later added.
template <class Make, class Keep, class Add>
[[gnu::always_inline]] inline void in_stages(int n, Make make, Keep keep, Add add) {
  constexpr std::false_type kEven;
  constexpr std::true_type kOdd;
  make(0, kEven);
  if (n > 1) make(1, kOdd);
  keep(kEven);
  int i = 0;
  for (; i + 3 < n; i += 2) {
    make(i + 2, kEven);
    keep(kOdd);
    add(i, kEven);
    make(i + 3, kOdd);
    keep(kEven);
    add(i + 1, kOdd);
  }
  if (i + 2 < n) make(i + 2, kEven);
  if (i + 1 < n) keep(kOdd);
  add(i, kEven);
  if (i + 2 < n) keep(kEven);
  if (i + 1 < n) add(i + 1, kOdd);
  if (i + 2 < n) add(i + 2, kEven);
}

// What is fetched while a tile passes by a chunk: `per_block` bytes with each block.
struct Ahead {
  const std::byte* at = nullptr;
  int64_t per_block = 0;
};

// What becomes of a tile's sums: they begin with zeros or go on, and where y is given they are finished with it.
struct TileSums {
  float* sums;         // [token][row]
  const float* rests;  // likewise: finished when y is given
  bool begins;
  float* y;  // null: sums are kept
  int64_t y_stride;
};

// Sums += kTokens tokens times the chunk.
template <bool kHalves, bool kMin, int kTokens>
[[gnu::noinline]] void add_tile(const Chunk& chunk, const TileActs* x, const TileSums& to, Ahead ahead,
                                int32_t (*out)[2][16][16]) {
  F sum[kTokens];
  if (to.begins) {
#pragma GCC unroll 16
    for (int t = 0; t < kTokens; ++t) sum[t] = set_floats(0.0f);
  } else {
#pragma GCC unroll 16
    for (int t = 0; t < kTokens; ++t) sum[t] = load_floats(to.sums + t * kGroupRows);
  }
  const auto make = [&](int b, auto is_odd) __attribute__((always_inline)) {
    make_tile<kHalves, is_odd>(chunk.word[b], x[b]);
  };
  const auto keep = [&](auto is_odd) __attribute__((always_inline)) { keep_tile<kHalves, is_odd>(out[is_odd]); };
  const auto add = [&](int b, auto is_odd) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int t = 0; t < kTokens; ++t) sum[t] = added<kHalves, kMin>(sum[t], out[is_odd], t, chunk.scales[b], x[b]);
    for (int64_t i = 0; i < ahead.per_block; i += 64) __builtin_prefetch(ahead.at + i, 0, 2);
    ahead.at += ahead.per_block;
  };
  in_stages(chunk.n_blocks, make, keep, add);
  if (to.y) {
#pragma GCC unroll 16
    for (int t = 0; t < kTokens; ++t)
      store_unaligned(to.y + t * to.y_stride, sum[t] + load_floats(to.rests + t * kGroupRows));
  } else {
#pragma GCC unroll 16
    for (int t = 0; t < kTokens; ++t) store_floats(to.sums + t * kGroupRows, sum[t]);
  }
}

// The rests of a chunk's blocks, laid out in tiles.
inline void gather_rests(const PanelActs& acts, int64_t n_blocks, TileScratch& s) {
  int n = 0;
  for (int b = 0; b < n_blocks; ++b) {
    RestTile* tile = nullptr;
    for_each_rest(
        acts, b, [&](int64_t t) __attribute__((always_inline)) {
          if (!tile || tile->n == kTileTokens) {
            tile = &s.rest[n++];
            tile->block = b;
            tile->n = 0;
          }
          const int at = tile->n++;
          const ActRecord& x = acts.rest_of(b, t);
          tile->token[at] = static_cast<uint8_t>(t);
          __builtin_memcpy(tile->x.q[at], x.q, sizeof x.q);
          tile->x.scale[at] = x.scale;
          tile->x.sum[at] = x.sum;
          tile->x.half[0][at] = x.half[0];
          tile->x.half[1][at] = x.half[1];
        });
  }
  s.n_rest_tiles = n;
  asm volatile("" ::: "memory");  // tiles are loaded from what was just written
}

// rests += what was gathered times the chunk's blocks.
template <bool kHalves, bool kMin>
[[gnu::noinline]] void add_rests(const Chunk& chunk, const RestTile* tiles, int n_tiles, float* rests,
                                 int32_t (*out)[2][16][16]) {
  if (n_tiles == 0) return;
  const auto make = [&](int i, auto is_odd) __attribute__((always_inline)) {
    make_tile<kHalves, is_odd>(chunk.word[tiles[i].block], tiles[i].x);
  };
  const auto keep = [&](auto is_odd) __attribute__((always_inline)) { keep_tile<kHalves, is_odd>(out[is_odd]); };
  const auto add = [&](int i, auto is_odd) __attribute__((always_inline)) {
    const RestTile& tile = tiles[i];
    const BlockScales& scales = chunk.scales[tile.block];
    for (int t = 0; t < tile.n; ++t) {
      float* const rest = rests + tile.token[t] * kGroupRows;
      store_floats(rest, added<kHalves, kMin>(load_floats(rest), out[is_odd], t, scales, tile.x));
    }
  };
  in_stages(n_tiles, make, keep, add);
}

// Of a group of 16 rows: where its panels lie.
struct GroupWeights {
  const std::byte* data;  // of its first row
  int64_t row_bytes, n_rows;
  bool is_raw;
};

// Unpacks the chunk from file block `first` on: n_file blocks of the format.
template <class Unpack>
[[gnu::noinline]] void unpack_chunk(DType dtype, const tensor::InterleavePlan& plan, const GroupWeights& w,
                                    int64_t first, int64_t n_file, Chunk& to, std::byte* panel) {
  using Block = typename Unpack::Block;
  constexpr bool kSuper = Block::kElements > 32;
  constexpr int kPerBlock = Unpack::kHalves ? 2 : 1;
  constexpr int64_t kBytes = sizeof(Block);
  to.n_blocks = static_cast<int>(n_file * Block::kElements / 32);
  int at = 0;  // blocks of 32 so far
  for (int64_t b = first; b < first + n_file; b += plan.panel_blocks) {
    const int64_t blocks = std::min<int64_t>(first + n_file - b, plan.panel_blocks);
    const std::byte* from = w.data + b * kGroupRows * kBytes;
    if (w.is_raw) {
      const std::byte* rows[kGroupRows];  // beyond the last row it is repeated; those sums are not stored
      for (int64_t i = 0; i < kGroupRows; ++i) rows[i] = w.data + std::min(i, w.n_rows - 1) * w.row_bytes + b * kBytes;
      tensor::interleave_panel(dtype, rows, blocks, panel);
      from = panel;
    }
    const std::byte* words = from + blocks * kGroupRows * plan.half_bytes();
    for (int64_t i = 0; i < (kSuper ? blocks : 1); ++i) {
      const PanelView view = {words + i * plan.words() * 64, plan.half_offset < 0 ? nullptr : from + i * 32,
                              kSuper ? 1 : static_cast<int>(blocks)};
      BlockTerms terms;
      for_each_block<Unpack, true>(
          view, [&](int) __attribute__((always_inline))->BlockTerms & { return terms; },
          [&](int) __attribute__((always_inline)) {
            const I added = set_bytes(Unpack::kAdded);
            for (int j = 0; j < 8; ++j)
              store_words(to.word[at][j], Unpack::kAdded ? subtract_bytes(terms.q[0][j], added) : terms.q[0][j]);
            BlockScales& scales = to.scales[at];
            for (int h = 0; h < kPerBlock; ++h) {
              scales.scale[h] = terms.scale[0][h];
              if constexpr (Unpack::kMin) scales.min[h] = terms.min[0][h];
            }
            scales.less = negated(set_floats(kFloatMagicValue)) * terms.scale[0][0];
            ++at;
          });
    }
  }
  asm volatile("" ::: "memory");  // tiles are loaded from what was just written
}

template <class Unpack>
void product_by_tiles(const MatmulArgs& a, int64_t row_begin, int64_t row_end, TileScratch& s) {
  using Block = typename Unpack::Block;
  constexpr int64_t kFileBlocks = kChunkBlocks * 32 / Block::kElements;  // of a chunk
  constexpr int64_t kBytes = sizeof(Block);
  constexpr bool kHalves = Unpack::kHalves, kMin = Unpack::kMin;
  const int64_t in_groups = a.w.layout == tensor::Layout::rows ? 0 : a.w.shape.rows() / kGroupRows * kGroupRows;
  const int64_t n_blocks = a.w.shape.cols() / Block::kElements, row_bytes = n_blocks * kBytes;
  const tensor::InterleavePlan plan = tensor::interleave_plan(a.w.dtype);
  const TileLayout layout(a.m, a.w.shape.cols());
  const std::byte* const fetch_end = a.w.data + std::max(a.next_row_end, row_end) * row_bytes;
  if (!a.is_fetched) {  // nobody fetched what these rows begin with
    const int64_t first = row_begin < in_groups ? a.fetch.far : kGroupRows * row_bytes;
    fetch_as_it_lies(a.w.data + row_begin * row_bytes, std::min(first, (row_end - row_begin) * row_bytes));
  }
  configure<kHalves>();
  for (int64_t m0 = 0; m0 < a.m; m0 += kTokenBlock) {
    const int64_t n = std::min(a.m - m0, kTokenBlock);
    for (int64_t r0 = row_begin; r0 < row_end; r0 += kGroups * kGroupRows) {
      const int64_t groups = std::min(kGroups, (row_end - r0 + kGroupRows - 1) / kGroupRows);
      for (int64_t g = 0; g < groups; ++g)
        __builtin_memset(s.rests[g], 0, static_cast<size_t>(n * kGroupRows) * sizeof(float));
      for (int64_t b = 0; b < n_blocks; b += kFileBlocks) {
        const int64_t blocks = std::min(n_blocks - b, kFileBlocks);
        const int64_t block = b * Block::kElements / 32;
        const PanelActs acts = {.record = nullptr,
                                .rest = a.x + layout.rest(block, m0),
                                .flags = a.x + layout.flag(block, m0),
                                .block_bytes = layout.rest(1, 0) - layout.rest(0, 0),
                                .flag_stride = layout.flag_stride(),
                                .n = n};
        gather_rests(acts, blocks * Block::kElements / 32, s);
        const bool is_last = b + blocks == n_blocks;
        for (int64_t g = 0; g < groups; ++g) {
          const int64_t r = r0 + g * kGroupRows;
          const GroupWeights w = {a.w.data + r * row_bytes, row_bytes, std::min(row_end - r, kGroupRows),
                                  r >= in_groups};
          unpack_chunk<Unpack>(a.w.dtype, plan, w, b, blocks, s.chunk, s.panel);
          // What will be unpacked next: this chunk of the next group.
          const std::byte* const next = w.data + (row_bytes + b * kBytes) * kGroupRows;
          const int64_t bytes = blocks * kGroupRows * kBytes;
          const Ahead ahead = m0 == 0 && next < fetch_end ? Ahead{next, bytes / s.chunk.n_blocks} : Ahead{};
          add_rests<kHalves, kMin>(s.chunk, s.rest, s.n_rest_tiles, s.rests[g], s.out);
          for (int64_t m = 0; m < n; m += kTileTokens) {
            const auto* const x = reinterpret_cast<const TileActs*>(a.x + layout.tile(block, m0 + m));
            const bool is_whole = w.n_rows == kGroupRows && n - m >= kTileTokens;
            const TileSums to = {.sums = s.sums[g] + m * kGroupRows,
                                 .rests = s.rests[g] + m * kGroupRows,
                                 .begins = b == 0,
                                 .y = is_last && is_whole ? a.y + (m0 + m) * a.y_stride + r : nullptr,
                                 .y_stride = a.y_stride};
            if (n - m > kTileTokens / 2)
              add_tile<kHalves, kMin, kTileTokens>(s.chunk, x, to, m == 0 ? ahead : Ahead{}, s.out);
            else
              add_tile<kHalves, kMin, kTileTokens / 2>(s.chunk, x, to, m == 0 ? ahead : Ahead{}, s.out);
            if (!is_last || is_whole) continue;
            for (int64_t t = 0; t < std::min<int64_t>(n - m, kTileTokens); ++t)
              for (int64_t i = 0; i < w.n_rows; ++i)
                a.y[(m0 + m + t) * a.y_stride + r + i] = to.sums[t * kGroupRows + i] + to.rests[t * kGroupRows + i];
          }
        }
      }
    }
  }
  _tile_release();
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
