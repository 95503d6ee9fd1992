// Weights that are kept as numbers of a book's entries (IQ1 to IQ3), as bytes: unpack.h goes on. Formats and legend:
// tensor/blocks.h.
//
// An entry has eight weights of one row (IQ3: four). Lane r wants the entry of row r, so each is a load of its own; a
// gather takes longer for the same on the processors this is for. What surrounds the look-up (numbers, signs, scales)
// is done for all rows at once. Numbers, then bytes of a whole panel come before its products, so that no look-up waits
// for what is done with the one before it.
//
// Cost   per block of 32 columns and 16 rows: 64 entries (IQ3: 128), each a load of its number, a load of its bytes and
//        half a shuffle (IQ3: one), and some 40 vector instructions for numbers and signs. A shift finds a block's
//        bits, so blocks pass in a loop.
#pragma once

#include "kernels/q8/unpack.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

// of[16 * entry + row]: the entries of a row's 256 weights in their order, for the rows of a panel.
struct alignas(64) PanelNumbers {
  uint32_t of[64 * 16];
};
// word[b][j][row]: weights 4j .. 4j+3 of block b.
struct alignas(64) PanelBytes {
  uint32_t word[8][8][16];
};

// 16 bits, number h of those that begin with word `first`, and nibble i likewise: lane r has row r's.
inline I half_at(const PanelView& p, int first, int h) {
  return right_by(p.word(first + h / 2), 16 * (h % 2)) & set_words(0xffff);
}
inline I nibble_at(const PanelView& p, int first, int i) {
  return right_by(p.word(first + i / 8), 4 * (i % 8)) & set_words(15);
}
inline I twice_and_one(I s) { return left(s, 1) + set_words(1); }

// A bit of `signs` for each weight, the first weight's lowest: minus where it is set.
inline void put_signs(I signs, I* q) {
  const I even = set_words(0x08040201), odd = set_words(static_cast<int32_t>(0x80402010u));
  const auto two = [&](int j, I spread) {
    q[j] = negated_where(q[j], spread, even);
    q[j + 1] = negated_where(q[j + 1], spread, odd);
  };
  two(0, spread_byte<0>(signs));
  two(2, spread_byte<1>(signs));
  two(4, spread_byte<2>(signs));
  two(6, spread_byte<3>(signs));
}

// Seven bits in each byte -> eight, an even number of which are set.
inline I with_even_parity(I bytes) {
  static constexpr int8_t kOdd[16] = {0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0};
  return bytes | look_up(kOdd, low_nibbles(bytes ^ right(bytes, 4)));
}
// Four times seven bits of a word, the first lowest, to a byte each.
inline I four_sevens(I w) {
  return (w & set_words(0x7f)) | (left(w, 1) & set_words(0x7f00)) | (left(w, 2) & set_words(0x7f0000)) |
         (left(w, 3) & set_words(0x7f000000));
}

// Scales of IQ2_XS and IQ2_S: a nibble for 16 columns, from word `first` on.
inline void nibble_scales(const PanelView& p, int first, float step, PanelScales& s) {
  const F d = load_halves(p.halves) * set_floats(step);
  for (int i = 0; i < 16; ++i) s.scale[i] = d * to_floats(twice_and_one(nibble_at(p, first, i)));
}
// Scales of IQ2_XXS and IQ3_XXS: the upper four bits of word first + stride * b.
inline void upper_scales(const PanelView& p, int first, int stride, float step, PanelScales& s) {
  const F d = load_halves(p.halves) * set_floats(step);
  for (int b = 0; b < 8; ++b) s.scale[b] = d * to_floats(twice_and_one(right(p.word(first + stride * b), 28)));
}

// numbers(p, number) writes those of a part of a panel, the first of its rows at number[0]; block() reads them there,
// and its integers are signed: kAdded comes with storing them.
template <class B, int kLargest, bool kHalfScales>
struct UnpackCodebook {
  using Block = B;
  // Small integers stay small: without dot products their pairs are added in 16 bits as long as they fit.
  static constexpr int kAdded = kLargest < 16 ? 16 : 64, kMax = kLargest + kAdded;
  static constexpr bool kHalves = kHalfScales, kMin = false, kLooksUp = true;
};

