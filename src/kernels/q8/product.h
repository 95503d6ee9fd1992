// y = W x for quantized weights and 8-bit activations, any number of tokens (M): decode, verification and prefill.
//
//   y[m,r] = sum_b fma( dot(m,r,b) dw[r,b], dx[m,b], . ), then fma( mw[r,b], sx[m,b], . ),    b = 0 .. D/32-1
//   dot    = sum_j q[r,b,j] x[m,b,j]  (int32, exact)      sx[m,b] = dx[m,b] sum_j x[m,b,j]
//
//   W [R,D]  panels of 16 rows (tensor/interleave.h)  read once from memory for kTokenBlock tokens; raw rows are
//                                                     interleaved a panel at a time on the way
//   X [M,D]  records of 32 (act_format.h)             stream through the first-level cache
//   Y [M,R]  f32                                      summed in scratch, written once
//
// A block of weights is unpacked into eight registers, and all tokens pass by: one broadcast of four activations meets
// four weights of kLanes rows, so that nothing is folded across lanes. Sums start at the float 1.5 * 2^23 as an
// integer, so that a finished sum *is* a float once that number is taken away: no conversion. Where activations have
// 128 added (q8_offset), the start takes 128 times the block's sum of weights away.
//
// Order: blocks left to right; in a block the record, then its rest where it is flagged; per term one multiplication by
// the weights' scale (kHalves: and one FMA, the halves are added first) and one FMA with the activations'. The same for
// every M, cut, layout, and ISA that has these files.
//
// Cost   per block of 32 columns, kLanes rows and token: 8 integer dot products, 1 subtraction, 1 multiplication, 1 FMA
//        (2 with minima).
#pragma once

#include "kernels/act_format.h"
#include "kernels/ops.h"
#include "kernels/q8/unpack.h"
#include "tensor/interleave.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

inline constexpr int64_t kGroupRows = tensor::kInterleavedRows;
inline constexpr int kParts = kGroupRows / kLanes;  // of a group, each kLanes rows
// Tokens whose sums wait while the panels of a group pass by: 4 KiB of sums, and one block's records (3 KiB) in the
// first-level cache. A multiple of 16 (flags are looked at 16 at a time).
inline constexpr int64_t kTokenBlock = 64;

// How far ahead weights are fetched: what a core reads in the time that memory takes to answer (100 ns at 20 GB/s),
// twice.
inline constexpr int64_t kFetchAhead = 4096;

// So many tokens have code of their own, without loops: up to four keep their sums in registers; eight, with eight
// lanes, still gain (a quarter), with sixteen they lose.
inline constexpr int kFewTokens = 4, kUnrolledTokens = kLanes == 8 ? 8 : 4;

struct alignas(64) ProductScratch {      // RestLists::bytes() more follow
  float sums[kTokenBlock * kGroupRows];  // [part][token][lane]
  std::byte panel[8192];                 // a raw panel, interleaved; the largest (two Q6_K super-blocks) takes 6720
};

inline constexpr int32_t kFloatMagic =
    0x4B400000;  // 1.5 * 2^23: adding an integer below 2^22 to its bits adds it to the float
inline constexpr float kFloatMagicValue = 12582912.0f;

// What one block of weights brings along: integers, where their products start, scales and minima.
struct BlockTerms {
  I q[8];
  I start[2];
  F scale[2], min[2];
};

