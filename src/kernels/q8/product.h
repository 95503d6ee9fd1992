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
// A block of 32 columns of 16 rows is unpacked into 16 / kLanes parts of eight vectors; then tokens pass by, kTokens at
// a time: a broadcast of four activations meets four weights of kLanes rows in each part, so that nothing is folded
// across lanes. Tokens times parts are eight independent sums, enough to hide the latency of a dot product, and where
// there are two parts a broadcast serves both. Sums start at the float 1.5 * 2^23 as an integer, so that a finished sum
// *is* a float once that number is taken away: no conversion. Where weights have a number added, so that they are
// unsigned, the activations' record has a start from which what that adds is taken away already (act_format.h).
//
// Order: the records' sum and the rests' sum, each its blocks from left to right, are added at the end of a row; per
// term one multiplication by the weights' scale (kHalves: and one FMA, the halves are added first) and one FMA with the
// activations'. The same for every M, cut, layout, and ISA that has these files. Rests have a sum of their own so that
// they may come late: which tokens have one is not to be foreseen, and sums that stay in registers do not wait for it.
//
// By the number of tokens:  up to 8           by word where a format says so: each word is unpacked when its products
//                                             are made, sums in registers; rests at the end of the panel
//                           up to kFewTokens  code for each number, sums in registers; rests at their block
//                           up to 32, where kUnpackFirst  the panel is unpacked first, then tokens pass by with their
//                                         sums; rests at the end of the panel
//                           more          block by block, sums in memory; rests at their block, side by side
//
// Cost   per block of 32 columns, kLanes rows and token: 8 integer dot products, 1 subtraction, 1 multiplication, 1 FMA
//        (2 with minima): 5 to 5.5 cycles where two of them start in a cycle.
#pragma once

#include <type_traits>
#include <utility>

#include "kernels/act_format.h"
#include "kernels/ops.h"
#include "kernels/q8/unpack_codebook.h"
#include "tensor/interleave.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

inline constexpr int64_t kGroupRows = tensor::kInterleavedRows;
inline constexpr int kParts = kGroupRows / kLanes;  // of a group, each kLanes rows
// Tokens whose sums wait while the panels of a group pass by, each block of weights unpacked once for all of them: 16
// KiB of sums, and one block's records (12 KiB) in the first-level cache. A multiple of 16 (flags are looked at 16 at a
// time), at most 256 (their numbers are kept in bytes).
inline constexpr int64_t kTokenBlock = 256;

// Beyond so many tokens an unpacked panel has no place beside their records in the first-level cache.
inline constexpr int kUnpackedTokens = 32;

inline constexpr int kPanelBlocks = 8;  // of 32 columns, at most

struct alignas(64) ProductScratch {
  float sums[kTokenBlock * kGroupRows];   // [token][part][lane]: of the records
  float rests[kTokenBlock * kGroupRows];  // likewise: of the rests
  std::byte panel[8192];                  // a raw panel, interleaved; the largest (two Q6_K super-blocks) takes 6720
};

// Whether products start where the activations say.
template <class Unpack>
inline constexpr bool kGivenStart = kUnsignedWeights<Unpack>&& Unpack::kAdded > 0;

// What one block of weights brings along, by part: integers, scales and minima.
struct BlockTerms {
  I q[kParts][8];
  F scale[kParts][2], min[kParts][2];
};

// A block as add_terms() reads it: all of it made before. kMany: in a loop over many tokens; looked at where a panel is
// one part.
template <bool kManyTokens>
struct MadeBlock {
  static constexpr bool kMany = kManyTokens;
  const BlockTerms& w;
  I word(int p, int j) const { return w.q[p][j]; }
  F scale(int p, int half) const { return w.scale[p][half]; }
  F min(int p, int half) const { return w.min[p][half]; }
};

// Or a block whose integers are unpacked each when it is needed: they go through no memory, and there are no registers
// for all of them.
template <class Unpack, class Word>
struct BlockByWord {
  static constexpr bool kMany = false;
  Word word;  // (p, j)
  const PanelScales* scales;
  int b;
  F scale(int p, int half) const { return scales[p].scale[(Unpack::kHalves ? 2 : 1) * b + half]; }
  F min(int p, int half) const { return scales[p].min[(Unpack::kHalves ? 2 : 1) * b + half]; }
};

