// Weights of an interleaved panel as bytes, a block of 32 columns at a time: what the integer products read.
//
// A block becomes eight vectors q[0..7]; lane r of q[j] holds the weights 4j .. 4j+3 of row r. Formats and legend:
// tensor/blocks.h; where words and halves of a panel lie: tensor/interleave.h. Written over I and F (cpu/<isa>/i8.h),
// compiled once per ISA.
//
// Each format says how its integers stand for weights:
//   kMax     largest q                   kAdded     what was added to q, so that it is never negative
//   kMin     blocks also have a minimum  kHalves    a scale (and minimum) for each 16 columns, else for each 32
// weight = scale * (q - kAdded) (+ min). Where an ISA multiplies signed weights (kUnsignedWeights), q comes without
// kAdded.
//
// Formats whose integers can be had one vector at a time also say how: word() gives q[j] of block base + k, where base
// is a multiple of kPeriod and the compiler knows k < kPeriod; word_of() that of any block. And for how many tokens
// that is measured to be faster than unpacking a block first (product.h): up to kUpTo8 with eight lanes, one with
// sixteen.
#pragma once

#include "tensor/blocks.h"
#include "tensor/codebooks.h"

#include WATRA_KERNELS_I8

namespace watra::kernels::WATRA_KERNELS_ISA {

// A panel of 16 rows, or a part of it of kLanes rows: word w of a block is 64 bytes behind word w - 1.
struct PanelView {
  const std::byte* words;   // of the panel's first block
  const std::byte* halves;  // its half fields, 32 bytes apart; null where there are none
  int n_blocks;             // file blocks: of 32 or of 256 columns
  template <class Block>
  static constexpr int words_of() {
    return sizeof(Block) / 4;
  }
  I word(int i) const { return load_words(words + 64 * i); }
  // Of a panel of 16 rows: the kLanes rows from p * kLanes on.
  PanelView part(int p) const { return {words + p * kLanes * 4, halves ? halves + p * kLanes * 2 : nullptr, n_blocks}; }
};

// Scales and minima of a panel: by block of 32, or by half block where the format has kHalves.
struct alignas(64) PanelScales {
  F scale[16], min[16];
};

inline I low_nibbles(I w) { return w & set_bytes(15); }
inline I high_nibbles(I w) { return right(w, 4) & set_bytes(15); }
inline I byte_of(I w, int i) { return right(w, 8 * i) & set_words(255); }
inline I signed_byte_of(I w, int i) { return right_signed(left(w, 24 - 8 * i), 24); }

// The 16 bytes of half-split nibbles from word `first` on: low nibbles, then high ones.
inline void half_split(const PanelView& p, int first, I* q) {
  for (int j = 0; j < 4; ++j) {
    const I w = p.word(first + j);
    q[j] = low_nibbles(w);
    q[j + 4] = high_nibbles(w);
  }
}
inline I half_split_word(const PanelView& p, int first, int j) {
  const I w = p.word(first + j % 4);
  return j < 4 ? low_nibbles(w) : high_nibbles(w);
}
// Signed bytes to unsigned ones with 128 added, or back.
inline I flipped(I q) { return q ^ set_bytes(-128); }

template <class Unpack>
inline void each_word(const PanelView& p, int b, I* q) {
  for (int j = 0; j < 8; ++j) q[j] = Unpack::word(p, b - b % Unpack::kPeriod, b % Unpack::kPeriod, j);
}

// ---- blocks of 32: eight to a panel ----

inline void scale_halves(const PanelView& p, PanelScales& s) {
  for (int b = 0; b < p.n_blocks; ++b) s.scale[b] = load_halves(p.halves + 32 * b);
}

struct UnpackQ4_0 {
  using Block = tensor::BlockQ4_0;
  static constexpr int kMax = 15, kAdded = 8;
  static constexpr bool kHalves = false, kMin = false;
  static void scales(const PanelView& p, PanelScales& s) { scale_halves(p, s); }
  static constexpr int kPeriod = 1;
  static constexpr int kUpTo8 = 8;
  static I word_of(const PanelView& p, int b, int j) { return half_split_word(p, 4 * b, j); }
  static I word(const PanelView& p, int base, int, int j) { return word_of(p, base, j); }
  static void block(const PanelView& p, int b, I* q) { half_split(p, 4 * b, q); }
};

// Nibbles are numbers of a table's values, to which 128 is added where weights are unsigned.
template <class Unpack>
inline void iq4_values(I* q) {
  static constexpr auto kTable = [] {
    auto table = tensor::kIq4Values;
    if (kUnsignedWeights<Unpack>)
      for (auto& v : table) v = static_cast<int8_t>(static_cast<uint8_t>(v) ^ 0x80);
    return table;
  }();
  for (int j = 0; j < 8; ++j) q[j] = look_up(kTable.data(), q[j]);
}

struct UnpackIQ4NL {
  using Block = tensor::BlockIQ4NL;
  static constexpr int kMax = 255, kAdded = 128;
  static constexpr bool kHalves = false, kMin = false;
  static void scales(const PanelView& p, PanelScales& s) { scale_halves(p, s); }
  static void block(const PanelView& p, int b, I* q) {
    half_split(p, 4 * b, q);
    iq4_values<UnpackIQ4NL>(q);
  }
};

// d and m in one word before the rest of the block.
template <class Block>
inline void scale_and_min_words(const PanelView& p, PanelScales& s) {
  for (int b = 0; b < p.n_blocks; ++b) {
    const I w = p.word(b * PanelView::words_of<Block>());
    s.scale[b] = low_halves(w);
    s.min[b] = high_halves(w);
  }
}

struct UnpackQ4_1 {
  using Block = tensor::BlockQ4_1;
  static constexpr int kMax = 15, kAdded = 0;
  static constexpr bool kHalves = false, kMin = true;
  static void scales(const PanelView& p, PanelScales& s) { scale_and_min_words<Block>(p, s); }
  static constexpr int kPeriod = 1;
  static constexpr int kUpTo8 = 8;
  static I word_of(const PanelView& p, int b, int j) { return half_split_word(p, 5 * b + 1, j); }
  static I word(const PanelView& p, int base, int, int j) { return word_of(p, base, j); }
  static void block(const PanelView& p, int b, I* q) { half_split(p, 5 * b + 1, q); }
};

// Bit k of each lane's word is bit 4 of weight k. Calls fn(j, bytes that are 0xff where the bit is not set).
template <class Fn>
inline void without_fifth_bit(I bits, Fn&& fn) {
  const I even = set_words(0x08040201), odd = set_words(static_cast<int32_t>(0x80402010u));
  const auto two = [&](int j, I spread) {
    fn(j, bytes_without(spread, even));
    fn(j + 1, bytes_without(spread, odd));
  };
  two(0, spread_byte<0>(bits));
  two(2, spread_byte<1>(bits));
  two(4, spread_byte<2>(bits));
  two(6, spread_byte<3>(bits));
}

// Nibbles from word `first` on, and their fifth bits in the word before them.
inline void five_bits(const PanelView& p, int first, I* q) {
  half_split(p, first, q);
  const I bit = set_bytes(16);
  without_fifth_bit(p.word(first - 1), [&](int j, I without) { q[j] = q[j] | subtract_bytes(bit, without & bit); });
}

struct UnpackQ5_0 {
  using Block = tensor::BlockQ5_0;
  static constexpr int kMax = 31, kAdded = 16;
  static constexpr bool kHalves = false, kMin = false;
  static void scales(const PanelView& p, PanelScales& s) { scale_halves(p, s); }
  static void block(const PanelView& p, int b, I* q) { five_bits(p, 5 * b + 1, q); }
};

struct UnpackQ5_1 {
  using Block = tensor::BlockQ5_1;
  static constexpr int kMax = 31, kAdded = 0;
  static constexpr bool kHalves = false, kMin = true;
  static void scales(const PanelView& p, PanelScales& s) { scale_and_min_words<Block>(p, s); }
  static void block(const PanelView& p, int b, I* q) { five_bits(p, 6 * b + 2, q); }
};

struct UnpackQ8_0 {
  using Block = tensor::BlockQ8_0;
  static constexpr int kMax = 255, kAdded = 128;
  static constexpr bool kHalves = false, kMin = false;
  static void scales(const PanelView& p, PanelScales& s) { scale_halves(p, s); }
  static constexpr int kPeriod = 1;
  static constexpr int kUpTo8 = 8;
  static I word_of(const PanelView& p, int b, int j) {
    const I w = p.word(8 * b + j);
    return kUnsignedWeights<UnpackQ8_0> ? flipped(w) : w;
  }
  static I word(const PanelView& p, int base, int, int j) { return word_of(p, base, j); }
  static void block(const PanelView& p, int b, I* q) { each_word<UnpackQ8_0>(p, b, q); }
};

// ---- super-blocks of 256 ----

// Q4_K and Q5_K: scale d * sc, minimum -dmin * m of each block of 32, from the first four words.
inline void six_bit_scales(const PanelView& p, PanelScales& s) {
  const I w = p.word(0), first = p.word(1), second = p.word(2), last = p.word(3);
  const F d = low_halves(w), minus_dmin = negated(high_halves(w));
  const I six = set_bytes(63), upper = set_bytes(0x30);
  const I sc[2] = {first & six, low_nibbles(last) | (right(first, 2) & upper)};
  const I m[2] = {second & six, high_nibbles(last) | (right(second, 2) & upper)};
  for (int i = 0; i < 8; ++i) {
    s.scale[i] = d * to_floats(byte_of(sc[i / 4], i % 4));
    s.min[i] = minus_dmin * to_floats(byte_of(m[i / 4], i % 4));
  }
}

struct UnpackQ4K {
  using Block = tensor::BlockQ4K;
  static constexpr int kMax = 15, kAdded = 0;
  static constexpr bool kHalves = false, kMin = true;
  static void scales(const PanelView& p, PanelScales& s) { six_bit_scales(p, s); }
  static constexpr int kPeriod = 2;
  static constexpr int kUpTo8 = 8;
  static I word(const PanelView& p, int base, int k, int j) {
    const I w = p.word(4 + 4 * base + j);
    return k ? high_nibbles(w) : low_nibbles(w);
  }
  static I word_of(const PanelView& p, int b, int j) {
    return right_by(p.word(4 + 8 * (b / 2) + j), 4 * (b % 2)) & set_bytes(15);
  }
  static void block(const PanelView& p, int b, I* q) { each_word<UnpackQ4K>(p, b, q); }
};

struct UnpackQ5K {
  using Block = tensor::BlockQ5K;
  static constexpr int kMax = 31, kAdded = 0;
  static constexpr bool kHalves = false, kMin = true;
  static void scales(const PanelView& p, PanelScales& s) { six_bit_scales(p, s); }
  static void block(const PanelView& p, int b, I* q) {
    const I bit = set_bytes(16);
    for (int j = 0; j < 8; ++j) {
      const I w = p.word(12 + 8 * (b / 2) + j), fifth = p.word(4 + j);
      q[j] = (b % 2 ? high_nibbles(w) : low_nibbles(w)) | ((b < 4 ? left(fifth, 4 - b) : right(fifth, b - 4)) & bit);
    }
  }
};

struct UnpackQ6K {
  using Block = tensor::BlockQ6K;
  static constexpr int kMax = 63, kAdded = 32;
  static constexpr bool kHalves = true, kMin = false;
  static void scales(const PanelView& p, PanelScales& s) {
    const F d = load_halves(p.halves);
    for (int i = 0; i < 16; ++i) s.scale[i] = d * to_floats(signed_byte_of(p.word(48 + i / 4), i % 4));
  }
  static constexpr int kPeriod = 4;
  static constexpr int kUpTo8 = 7;
  static I word(const PanelView& p, int base, int k, int j) {
    const I w = p.word(4 * base + 8 * (k % 2) + j), high = p.word(32 + 2 * base + j);
    const I low = k < 2 ? low_nibbles(w) : high_nibbles(w);
    return low | ((k < 2 ? left(high, 4 - 2 * k) : right(high, 2 * k - 4)) & set_bytes(0x30));
  }
  static I word_of(const PanelView& p, int b, int j) {
    const I low = right_by(p.word(16 * (b / 4) + 8 * (b % 2) + j), b % 4 / 2 * 4) & set_bytes(15);
    const I high = right_by(p.word(32 + 8 * (b / 4) + j), 2 * (b % 4)) & set_bytes(3);
    return low | left(high, 4);
  }
  static void block(const PanelView& p, int b, I* q) { each_word<UnpackQ6K>(p, b, q); }
};

// x[128h + 32s + i]: two bits from bit 2s of byte 32h + i, from word `first` on.
inline I two_bits(const PanelView& p, int first, int b, int j) {
  return right_by(p.word(first + 8 * (b / 4) + j), 2 * (b % 4)) & set_bytes(3);
}

struct UnpackQ3K {
  using Block = tensor::BlockQ3K;
  static constexpr int kMax = 7, kAdded = 4;
  static constexpr bool kHalves = true, kMin = false;
  static void scales(const PanelView& p, PanelScales& s) {
    const F d = load_halves(p.halves);
    const I w[3] = {p.word(24), p.word(25), p.word(26)}, upper = set_bytes(0x30);
    const I sc[4] = {low_nibbles(w[0]) | (left(w[2], 4) & upper), low_nibbles(w[1]) | (left(w[2], 2) & upper),
                     high_nibbles(w[0]) | (w[2] & upper), high_nibbles(w[1]) | (right(w[2], 2) & upper)};
    for (int i = 0; i < 16; ++i) s.scale[i] = d * to_floats(byte_of(sc[i / 4], i % 4) - set_words(32));
  }
  static constexpr int kPeriod = 4;
  static constexpr int kUpTo8 = 8;
  static I word(const PanelView& p, int base, int k, int j) {
    return (right(p.word(8 + 2 * base + j), 2 * k) & set_bytes(3)) |
           (left(right_by(p.word(j), base + k), 2) & set_bytes(4));
  }
  static I word_of(const PanelView& p, int b, int j) {
    return two_bits(p, 8, b, j) | (left(right_by(p.word(j), b), 2) & set_bytes(4));
  }
  static void block(const PanelView& p, int b, I* q) { each_word<UnpackQ3K>(p, b, q); }
};

struct UnpackQ2K {
  using Block = tensor::BlockQ2K;
  static constexpr int kMax = 3, kAdded = 0;
  static constexpr bool kHalves = true, kMin = true;
  static void scales(const PanelView& p, PanelScales& s) {
    const I w = p.word(20);
    const F d = low_halves(w), minus_dmin = negated(high_halves(w));
    for (int i = 0; i < 16; ++i) {
      const I packed = byte_of(p.word(i / 4), i % 4);
      s.scale[i] = d * to_floats(packed & set_words(15));
      s.min[i] = minus_dmin * to_floats(right(packed, 4));
    }
  }
  static constexpr int kPeriod = 4;
  static constexpr int kUpTo8 = 7;
  static I word(const PanelView& p, int base, int k, int j) {
    return right(p.word(4 + 2 * base + j), 2 * k) & set_bytes(3);
  }
  static I word_of(const PanelView& p, int b, int j) { return two_bits(p, 4, b, j); }
  static void block(const PanelView& p, int b, I* q) { each_word<UnpackQ2K>(p, b, q); }
};

struct UnpackIQ4XS {
  using Block = tensor::BlockIQ4XS;
  static constexpr int kMax = 255, kAdded = 128;
  static constexpr bool kHalves = false, kMin = false;
  static void scales(const PanelView& p, PanelScales& s) {
    const I w = p.word(0), low = p.word(1);
    const F d = low_halves(w);
    for (int i = 0; i < 8; ++i) {
      const I sc = (right(low, 4 * i) & set_words(15)) | (left(right(w, 16 + 2 * i) & set_words(3), 4));
      s.scale[i] = d * to_floats(sc - set_words(32));
    }
  }
  static void block(const PanelView& p, int b, I* q) {
    half_split(p, 2 + 4 * b, q);
    iq4_values<UnpackIQ4XS>(q);
  }
};

}  // namespace watra::kernels::WATRA_KERNELS_ISA