// sums[t] += (what record(t) says) * (what the block says), for kTile tokens side by side: enough independent sums to
// hide the latency of the dot products.
template <class Unpack, int kTile, class Record>
[[gnu::always_inline]] inline void add_terms(F* sums, const BlockTerms& w, Record record) {
  I dot[kTile];
  F value[kTile];
  for (int t = 0; t < kTile; ++t) dot[t] = w.start[0];
  dot_tile<Unpack, kTile, Unpack::kHalves ? 4 : 8>(dot, w.q, [&](int t) { return record(t).q; });
  // From here on a few registers are free for what all tokens need: loads are as scarce as multiplications.
  const F magic = in_register(set_floats(kFloatMagicValue)), scale = in_register(w.scale[0]);
  for (int t = 0; t < kTile; ++t) value[t] = (as_floats(dot[t]) - magic) * scale;
  if constexpr (Unpack::kHalves) {
    for (int t = 0; t < kTile; ++t) dot[t] = w.start[1];
    dot_tile<Unpack, kTile, 4>(dot, w.q + 4, [&](int t) { return record(t).q + 16; });
    const F second = in_register(w.scale[1]);
    for (int t = 0; t < kTile; ++t) value[t] = fma(as_floats(dot[t]) - magic, second, value[t]);
  }
  for (int t = 0; t < kTile; ++t) sums[t] = fma(value[t], set_floats(record(t).scale), sums[t]);
  if constexpr (Unpack::kMin && Unpack::kHalves) {
    const F first = in_register(w.min[0]), second = in_register(w.min[1]);
    for (int t = 0; t < kTile; ++t)
      sums[t] =
          fma(second, set_floats(record(t).scaled_half[1]), fma(first, set_floats(record(t).scaled_half[0]), sums[t]));
  } else if constexpr (Unpack::kMin) {
    const F min = in_register(w.min[0]);
    for (int t = 0; t < kTile; ++t) sums[t] = fma(min, set_floats(record(t).scaled_sum), sums[t]);
  }
}

// The same for records and sums of kTile tokens in memory, token(t) of those at `x` and `sums`.
template <class Unpack, int kTile, class Token>
[[gnu::always_inline]] inline void add_records(float* sums, const BlockTerms& w, const ActRecord* x, Token token) {
  F in_registers[kTile];
  for (int t = 0; t < kTile; ++t) in_registers[t] = load_floats(sums + token(t) * kLanes);
  add_terms<Unpack, kTile>(in_registers, w, [&](int t) -> const ActRecord& { return x[token(t)]; });
  for (int t = 0; t < kTile; ++t) store_floats(sums + token(t) * kLanes, in_registers[t]);
}

// All n tokens of a list, side by side as far as registers go.
template <class Unpack, class Token>
[[gnu::always_inline]] inline void add_all(float* sums, const BlockTerms& w, const ActRecord* x, int64_t n,
                                           Token token) {
  // Halves keep a value and a sum for each token: those of more than four do not fit sixteen registers.
  constexpr int kTile = Unpack::kHalves && kLanes == 8 ? 4 : 8;
  int64_t m = 0;
  const auto from_m = [&](int t) { return token(m + t); };
  for (; m + kTile <= n; m += kTile) add_records<Unpack, kTile>(sums, w, x, from_m);
  if (kTile > 4 && m + 4 <= n) {
    add_records<Unpack, 4>(sums, w, x, from_m);
    m += 4;
  }
  if (m + 2 <= n) {
    add_records<Unpack, 2>(sums, w, x, from_m);
    m += 2;
  }
  if (m < n) add_records<Unpack, 1>(sums, w, x, from_m);
}

// Which of up to kTokenBlock tokens have a rest, block by block: tokens[begin[b] .. begin[b + 1]).
struct RestLists {
  uint32_t* begin;  // [n_blocks + 1]
  uint8_t* tokens;

  // Bytes it takes for d inputs.
  static int64_t bytes(int64_t d) {
    // Room for every token in every block: "one in three" is arithmetic of floats, which underflows.
    return (d / 32 + 1) * int64_t{sizeof(uint32_t)} + d / 32 * kTokenBlock;
  }
  RestLists(std::byte* memory, int64_t d)
      : begin(reinterpret_cast<uint32_t*>(memory)), tokens(reinterpret_cast<uint8_t*>(begin + d / 32 + 1)) {}