// dot[t][p] = kFloatMagic + the product of half `half` of part p (kHalves; else all of it) with record(t).
template <class Unpack, int kTokens, class Block, class Record>
[[gnu::always_inline]] inline void dot_block(I (*dot)[kParts], const Block& w, int half, Record record) {
  constexpr int kWords = Unpack::kHalves ? 4 : 8;
  for (int t = 0; t < kTokens; ++t) {
    I start = set_words(kFloatMagic);
    if constexpr (kGivenStart<Unpack>)
      start = set_words((Unpack::kHalves ? record(t).half[half] : record(t).sum).start);
    for (int p = 0; p < kParts; ++p) dot[t][p] = start;
  }
  dot_tile<Unpack, kTokens, kParts, kWords, Block::kMany>(
      dot, [&](int p, int j) __attribute__((always_inline)) { return w.word(p, half * 4 + j); },
      [&](int t, int j) __attribute__((always_inline)) { return record(t).q + 4 * (half * 4 + j); });
}

// sums[t][p] += (what record(t) says) * (what the block says), for kTokens tokens side by side.
template <class Unpack, int kTokens, class Block, class Record>
[[gnu::always_inline]] inline void add_terms(F (*sums)[kParts], const Block& w, Record record) {
  I dot[kTokens][kParts];
  F value[kTokens][kParts];
  dot_block<Unpack, kTokens>(dot, w, 0, record);
  const F magic = in_register(set_floats(kFloatMagicValue));
  for (int t = 0; t < kTokens; ++t)
    for (int p = 0; p < kParts; ++p) value[t][p] = (as_floats(dot[t][p]) - magic) * w.scale(p, 0);
  if constexpr (Unpack::kHalves) {
    dot_block<Unpack, kTokens>(dot, w, 1, record);
    for (int t = 0; t < kTokens; ++t)
      for (int p = 0; p < kParts; ++p) value[t][p] = fma(as_floats(dot[t][p]) - magic, w.scale(p, 1), value[t][p]);
  }
  for (int t = 0; t < kTokens; ++t) {
    const ActRecord& x = record(t);
    for (int p = 0; p < kParts; ++p) {
      sums[t][p] = fma(value[t][p], set_floats(x.scale), sums[t][p]);
      if constexpr (Unpack::kMin && Unpack::kHalves)
        sums[t][p] =
            fma(w.min(p, 1), set_floats(x.half[1].scaled), fma(w.min(p, 0), set_floats(x.half[0].scaled), sums[t][p]));
      else if constexpr (Unpack::kMin)
        sums[t][p] = fma(w.min(p, 0), set_floats(x.sum.scaled), sums[t][p]);
    }
  }
}

// Where a panel's activations lie, and which tokens are meant: `n` from a first row on.
struct PanelActs {
  const std::byte *record, *rest, *flags;  // of the panel's first block
  int64_t block_bytes, flag_stride;        // from block to block
  int64_t n;                               // at most kTokenBlock
  const ActRecord& record_of(int64_t b, int64_t t) const {
    return reinterpret_cast<const ActRecord*>(record + b * block_bytes)[t];
  }
  const ActRecord& rest_of(int64_t b, int64_t t) const {
    return reinterpret_cast<const ActRecord*>(rest + b * block_bytes)[t];
  }
};
inline PanelActs panel_acts(const ActLayout& at, const std::byte* acts, int64_t block, int64_t first, int64_t n) {
  return {.record = acts + at.record(block, first),
          .rest = acts + at.rest(block, first),
          .flags = acts + at.flag(block, first),
          .block_bytes = at.record(1, 0),
          .flag_stride = at.flag_stride(),
          .n = n};
}

template <class Unpack>
inline constexpr int64_t kBlockBytes =
    kGroupRows * 32 * int64_t{sizeof(typename Unpack::Block)} / Unpack::Block::kElements;