// Block b of entries of eight weights, and of four.
template <size_t kEntries>
inline void eights(const tensor::Codebook<kEntries, 8>& book, const uint32_t* number, int b, I* q) {
  for (int g = 0; g < 4; ++g) look_up_eight(book[0].data(), number + 16 * (4 * b + g), q + 2 * g);
}
template <size_t kEntries>
inline void fours(const tensor::Codebook<kEntries, 4>& book, const uint32_t* number, int b, I* q) {
  for (int g = 0; g < 8; g += 4) look_up_fours(book[0].data(), number + 16 * (8 * b + g), q + g);
}

// The bytes of n words from word 0 on, and above them what upper(i) says of byte i: a number's bits from bit 8 on.
template <class Upper>
inline void bytes_and_upper(const PanelView& p, int n, uint32_t* number, Upper upper) {
  for (int w = 0; w < n; ++w)
    for (int k = 0; k < 4; ++k) store_words(number + 16 * (4 * w + k), byte_of(p.word(w), k) | upper(4 * w + k));
}

struct UnpackIQ2XXS : UnpackCodebook<tensor::BlockIQ2XXS, 43, false> {
  static void scales(const PanelView& p, PanelScales& s) { upper_scales(p, 1, 2, 0.125f, s); }
  static void numbers(const PanelView& p, uint32_t* number) {
    for (int e = 0; e < 32; ++e) store_words(number + 16 * e, byte_of(p.word(2 * (e / 4)), e % 4));
  }
  static void block(const PanelView& p, int b, const uint32_t* number, I* q) {
    eights(tensor::kIQ2XXSGrid, number, b, q);
    put_signs(with_even_parity(four_sevens(p.word(2 * b + 1))), q);
  }
};

struct UnpackIQ2XS : UnpackCodebook<tensor::BlockIQ2XS, 43, true> {
  static void scales(const PanelView& p, PanelScales& s) { nibble_scales(p, 16, 0.125f, s); }
  static void numbers(const PanelView& p, uint32_t* number) {
    for (int e = 0; e < 32; ++e) store_words(number + 16 * e, right(p.word(e / 2), 16 * (e % 2)) & set_words(511));
  }
  static void block(const PanelView& p, int b, const uint32_t* number, I* q) {
    eights(tensor::kIQ2XSGrid, number, b, q);
    const I seven = set_words(0x7f), upper = set_words(0x7f00);
    const auto signs = [&](I w) { return (right(w, 9) & seven) | (right(w, 17) & upper); };
    put_signs(with_even_parity(signs(p.word(2 * b)) | left(signs(p.word(2 * b + 1)), 16)), q);
  }
};

struct UnpackIQ2S : UnpackCodebook<tensor::BlockIQ2S, 43, true> {
  static void scales(const PanelView& p, PanelScales& s) { nibble_scales(p, 18, 0.125f, s); }
  static void numbers(const PanelView& p, uint32_t* number) {
    bytes_and_upper(p, 8, number, [&](int e) {
      return left(right(byte_of(p.word(16 + e / 16), e / 4 % 4), 2 * (e % 4)) & set_words(3), 8);
    });
  }
  static void block(const PanelView& p, int b, const uint32_t* number, I* q) {
    eights(tensor::kIQ2SGrid, number, b, q);
    put_signs(p.word(8 + b), q);
  }
};

struct UnpackIQ3XXS : UnpackCodebook<tensor::BlockIQ3XXS, 62, false> {
  static void scales(const PanelView& p, PanelScales& s) { upper_scales(p, 16, 1, 0.25f, s); }
  static void numbers(const PanelView& p, uint32_t* number) {
    bytes_and_upper(p, 16, number, [](int) { return zero_words(); });
  }
  static void block(const PanelView& p, int b, const uint32_t* number, I* q) {
    fours(tensor::kIQ3XXSGrid, number, b, q);
    put_signs(with_even_parity(four_sevens(p.word(16 + b))), q);
  }
};