  void find(const ActLayout& at, const std::byte* acts, int64_t first, int64_t n) {
    uint32_t found = 0;
    for (int64_t b = 0; b < at.n_blocks; ++b) {
      begin[b] = found;
      const std::byte* flags = acts + at.flag(b, first);
      for (int64_t from = 0; from < n; from += 16) {
        const __m128i f = _mm_loadu_si128(reinterpret_cast<const __m128i*>(flags + from));
        auto mask = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpgt_epi8(f, _mm_setzero_si128())));
        if (n - from < 16) mask &= (1u << (n - from)) - 1;  // beyond the last token nobody wrote
        for (; mask; mask &= mask - 1) tokens[found++] = static_cast<uint8_t>(from + __builtin_ctz(mask));
      }
    }
    begin[at.n_blocks] = found;
  }
};

// Where a panel's activations lie, and which tokens are meant: `n` from row `first` on.
struct PanelActs {
  const std::byte *record, *rest, *flags;  // of the panel's first block
  int64_t block_bytes, flag_stride;        // from block to block
  int64_t n;
  const uint32_t* rest_begin;  // of the panel's first block
  const uint8_t* rest_tokens;
};
inline PanelActs panel_acts(const ActLayout& at, const std::byte* acts, int64_t block, int64_t first, int64_t n,
                            const RestLists& rests) {
  return {.record = acts + at.record(block, first),
          .rest = acts + at.rest(block, first),
          .flags = acts + at.flag(block, first),
          .block_bytes = at.record(1, 0),
          .flag_stride = at.flag_stride(),
          .n = n,
          .rest_begin = rests.begin + block,
          .rest_tokens = rests.tokens};
}

template <class Unpack>
[[gnu::always_inline]] inline BlockTerms block_terms(const PanelView& p, const PanelScales& s, int b) {
  constexpr int kPerBlock = Unpack::kHalves ? 2 : 1, kWords = 8 / kPerBlock;
  BlockTerms w;
  Unpack::block(p, b, w.q);
  for (int i = 0; i < kPerBlock; ++i) {
    w.start[i] = set_words(kFloatMagic);
    if constexpr (kOffsetActivations<Unpack>) w.start[i] = w.start[i] - offset_of<Unpack, kWords>(w.q + kWords * i);
    w.scale[i] = s.scale[kPerBlock * b + i];
    if constexpr (Unpack::kMin) w.min[i] = s.min[kPerBlock * b + i];
  }
  return w;
}

// Adds block b of a panel to the sums of any number of tokens, which wait in memory.
template <class Unpack>
[[gnu::always_inline]] inline void add_block(const BlockTerms& w, int b, const PanelActs& acts, float* sums) {
  const auto* record = reinterpret_cast<const ActRecord*>(acts.record + b * acts.block_bytes);
  const auto* rest = reinterpret_cast<const ActRecord*>(acts.rest + b * acts.block_bytes);
  add_all<Unpack>(sums, w, record, acts.n, [](int64_t t) { return t; });
  const uint8_t* tokens = acts.rest_tokens + acts.rest_begin[b];
  add_all<Unpack>(sums, w, rest, acts.rest_begin[b + 1] - acts.rest_begin[b],
                  [tokens](int64_t t) { return tokens[t]; });
}

// The same for kFew tokens, whose sums stay in registers.
template <class Unpack, int kFew>
[[gnu::always_inline]] inline void add_block_few(const BlockTerms& w, int b, const PanelActs& acts, F* sums) {
  const auto* record = reinterpret_cast<const ActRecord*>(acts.record + b * acts.block_bytes);
  const std::byte* flags = acts.flags + b * acts.flag_stride;
  const auto* rest = reinterpret_cast<const ActRecord*>(acts.rest + b * acts.block_bytes);
  add_terms<Unpack, kFew>(sums, w, [&](int t) -> const ActRecord& { return record[t]; });
  for (int t = 0; t < kFew; ++t)
    if (flags[t] != std::byte{0}) [[unlikely]]
      add_terms<Unpack, 1>(sums + t, w, [&](int) -> const ActRecord& { return rest[t]; });
}