// What weights are fetched while a panel is computed: as many bytes from each of the two on. Far ahead into the
// second-level cache, and from there into the first. So as many lines are on their way as the second-level cache can
// wait for, some three times what the first can; fetched into the first alone, half of what memory gives is left.
struct Fetch {
  const std::byte *far, *near;
};
// Of a panel at `at`; what would lie behind `end` is the panel itself, which is there.
inline Fetch fetch_of(const std::byte* at, const FetchAhead& ahead, const std::byte* end) {
  return {.far = at + ahead.far < end ? at + ahead.far : at, .near = at + ahead.near < end ? at + ahead.near : at};
}
[[gnu::always_inline]] inline void fetch_line(const Fetch& fetch, int64_t i) {
  __builtin_prefetch(fetch.far + i, 0, 2);
  __builtin_prefetch(fetch.near + i);
}
// One token of eight-bit weights is done sooner than memory answers and comes upon lines that are on their way. Some
// processors are faster then if these come straight into the first level.
template <class Unpack>
FetchAhead ahead_of(const FetchAhead& ahead, int64_t n_tokens) {
  const bool straight = n_tokens == 1 && kBlockBytes<Unpack> >= 512 && ahead.straight > 0;
  return straight ? FetchAhead{.far = 0, .near = ahead.straight} : ahead;
}
// What one block adds to the stream of weights: all at once, or word j's share with that word. Spread among the words
// is faster by up to a fifth: several lines in a row wait for each other, and the words behind them too.
template <class Unpack>
[[gnu::always_inline]] inline void fetch_block(const Fetch& fetch, int b) {
  constexpr int64_t kBytes = kBlockBytes<Unpack>;
  for (int64_t i = 0; i < kBytes; i += 64) fetch_line(fetch, b * kBytes + i);
}
template <class Unpack>
[[gnu::always_inline]] inline I fetch_share(const Fetch& fetch, int b, int j, I word) {
  constexpr int64_t kBytes = kBlockBytes<Unpack>;
  const int64_t first = (j * kBytes / 8 + 63) / 64 * 64, end = (j + 1) * kBytes / 8;
  const auto with_line = [&](int64_t i) __attribute__((always_inline)) {
    word = with_fetches(word, fetch.far + b * kBytes + i, fetch.near + b * kBytes + i);
  };
  if (first < end) with_line(first);
  if (first + 64 < end) with_line(first + 64);
  return word;
}
// A block of which each word fetches its share when it is used.
template <class Unpack, class Block>
struct FetchingBlock : Block {
  Fetch fetch;
  int at;  // the block's number in its panel
  I word(int p, int j) const {
    const I w = Block::word(p, j);
    return p == 0 ? fetch_share<Unpack>(fetch, at, j, w) : w;
  }
};

// The lines of n records from token m on, without a last one in which the records behind them begin.
[[gnu::always_inline]] inline void fetch_records(const PanelActs& acts, int64_t b, int64_t m, int n) {
  const auto* at = reinterpret_cast<const std::byte*>(&acts.record_of(b, m));
  const int n_bytes = n * static_cast<int>(sizeof(ActRecord));
  for (int i = 0; i < n_bytes; i += 64) __builtin_prefetch(at + i);
}

// Blocks of 32 columns in a panel.
template <class Unpack>
inline int blocks_of(const PanelView& view) {
  return Unpack::Block::kElements == 32 ? view.n_blocks : kPanelBlocks;
}

// Bit t: token t of the first 64 of n has a rest in this block.
inline uint64_t rest_mask(const std::byte* flags, int64_t n) {
  uint64_t mask = 0;
  for (int64_t from = 0; from < n && from < 64; from += 16) {
    const __m128i f = _mm_loadu_si128(reinterpret_cast<const __m128i*>(flags + from));
    mask |= static_cast<uint64_t>(_mm_movemask_epi8(_mm_cmpgt_epi8(f, _mm_setzero_si128()))) << from;
  }
  return n < 64 ? mask & ((uint64_t{1} << n) - 1) : mask;  // beyond the last token nobody wrote
}

// fn(t) for each token that has a rest in block b, in order.
template <class Fn>
[[gnu::always_inline]] inline void for_each_rest(const PanelActs& acts, int b, Fn fn) {
  for (int64_t from = 0; from < acts.n; from += 64)
    for (uint64_t mask = rest_mask(acts.flags + b * acts.flag_stride + from, acts.n - from); mask; mask &= mask - 1)
      fn(from + __builtin_ctzll(mask));
}

// unpack(p, q): the block's integers of part p.
template <class Unpack, class Integers>
[[gnu::always_inline]] inline void make_terms(const PanelScales* scales, int b, BlockTerms& w, Integers unpack) {
  constexpr int kPerBlock = Unpack::kHalves ? 2 : 1;
  for (int p = 0; p < kParts; ++p) {
    unpack(p, w.q[p]);
    for (int i = 0; i < kPerBlock; ++i) {
      w.scale[p][i] = scales[p].scale[kPerBlock * b + i];
      if constexpr (Unpack::kMin) w.min[p][i] = scales[p].min[kPerBlock * b + i];
    }
  }
}

// sums[t] += record(t) times the block, for tokens side by side whose sums lie in memory at sums_of(t).
template <class Unpack, int kTokens, class Block, class Record, class Sums>
[[gnu::always_inline]] inline void add_in_memory(const Block& w, Record record, Sums sums_of) {
  F here[kTokens][kParts];
  for (int t = 0; t < kTokens; ++t)
    for (int p = 0; p < kParts; ++p) here[t][p] = load_floats(sums_of(t) + p * kLanes);
  add_terms<Unpack, kTokens>(here, w, record);
  for (int t = 0; t < kTokens; ++t)
    for (int p = 0; p < kParts; ++p) store_floats(sums_of(t) + p * kLanes, here[t][p]);
}