struct UnpackIQ3S : UnpackCodebook<tensor::BlockIQ3S, 15, false> {
  static void scales(const PanelView& p, PanelScales& s) {
    const F d = load_halves(p.halves);
    for (int b = 0; b < 8; ++b) s.scale[b] = d * to_floats(twice_and_one(nibble_at(p, 26, b)));
  }
  static void numbers(const PanelView& p, uint32_t* number) {
    bytes_and_upper(p, 16, number, [&](int e) { return left(right(p.word(16 + e / 32), e % 32) & set_words(1), 8); });
  }
  static void block(const PanelView& p, int b, const uint32_t* number, I* q) {
    fours(tensor::kIQ3SGrid, number, b, q);
    put_signs(p.word(18 + b), q);
  }
};

// Weights are the book's -1, 0 and 1, plus or minus an eighth: eight times that are integers. `minus` has a bit of
// `mask` in each byte whose eighth is taken away.
inline void eighths(I* q, int n, I minus, I mask) {
  const I upper = set_bytes(0xf8), taken = negated_where(set_bytes(-1), minus, mask);
  for (int j = 0; j < n; ++j) q[j] = subtract_bytes(left(q[j], 3) & upper, taken);
}

struct UnpackIQ1S : UnpackCodebook<tensor::BlockIQ1S, 9, false> {
  static void scales(const PanelView& p, PanelScales& s) {
    const F d = load_halves(p.halves) * set_floats(0.125f);
    for (int b = 0; b < 8; ++b) s.scale[b] = d * to_floats(twice_and_one(right(half_at(p, 8, b), 12) & set_words(7)));
  }
  static void numbers(const PanelView& p, uint32_t* number) {
    bytes_and_upper(p, 8, number, [&](int e) {
      return left(right(p.word(8 + e / 8), 16 * (e / 4 % 2) + 3 * (e % 4)) & set_words(7), 8);
    });
  }
  static void block(const PanelView& p, int b, const uint32_t* number, I* q) {
    eights(tensor::kIQ1Grid, number, b, q);
    eighths(q, 8, spread_byte<1>(half_at(p, 8, b)), set_bytes(0x80));
  }
};

struct UnpackIQ1M : UnpackCodebook<tensor::BlockIQ1M, 9, true> {
  static void scales(const PanelView& p, PanelScales& s) {
    const I w[2] = {p.word(12), p.word(13)};
    const auto nibbles = [](I v) { return (right(v, 12) & set_words(15)) | (right(v, 24) & set_words(0xf0)); };
    const F d = low_halves(nibbles(w[0]) | left(nibbles(w[1]), 8)) * set_floats(0.125f);
    for (int i = 0; i < 16; ++i)
      s.scale[i] = d * to_floats(twice_and_one(right(w[i / 8], 16 * (i / 4 % 2) + 3 * (i % 4)) & set_words(7)));
  }
  static void numbers(const PanelView& p, uint32_t* number) {
    bytes_and_upper(p, 8, number, [&](int e) { return left(right(p.word(8 + e / 8), 4 * (e % 8)) & set_words(7), 8); });
  }
  static void block(const PanelView& p, int b, const uint32_t* number, I* q) {
    eights(tensor::kIQ1Grid, number, b, q);
    const I high = half_at(p, 8, b), first = set_bytes(0x08), second = set_bytes(0x80);
    eighths(q, 2, spread_byte<0>(high), first);
    eighths(q + 2, 2, spread_byte<0>(high), second);
    eighths(q + 4, 2, spread_byte<1>(high), first);
    eighths(q + 6, 2, spread_byte<1>(high), second);
  }
};

template <class Unpack>
inline constexpr bool kLooksUp = requires {
  Unpack::kLooksUp;
};

template <class Unpack>
[[gnu::noinline]] void look_up_panel(const PanelView& panel, PanelBytes& out) {
  static_assert(kUnsignedWeights<Unpack>);
  PanelNumbers numbers;
  for (int row = 0; row < 16; row += kLanes) Unpack::numbers(panel.part(row / kLanes), numbers.of + row);
#pragma GCC unroll 1
  for (int b = 0; b < 8; ++b)
    for (int row = 0; row < 16; row += kLanes) {
      I q[8];
      Unpack::block(panel.part(row / kLanes), b, numbers.of + row, q);
      for (int j = 0; j < 8; ++j) store_words(out.word[b][j] + row, subtract_bytes(q[j], set_bytes(-Unpack::kAdded)));
    }
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