// Adds a panel of kLanes rows to the sums of kFew tokens, or of any number (0). `ahead`, unless null, is fetched
// meanwhile: as many bytes, needed soon.
template <class Unpack, int kFew>
[[gnu::noinline]] void add_panel(const PanelView& p, const PanelActs& acts, float* sums, const std::byte* ahead) {
  // What one block adds to the stream of weights.
  constexpr int64_t kBlockBytes = kGroupRows * 32 * int64_t{sizeof(typename Unpack::Block)} / Unpack::Block::kElements;
  PanelScales s;
  Unpack::scales(p, s);
  F few[kFew ? kFew : 1];
  for (int t = 0; t < kFew; ++t) few[t] = load_floats(sums + t * kLanes);
  const auto add = [&](int b) __attribute__((always_inline)) {
    if (ahead)
      for (int64_t i = 0; i < kBlockBytes; i += 64) __builtin_prefetch(ahead + b * kBlockBytes + i);
    const BlockTerms w = block_terms<Unpack>(p, s, b);
    if constexpr (kFew > 0)
      add_block_few<Unpack, kFew>(w, b, acts, few);
    else
      add_block<Unpack>(w, b, acts, sums);
  };
  if constexpr (Unpack::Block::kElements == 32) {
    for (int b = 0; b < p.n_blocks; ++b) add(b);
  } else {  // unrolled: where a block's bits lie depends on its number
    add(0), add(1), add(2), add(3), add(4), add(5), add(6), add(7);
  }
  for (int t = 0; t < kFew; ++t) store_floats(sums + t * kLanes, few[t]);
}

template <class Unpack>
inline auto add_panel_of(int64_t n_tokens) {
  return n_tokens == 1                 ? add_panel<Unpack, 1>
         : n_tokens == 2               ? add_panel<Unpack, 2>
         : n_tokens == 3               ? add_panel<Unpack, 3>
         : n_tokens == 4               ? add_panel<Unpack, 4>
         : n_tokens == kUnrolledTokens ? add_panel<Unpack, kUnrolledTokens>
                                       : add_panel<Unpack, 0>;
}

// All panels of a group of 16 rows for the tokens [first, first + n): sums to scratch.
template <class Unpack>
void sum_group(const MatmulArgs& a, int64_t r, int64_t rows_here, bool is_raw, int64_t first, int64_t n,
               const RestLists& rests, ProductScratch& scratch) {
  using Block = typename Unpack::Block;
  constexpr bool kSuper = Block::kElements > 32;  // then the blocks of a panel are views of their own
  const tensor::InterleavePlan plan = tensor::interleave_plan(a.w.dtype);
  const ActLayout at(a.m, a.w.shape.cols());
  const int64_t n_blocks = a.w.shape.cols() / Block::kElements, row_bytes = n_blocks * int64_t{sizeof(Block)};
  const auto add = add_panel_of<Unpack>(n);
  __builtin_memset(scratch.sums, 0, static_cast<size_t>(n * kGroupRows) * sizeof(float));
  const std::byte* panel = a.w.data + r * row_bytes;
  const std::byte* rows[kGroupRows];  // beyond the last row it is repeated; those sums are not stored
  for (int64_t i = 0; i < kGroupRows; ++i) rows[i] = panel + (i < rows_here ? i : rows_here - 1) * row_bytes;
  for (int64_t b = 0; b < n_blocks; b += plan.panel_blocks) {
    const int64_t blocks = n_blocks - b < plan.panel_blocks ? n_blocks - b : plan.panel_blocks;
    const std::byte* from = panel;
    if (is_raw) {
      tensor::interleave_panel(a.w.dtype, rows, blocks, scratch.panel);
      for (auto& row : rows) row += blocks * int64_t{sizeof(Block)};
      from = scratch.panel;
    }
    panel += blocks * kGroupRows * int64_t{sizeof(Block)};
    const std::byte* words = from + blocks * kGroupRows * plan.half_bytes();
    for (int64_t i = 0; i < (kSuper ? blocks : 1); ++i) {
      const PanelActs acts = panel_acts(at, a.x, (b + i) * (Block::kElements / 32), first, n, rests);
      for (int part = 0; part < kParts; ++part) {
        const PanelView view = {words + i * plan.words() * 64 + part * kLanes * 4,
                                plan.half_offset < 0 ? nullptr : from + i * 32 + part * kLanes * 2,
                                kSuper ? 1 : static_cast<int>(blocks)};
        const bool fetches = !is_raw && part == 0 && first == 0;
        add(view, acts, scratch.sums + part * n * kLanes,
            fetches ? from + i * plan.block_bytes * kGroupRows + kFetchAhead : nullptr);
      }
    }
  }
}