// Calls tile(m, how many) for n tokens: as many side by side as registers allow.
template <class Unpack, class Tile>
[[gnu::always_inline]] inline void for_each_tile(int64_t n, Tile tile) {
  constexpr int kTokens = kTokensAtOnce<Unpack>;
  int64_t m = 0;
  for (; m + kTokens <= n; m += kTokens) tile(m, std::integral_constant<int, kTokens>());
  if constexpr (kTokens > 4)
    for (; m + 4 <= n; m += 4) tile(m, std::integral_constant<int, 4>());
  if constexpr (kTokens > 2)
    for (; m + 2 <= n; m += 2) tile(m, std::integral_constant<int, 2>());
  for (; m < n; ++m) tile(m, std::integral_constant<int, 1>());
}

// The blocks of a panel, one after the other: terms_at(b) says where the terms go, then(b) what is done with them.
template <class Unpack, bool kUnrolled, class TermsAt, class Then>
[[gnu::always_inline]] inline void for_each_block(const PanelView& view, TermsAt terms_at, Then then) {
  PanelScales scales[kParts];
  for (int p = 0; p < kParts; ++p) Unpack::scales(view.part(p), scales[p]);
  [[maybe_unused]] PanelBytes bytes;
  if constexpr (kLooksUp<Unpack>) look_up_panel<Unpack>(view, bytes);
  const auto terms = [&](int b) __attribute__((always_inline)) {
    make_terms<Unpack>(
        scales, b, terms_at(b), [&](int p, I* q) __attribute__((always_inline)) {
          if constexpr (kLooksUp<Unpack>)
            for (int j = 0; j < 8; ++j) q[j] = load_words(bytes.word[b][j] + p * kLanes);
          else
            Unpack::block(view.part(p), b, q);
        });
  };
  if constexpr (Unpack::Block::kElements == 32) {
    for (int b = 0; b < view.n_blocks; ++b) terms(b), then(b);
  } else if constexpr (kLooksUp<Unpack>) {
#pragma GCC unroll 1
    for (int b = 0; b < 8; ++b) terms(b), then(b);
  } else if constexpr (kUnrolled) {  // where a block's bits lie depends on its number
    terms(0), then(0), terms(1), then(1), terms(2), then(2), terms(3), then(3);
    terms(4), then(4), terms(5), then(5), terms(6), then(6), terms(7), then(7);
  } else {
#pragma GCC unroll 1
    for (int b = 0; b < 8; ++b) {
      switch (b) {
        case 0:
          terms(0);
          break;
        case 1:
          terms(1);
          break;
        case 2:
          terms(2);
          break;
        case 3:
          terms(3);
          break;
        case 4:
          terms(4);
          break;
        case 5:
          terms(5);
          break;
        case 6:
          terms(6);
          break;
        default:
          terms(7);
          break;
      }
      then(b);
    }
  }
}

// Adds a panel of 16 rows to the sums of kFew tokens, which stay in registers as far as these go. `fetch`:
// meanwhile.
template <class Unpack, int kFew>
[[gnu::noinline]] void add_panel_few(const PanelView& view, const PanelActs& acts, float* sums, float* rest_sums,
                                     Fetch fetch) {
  constexpr int kTokens = kFew < kTokensAtOnce<Unpack> ? kFew : kTokensAtOnce<Unpack>;
  F few[kFew][kParts];
  for (int t = 0; t < kFew; ++t)
    for (int p = 0; p < kParts; ++p) few[t][p] = load_floats(sums + t * kGroupRows + p * kLanes);
  BlockTerms w;
  for_each_block<Unpack, (kFew <= 4)>(
      view, [&](int) __attribute__((always_inline))->BlockTerms & { return w; },
      [&](int b) __attribute__((always_inline)) {
        const auto tile = [&]<int kFirst>(const auto& block, std::integral_constant<int, kFirst>)
            __attribute__((always_inline)) {
          add_terms<Unpack, (kFew - kFirst < kTokens ? kFew - kFirst : kTokens)>(
              few + kFirst, block, [&](int t) -> const ActRecord& { return acts.record_of(b, kFirst + t); });
        };
        tile(FetchingBlock<Unpack, MadeBlock<false>>{{w}, fetch, b}, std::integral_constant<int, 0>());
        [&]<int... kTile>(std::integer_sequence<int, kTile...>) __attribute__((always_inline)) {
          (tile(MadeBlock<false>{w}, std::integral_constant<int, (kTile + 1) * kTokens>()), ...);
        }
        (std::make_integer_sequence<int, (kFew + kTokens - 1) / kTokens - 1>());
        for (auto& token : few)
          for (F& sum : token) sum = computed(sum);
        uint64_t mask = rest_mask(acts.flags + b * acts.flag_stride, kFew);
        if (mask) [[unlikely]] {
#pragma GCC unroll 1
          for (; mask; mask &= mask - 1) {
            const int t = __builtin_ctzll(mask);
            add_in_memory<Unpack, 1>(
                MadeBlock<false>{w}, [&](int) -> const ActRecord& { return acts.rest_of(b, t); },
                [&](int) { return rest_sums + t * kGroupRows; });
          }
        }
      });
  for (int t = 0; t < kFew; ++t)
    for (int p = 0; p < kParts; ++p) store_floats(sums + t * kGroupRows + p * kLanes, few[t][p]);
}

// The same for any number of tokens: block by block, with sums in memory.
template <class Unpack>
[[gnu::noinline]] void add_panel_by_blocks(const PanelView& view, const PanelActs& in, float* sums, float* rest_sums,
                                           Fetch fetch) {
  const PanelActs acts = in;  // not read again after each store
  const auto add = [&](int b, const BlockTerms& w) __attribute__((always_inline)) {
    fetch_block<Unpack>(fetch, b);
    uint8_t token[kTokenBlock];
    int64_t n_rests = 0, n_fetched = 0;
    for_each_rest(
        acts, b, [&](int64_t t) __attribute__((always_inline)) { token[n_rests++] = static_cast<uint8_t>(t); });
    // Fetched, as no processor foresees them: the next block's records, and a rest of this one with each tile.
    for_each_tile<Unpack>(
        acts.n, [&](int64_t m, auto n_tokens) __attribute__((always_inline)) {
          fetch_records(acts, b + 1, m, n_tokens);
          if (n_fetched < n_rests) {
            const auto* const rest = reinterpret_cast<const std::byte*>(&acts.rest_of(b, token[n_fetched++]));
            __builtin_prefetch(rest);
            __builtin_prefetch(rest + sizeof(ActRecord) - 1);
          }
          add_in_memory<Unpack, n_tokens>(
              MadeBlock<true>{w}, [&](int t) -> const ActRecord& { return acts.record_of(b, m + t); },
              [&](int t) { return sums + (m + t) * kGroupRows; });
        });
    for_each_tile<Unpack>(
        n_rests, [&](int64_t m, auto n_tokens) __attribute__((always_inline)) {
          add_in_memory<Unpack, n_tokens>(
              MadeBlock<true>{w}, [&](int t) -> const ActRecord& { return acts.rest_of(b, token[m + t]); },
              [&](int t) { return rest_sums + token[m + t] * kGroupRows; });
        });
  };
  BlockTerms w;
  for_each_block<Unpack, kUnpackFirst>(
      view, [&](int) __attribute__((always_inline))->BlockTerms & { return w; },
      [&](int b) __attribute__((always_inline)) { add(b, w); });
}