template <class Unpack>
void product(const MatmulArgs& a, int64_t row_begin, int64_t row_end, ProductScratch& scratch) {
  const int64_t d = a.w.shape.cols();
  const int64_t in_groups = a.w.layout == tensor::Layout::rows ? 0 : a.w.shape.rows() / kGroupRows * kGroupRows;
  RestLists rests(reinterpret_cast<std::byte*>(&scratch + 1), d);
  for (int64_t m0 = 0; m0 < a.m; m0 += kTokenBlock) {
    const int64_t n = a.m - m0 < kTokenBlock ? a.m - m0 : kTokenBlock;
    if (n > kFewTokens && n != kUnrolledTokens) rests.find(ActLayout(a.m, d), a.x, m0, n);
    for (int64_t r = row_begin; r < row_end; r += kGroupRows) {
      const int64_t rows_here = row_end - r < kGroupRows ? row_end - r : kGroupRows;
      sum_group<Unpack>(a, r, rows_here, r >= in_groups, m0, n, rests, scratch);
      for (int part = 0; part < kParts; ++part) {
        const int64_t valid = rows_here - part * kLanes;
        for (int64_t m = 0; m < n; ++m) {
          float* y = a.y + (m0 + m) * a.y_stride + r + part * kLanes;
          const float* sum = scratch.sums + (part * n + m) * kLanes;
          if (valid >= kLanes)
            store_unaligned(y, load_floats(sum));
          else
            for (int64_t i = 0; i < valid; ++i) y[i] = sum[i];
        }
      }
    }
  }
}

struct ProductOf {
  void (*run)(const MatmulArgs&, int64_t row_begin, int64_t row_end, ProductScratch&) = nullptr;
  ActFormat acts = ActFormat::f32;
};
template <class Unpack>
constexpr ProductOf product_of() {
  return {product<Unpack>, kOffsetActivations<Unpack> ? ActFormat::q8_offset : ActFormat::q8};
}

// f32: no integer kernel, activations stay float.
inline ProductOf product_for(DType dtype) {
  switch (dtype) {
    case DType::q4_0:
      return product_of<UnpackQ4_0>();
    case DType::q4_1:
      return product_of<UnpackQ4_1>();
    case DType::q5_0:
      return product_of<UnpackQ5_0>();
    case DType::q5_1:
      return product_of<UnpackQ5_1>();
    case DType::q8_0:
      return product_of<UnpackQ8_0>();
    case DType::q2_k:
      return product_of<UnpackQ2K>();
    case DType::q3_k:
      return product_of<UnpackQ3K>();
    case DType::q4_k:
      return product_of<UnpackQ4K>();
    case DType::q5_k:
      return product_of<UnpackQ5K>();
    case DType::q6_k:
      return product_of<UnpackQ6K>();
    case DType::iq4_nl:
      return product_of<UnpackIQ4NL>();
    case DType::iq4_xs:
      return product_of<UnpackIQ4XS>();
    default:
      return {};
  }
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