// The same where integers do not stay in registers anyway: the whole panel is unpacked first, then tokens pass by with
// their sums. Which tokens have a rest changes from block to block; so all are listed at the end, and the processor
// guesses wrong once a panel instead of at every block.
template <class Unpack>
[[gnu::noinline]] void add_panel_unpacked(const PanelView& view, const PanelActs& acts, float* sums, float* rest_sums,
                                          Fetch fetch) {
  BlockTerms terms[kPanelBlocks];
  for_each_block<Unpack, true>(
      view, [&](int b) __attribute__((always_inline))->BlockTerms & { return terms[b]; }, [](int) {});
  const int n_blocks = blocks_of<Unpack>(view);
  // Weights are fetched evenly while all tokens pass by: a burst would hold up what is needed now.
  const int64_t steps = n_blocks * ((acts.n + kTokensAtOnce<Unpack> - 1) / kTokensAtOnce<Unpack>);
  const int64_t n_bytes = n_blocks * kBlockBytes<Unpack>, per_step = (n_bytes / 64 + steps - 1) / steps * 64;
  int64_t n_fetched = 0;
  for_each_tile<Unpack>(
      acts.n, [&](int64_t m, auto n_tokens) __attribute__((always_inline)) {
        constexpr int kTokens = n_tokens;
        F here[kTokens][kParts];
        for (int t = 0; t < kTokens; ++t)
          for (int p = 0; p < kParts; ++p) here[t][p] = load_floats(sums + (m + t) * kGroupRows + p * kLanes);
#pragma GCC unroll 1
        for (int b = 0; b < n_blocks; ++b) {
          fetch_records(acts, b + 1, m, kTokens);
          for (const int64_t end = n_fetched + per_step; n_fetched < n_bytes && n_fetched < end; n_fetched += 64)
            fetch_line(fetch, n_fetched);
          add_terms<Unpack, kTokens>(here, MadeBlock<false>{terms[b]},
                                     [&](int t) -> const ActRecord& { return acts.record_of(b, m + t); });
        }
        for (int t = 0; t < kTokens; ++t)
          for (int p = 0; p < kParts; ++p) store_floats(sums + (m + t) * kGroupRows + p * kLanes, here[t][p]);
      });

  struct Rest {
    uint8_t block, token;
  };
  Rest list[kPanelBlocks * kUnpackedTokens];
  int64_t n_rests = 0;
  for (int b = 0; b < n_blocks; ++b)
    for_each_rest(
        acts, b, [&](int64_t t) __attribute__((always_inline)) {
          list[n_rests++] = {static_cast<uint8_t>(b), static_cast<uint8_t>(t)};
        });
  for (int64_t i = 0; i < n_rests; ++i)
    add_in_memory<Unpack, 1>(
        MadeBlock<false>{terms[list[i].block]},
        [&](int) -> const ActRecord& { return acts.rest_of(list[i].block, list[i].token); },
        [&](int) { return rest_sums + list[i].token * kGroupRows; });
}

// A panel for kFew tokens, each word unpacked when its products are made. Rests come at the end of the panel.
template <class Unpack, int kFew>
[[gnu::noinline]] void add_panel_by_words(const PanelView& view, const PanelActs& acts, float* sums, float* rest_sums,
                                          Fetch fetch) {
  constexpr int kTokens = kFew < kTokensAtOnce<Unpack> ? kFew : kTokensAtOnce<Unpack>;
  PanelScales scales[kParts];
  for (int p = 0; p < kParts; ++p) Unpack::scales(view.part(p), scales[p]);
  F few[kFew][kParts];
  for (int t = 0; t < kFew; ++t)
    for (int p = 0; p < kParts; ++p) few[t][p] = load_floats(sums + t * kGroupRows + p * kLanes);
  uint64_t rests = 0;  // bit 8 b + t
  const auto tile = [&]<int kFirst>(int base, int k, std::integral_constant<int, kFirst>)
      __attribute__((always_inline)) {
    constexpr int kHere = kFew - kFirst < kTokens ? kFew - kFirst : kTokens;
    const auto word = [ base, k, view ](int p, int j) __attribute__((always_inline)) {
      return Unpack::word(view.part(p), base, k, j);
    };
    using Words = BlockByWord<Unpack, decltype(word)>;
    const auto add = [&](const auto& w) __attribute__((always_inline)) {
      add_terms<Unpack, kHere>(few + kFirst, w,
                               [&](int t) -> const ActRecord& { return acts.record_of(base + k, kFirst + t); });
    };
    const Words words{word, scales, base + k};
    if constexpr (kFirst == 0)
      add(FetchingBlock<Unpack, Words>{words, fetch, base + k});
    else
      add(words);
  };
  const auto block = [&](int base, int k) __attribute__((always_inline)) {
    rests |= rest_mask(acts.flags + (base + k) * acts.flag_stride, kFew) << (8 * (base + k));
    [&]<int... kTile>(std::integer_sequence<int, kTile...>) __attribute__((always_inline)) {
      (tile(base, k, std::integral_constant<int, kTile * kTokens>()), ...);
    }
    (std::make_integer_sequence<int, (kFew + kTokens - 1) / kTokens>());
    for (auto& token : few)
      for (F& sum : token) sum = computed(sum);
  };
  constexpr int kPeriod = Unpack::kPeriod;
  const int n_blocks = blocks_of<Unpack>(view);
#pragma GCC unroll 1
  for (int base = 0; base < n_blocks; base += kPeriod) {
    if constexpr (kPeriod > 2)
      asm volatile("" : "+r"(base));  // two long rounds in one would share words and spill them
    [&]<int... k>(std::integer_sequence<int, k...>) __attribute__((always_inline)) { (block(base, k), ...); }
    (std::make_integer_sequence<int, kPeriod>());
  }
  for (int t = 0; t < kFew; ++t)
    for (int p = 0; p < kParts; ++p) store_floats(sums + t * kGroupRows + p * kLanes, few[t][p]);
#pragma GCC unroll 1
  for (; rests; rests &= rests - 1) {
    const int at = __builtin_ctzll(rests), b = at / 8, t = at % 8;
    const auto word = [&](int p, int j) __attribute__((always_inline)) { return Unpack::word_of(view.part(p), b, j); };
    add_in_memory<Unpack, 1>(
        BlockByWord<Unpack, decltype(word)>{word, scales, b},
        [&](int) -> const ActRecord& { return acts.rest_of(b, t); }, [&](int) { return rest_sums + t * kGroupRows; });
  }
}

using AddPanel = void (*)(const PanelView&, const PanelActs&, float* sums, float* rest_sums, Fetch fetch);

// Whether kFew tokens have code of their own, and of which kind.
template <class Unpack, int kFew>
constexpr bool is_by_word() {
  if constexpr (requires { Unpack::kPeriod; }) return kWordByWord && kFew <= (kLanes == 8 ? Unpack::kUpTo8 : 1);
  return false;
}
inline constexpr int kMostFew = 8;

template <class Unpack, int kFew = kMostFew>
inline AddPanel add_panel_of(int64_t n_tokens) {
  if constexpr (kFew > 0) {
    if (n_tokens != kFew) return add_panel_of<Unpack, kFew - 1>(n_tokens);
    if constexpr (is_by_word<Unpack, kFew>()) return add_panel_by_words<Unpack, kFew>;
    if constexpr (kFew <= kFewTokens) return add_panel_few<Unpack, kFew>;
  }
  if constexpr (kUnpackFirst)
    if (n_tokens <= kUnpackedTokens) return add_panel_unpacked<Unpack>;
  return add_panel_by_blocks<Unpack>;
}

// A panel of raw rows comes from sixteen places, a few lines from each, which neither processors foresee nor memory
// likes. So a group is fetched as it lies, front to back, into the second-level cache while the one before is computed.
inline void fetch_as_it_lies(const std::byte* at, int64_t n_bytes) {
  for (int64_t i = 0; i < n_bytes; i += 64) __builtin_prefetch(at + i, 0, 2);
}

// All panels of a group of 16 rows for the tokens [first, first + n): sums to scratch. Weights are fetched ahead up to
// fetch_end.
template <class Unpack>
void sum_group(const MatmulArgs& a, const tensor::InterleavePlan& plan, int64_t r, int64_t rows_here, bool is_raw,
               const std::byte* fetch_end, int64_t first, int64_t n, ProductScratch& scratch) {
  using Block = typename Unpack::Block;
  constexpr bool kSuper = Block::kElements > 32;  // then the blocks of a panel are views of their own
  const ActLayout layout(a.m, a.w.shape.cols());
  const int64_t n_blocks = a.w.shape.cols() / Block::kElements, row_bytes = n_blocks * int64_t{sizeof(Block)};
  const auto add = add_panel_of<Unpack>(n);
  const FetchAhead ahead = ahead_of<Unpack>(a.fetch, n);
  const auto sums_bytes = static_cast<size_t>(n * kGroupRows) * sizeof(float);
  __builtin_memset(scratch.sums, 0, sums_bytes);
  __builtin_memset(scratch.rests, 0, sums_bytes);
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
    const int64_t panel_bytes = blocks * kGroupRows * int64_t{sizeof(Block)};
    if (is_raw && panel + kGroupRows * row_bytes < fetch_end)
      fetch_as_it_lies(panel + kGroupRows * row_bytes, panel_bytes);
    panel += panel_bytes;
    const std::byte* words = from + blocks * kGroupRows * plan.half_bytes();
    for (int64_t i = 0; i < (kSuper ? blocks : 1); ++i) {
      const PanelActs acts = panel_acts(layout, a.x, (b + i) * (Block::kElements / 32), first, n);
      const PanelView view = {words + i * plan.words() * 64, plan.half_offset < 0 ? nullptr : from + i * 32,
                              kSuper ? 1 : static_cast<int>(blocks)};
      const std::byte* at = from + i * plan.block_bytes * kGroupRows;
      const bool fetches = !is_raw && first == 0;
      add(view, acts, scratch.sums, scratch.rests, fetch_of(at, ahead, fetches ? fetch_end : nullptr));
    }
  }
}

template <class Unpack>
void product(const MatmulArgs& a, int64_t row_begin, int64_t row_end, ProductScratch& scratch) {
  using Block = typename Unpack::Block;
  const int64_t in_groups = a.w.layout == tensor::Layout::rows ? 0 : a.w.shape.rows() / kGroupRows * kGroupRows;
  const int64_t row_bytes = a.w.shape.cols() / Block::kElements * int64_t{sizeof(Block)};
  const tensor::InterleavePlan plan = tensor::interleave_plan(a.w.dtype);
  const std::byte* fetch_end = a.w.data + (a.next_row_end > row_end ? a.next_row_end : row_end) * row_bytes;
  for (int64_t m0 = 0; m0 < a.m; m0 += kTokenBlock) {
    const int64_t n = a.m - m0 < kTokenBlock ? a.m - m0 : kTokenBlock;
    if (m0 == 0 ? !a.is_fetched : row_begin >= in_groups) {  // nobody fetched what these rows begin with
      const int64_t rows = row_end - row_begin, bytes = rows * row_bytes;
      const FetchAhead ahead = ahead_of<Unpack>(a.fetch, a.m);
      const int64_t most = ahead.far > ahead.near ? ahead.far : ahead.near;
      const int64_t first = row_begin < in_groups ? most : kGroupRows * row_bytes;
      fetch_as_it_lies(a.w.data + row_begin * row_bytes, first < bytes ? first : bytes);
    }
    for (int64_t r = row_begin; r < row_end; r += kGroupRows) {
      const int64_t rows_here = row_end - r < kGroupRows ? row_end - r : kGroupRows;
      sum_group<Unpack>(a, plan, r, rows_here, r >= in_groups, fetch_end, m0, n, scratch);
      for (int64_t m = 0; m < n; ++m) {
        float* y = a.y + (m0 + m) * a.y_stride + r;
        const float *sum = scratch.sums + m * kGroupRows, *rest = scratch.rests + m * kGroupRows;
        if (rows_here == kGroupRows)
          for (int p = 0; p < kParts; ++p)
            store_unaligned(y + p * kLanes, load_floats(sum + p * kLanes) + load_floats(rest + p * kLanes));
        else
          for (int64_t i = 0; i < rows_here; ++i) y[i] = sum[i] + rest[i];
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
  constexpr ActFormat kFormat = q8_for_added(kGivenStart<Unpack> ? Unpack::kAdded : 0);
  static_assert(added_to_weights(kFormat) == (kGivenStart<Unpack> ? Unpack::kAdded : 0));
  return {product<Unpack>, kFormat};
}

// fn(OfFormat<Unpack>()) for the format of a dtype; R() where there is no integer kernel.
template <class Unpack>
struct OfFormat {};
template <class R = void, class Fn>
R with_unpack(DType dtype, Fn fn) {
  switch (dtype) {
    case DType::q4_0:
      return fn(OfFormat<UnpackQ4_0>());
    case DType::q4_1:
      return fn(OfFormat<UnpackQ4_1>());
    case DType::q5_0:
      return fn(OfFormat<UnpackQ5_0>());
    case DType::q5_1:
      return fn(OfFormat<UnpackQ5_1>());
    case DType::q8_0:
      return fn(OfFormat<UnpackQ8_0>());
    case DType::q2_k:
      return fn(OfFormat<UnpackQ2K>());
    case DType::q3_k:
      return fn(OfFormat<UnpackQ3K>());
    case DType::q4_k:
      return fn(OfFormat<UnpackQ4K>());
    case DType::q5_k:
      return fn(OfFormat<UnpackQ5K>());
    case DType::q6_k:
      return fn(OfFormat<UnpackQ6K>());
    case DType::iq4_nl:
      return fn(OfFormat<UnpackIQ4NL>());
    case DType::iq4_xs:
      return fn(OfFormat<UnpackIQ4XS>());
    case DType::iq2_xxs:
      return fn(OfFormat<UnpackIQ2XXS>());
    case DType::iq2_xs:
      return fn(OfFormat<UnpackIQ2XS>());
    case DType::iq2_s:
      return fn(OfFormat<UnpackIQ2S>());
    case DType::iq3_xxs:
      return fn(OfFormat<UnpackIQ3XXS>());
    case DType::iq3_s:
      return fn(OfFormat<UnpackIQ3S>());
    case DType::iq1_s:
      return fn(OfFormat<UnpackIQ1S>());
    case DType::iq1_m:
      return fn(OfFormat<UnpackIQ1M>());
    default:
      return R();
  }
}

// f32: no integer kernel, activations stay float.
inline ProductOf product_for(DType dtype) {
  return with_unpack<ProductOf>(dtype, []<class Unpack>(OfFormat<Unpack>) { return product_of<Unpack>(); });
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
