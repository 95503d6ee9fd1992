// Weights of eight rows, unpacked to bytes side by side: what the integer products read.
//
// A *panel* is 8 rows x up to 256 weights (8 blocks of 32). Row r of a block owns 32-bit lane r of eight vectors:
// vector j holds the weights 4j .. 4j+3 of all eight rows, so that one broadcast of four activations meets them all and
// each lane's sum is one row's sum. Unpacking happens once per panel, whatever M is; formats and legend:
// tensor/blocks.h.
//
// Each Unpack* says how its integers q stand for weights:
//   kOffset   the weight's integer is q - kOffset          kSigned  q is a signed byte (else unsigned)
//   kMin      each block also has a float minimum          kHalves  blocks of 16 with integer scales under a float one
//   kChain    how many vpmaddubsw results (pairs q*x, |x| <= 127) fit into 16 bits together
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "tensor/blocks.h"
#include "tensor/codebooks.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

struct alignas(64) Panel {
  __m256i q[8][8];           // [block][vector]
  __m256 scale[8];           // [block]
  __m256 min[8];             // [block], added; with kHalves the factor of the integer minima
  __m256i half_scale[8][2];  // [block][half]: a 16-bit integer, twice per lane
  __m256i half_scales[8];    // [block]: the two halves' integers, a pair per lane
  __m256i half_mins[8];      // likewise
};

using Rows = const uint8_t* const*;  // eight rows, at the first byte of the panel's first block

inline __m256i set8(int v) { return _mm256_set1_epi8(static_cast<char>(v)); }
inline __m128i load16(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

// out[i] = 32-bit word i of 16 bytes of each row; at(r) gives row r's bytes.
template <class At>
inline void words_of_rows(At at, __m256i* out) {
  const auto two = [&](int r) { return _mm256_inserti128_si256(_mm256_castsi128_si256(at(r)), at(r + 4), 1); };
  const __m256i a0 = two(0), a1 = two(1), a2 = two(2), a3 = two(3);
  const __m256i t0 = _mm256_unpacklo_epi32(a0, a1), t1 = _mm256_unpackhi_epi32(a0, a1);
  const __m256i t2 = _mm256_unpacklo_epi32(a2, a3), t3 = _mm256_unpackhi_epi32(a2, a3);
  out[0] = _mm256_unpacklo_epi64(t0, t2);
  out[1] = _mm256_unpackhi_epi64(t0, t2);
  out[2] = _mm256_unpacklo_epi64(t1, t3);
  out[3] = _mm256_unpackhi_epi64(t1, t3);
}
inline void words_at(Rows p, int64_t offset, __m256i* out) {
  words_of_rows([&](int r) { return load16(p[r] + offset); }, out);
}
inline __m256i word_at(Rows p, int64_t offset) {
  const auto w = [&](int r) {
    int32_t v;
    __builtin_memcpy(&v, p[r] + offset, 4);
    return v;
  };
  return _mm256_setr_epi32(w(0), w(1), w(2), w(3), w(4), w(5), w(6), w(7));
}

inline __m256i low_nibbles(__m256i v) { return _mm256_and_si256(v, set8(15)); }
inline __m256i high_nibbles(__m256i v) { return _mm256_and_si256(_mm256_srli_epi16(v, 4), set8(15)); }
// Two bits of each byte, from bit kBit up, moved to bits 4 and 5.
template <int kBit>
inline __m256i two_bits_to_4(__m256i v) {
  const __m256i mask = set8(0x30);
  if constexpr (kBit < 4) return _mm256_and_si256(_mm256_slli_epi16(v, 4 - kBit), mask);
  return _mm256_and_si256(_mm256_srli_epi16(v, kBit - 4), mask);
}

// f16 in the low or high half of each lane.
inline __m256 f16_low(__m256i v) {
  const __m256i packed = _mm256_packus_epi32(_mm256_and_si256(v, _mm256_set1_epi32(0xffff)), _mm256_setzero_si256());
  return _mm256_cvtph_ps(_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
}
inline __m256 f16_high(__m256i v) { return f16_low(_mm256_srli_epi32(v, 16)); }

// Scales of blocks of 32 lie between the weights: all of a panel's are gathered first, in plain code, and widened
// after.
template <class Block>
inline void block_scales(Rows p, int n_blocks, int64_t offset, __m256* out) {
  alignas(16) uint16_t half[8][8];
  for (int r = 0; r < 8; ++r)
    for (int b = 0; b < n_blocks; ++b) __builtin_memcpy(&half[b][r], p[r] + b * sizeof(Block) + offset, 2);
  for (int b = 0; b < n_blocks; ++b)
    out[b] = _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(half[b])));
}

// Bytes 2k and 2k+1 of each lane's word as 16-bit integers: the integer scales of one block's halves.
template <int kPair>
inline void half_scales(__m256i words, Panel& panel, int block) {
  constexpr char a = 2 * kPair, b = 2 * kPair + 1, x = -128;
  const auto lanes = [&](char s, char t) {
    const __m256i pick = _mm256_setr_epi8(x, s, x, t, x, char(s + 4), x, char(t + 4), x, char(s + 8), x, char(t + 8), x,
                                          char(s + 12), x, char(t + 12), x, s, x, t, x, char(s + 4), x, char(t + 4), x,
                                          char(s + 8), x, char(t + 8), x, char(s + 12), x, char(t + 12));
    return _mm256_srai_epi16(_mm256_shuffle_epi8(words, pick), 8);
  };
  panel.half_scales[block] = lanes(a, b);
  panel.half_scale[block][0] = lanes(a, a);
  panel.half_scale[block][1] = lanes(b, b);
}
// words[i]: the scales 4i .. 4i+3 of a super-block.
inline void all_half_scales(const __m256i* words, Panel& panel) {
  for (int i = 0; i < 4; ++i) {
    half_scales<0>(words[i], panel, 2 * i);
    half_scales<1>(words[i], panel, 2 * i + 1);
  }
}

// ---- blocks of 32 ----

inline void unpack_nibbles(Rows p, int64_t offset, __m256i* q) {
  __m256i w[4];
  words_at(p, offset, w);
  for (int j = 0; j < 4; ++j) {
    q[j] = low_nibbles(w[j]);
    q[j + 4] = high_nibbles(w[j]);
  }
}

struct UnpackQ4_0 {
  using Block = tensor::BlockQ4_0;
  static constexpr int kOffset = 8, kChain = 8;
  static constexpr bool kSigned = false, kMin = false, kHalves = false;
  static void panel(Rows p, int n_blocks, Panel& out) {
    block_scales<Block>(p, n_blocks, offsetof(Block, d), out.scale);
    for (int b = 0; b < n_blocks; ++b) unpack_nibbles(p, b * sizeof(Block) + offsetof(Block, qs), out.q[b]);
  }
};

struct UnpackQ4_1 {
  using Block = tensor::BlockQ4_1;
  static constexpr int kOffset = 0, kChain = 8;
  static constexpr bool kSigned = false, kMin = true, kHalves = false;
  static void panel(Rows p, int n_blocks, Panel& out) {
    block_scales<Block>(p, n_blocks, offsetof(Block, d), out.scale);
    block_scales<Block>(p, n_blocks, offsetof(Block, m), out.min);
    for (int b = 0; b < n_blocks; ++b) unpack_nibbles(p, b * sizeof(Block) + offsetof(Block, qs), out.q[b]);
  }
};

// Bit k of each lane's word becomes bit 4 of weight k.
inline void add_fifth_bits(__m256i bits, __m256i* q) {
  const __m256i masks[2] = {_mm256_set1_epi32(0x08040201), _mm256_set1_epi32(static_cast<int>(0x80402010u))};
  for (int byte = 0; byte < 4; ++byte) {
    const auto i = static_cast<char>(byte), j = static_cast<char>(byte + 4), k = static_cast<char>(byte + 8),
               l = static_cast<char>(byte + 12);
    const __m256i spread = _mm256_shuffle_epi8(bits, _mm256_setr_epi8(i, i, i, i, j, j, j, j, k, k, k, k, l, l, l, l, i,
                                                                      i, i, i, j, j, j, j, k, k, k, k, l, l, l, l));
    for (int half = 0; half < 2; ++half) {
      const __m256i is_set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, masks[half]), masks[half]);
      __m256i& out = q[2 * byte + half];
      out = _mm256_or_si256(out, _mm256_and_si256(is_set, set8(16)));
    }
  }
}

struct UnpackQ5_0 {
  using Block = tensor::BlockQ5_0;
  static constexpr int kOffset = 16, kChain = 4;
  static constexpr bool kSigned = false, kMin = false, kHalves = false;
  static void panel(Rows p, int n_blocks, Panel& out) {
    block_scales<Block>(p, n_blocks, offsetof(Block, d), out.scale);
    for (int b = 0; b < n_blocks; ++b) {
      unpack_nibbles(p, b * sizeof(Block) + offsetof(Block, qs), out.q[b]);
      add_fifth_bits(word_at(p, b * sizeof(Block) + offsetof(Block, qh)), out.q[b]);
    }
  }
};

struct UnpackQ5_1 {
  using Block = tensor::BlockQ5_1;
  static constexpr int kOffset = 0, kChain = 4;
  static constexpr bool kSigned = false, kMin = true, kHalves = false;
  static void panel(Rows p, int n_blocks, Panel& out) {
    block_scales<Block>(p, n_blocks, offsetof(Block, d), out.scale);
    block_scales<Block>(p, n_blocks, offsetof(Block, m), out.min);
    for (int b = 0; b < n_blocks; ++b) {
      unpack_nibbles(p, b * sizeof(Block) + offsetof(Block, qs), out.q[b]);
      add_fifth_bits(word_at(p, b * sizeof(Block) + offsetof(Block, qh)), out.q[b]);
    }
  }
};

struct UnpackQ8_0 {
  using Block = tensor::BlockQ8_0;
  static constexpr int kOffset = 0, kChain = 1;
  static constexpr bool kSigned = true, kMin = false, kHalves = false;
  static void panel(Rows p, int n_blocks, Panel& out) {
    block_scales<Block>(p, n_blocks, offsetof(Block, d), out.scale);
    for (int b = 0; b < n_blocks; ++b) {
      words_at(p, b * sizeof(Block) + offsetof(Block, qs), out.q[b]);
      words_at(p, b * sizeof(Block) + offsetof(Block, qs) + 16, out.q[b] + 4);
    }
  }
};

inline void look_up_iq4(__m256i* q) {
  const __m256i values =
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(&tensor::kIq4Values)));
  for (int j = 0; j < 8; ++j) q[j] = _mm256_shuffle_epi8(values, q[j]);
}

struct UnpackIQ4NL {
  using Block = tensor::BlockIQ4NL;
  static constexpr int kOffset = 0, kChain = 1;
  static constexpr bool kSigned = true, kMin = false, kHalves = false;
  static void panel(Rows p, int n_blocks, Panel& out) {
    block_scales<Block>(p, n_blocks, offsetof(Block, d), out.scale);
    for (int b = 0; b < n_blocks; ++b) {
      unpack_nibbles(p, b * sizeof(Block) + offsetof(Block, qs), out.q[b]);
      look_up_iq4(out.q[b]);
    }
  }
};

// ---- super-blocks of 256: one per panel ----

// Q4_K and Q5_K: scale d * sc, minimum -dmin * m of each block of 32, from the first 16 bytes.
inline void scales_and_mins(Rows p, Panel& out) {
  __m256i w[4];  // d and dmin; scales 0..3; 4..7; 8..11
  words_at(p, 0, w);
  const __m256 d = f16_low(w[0]), minus_dmin = _mm256_xor_ps(f16_high(w[0]), _mm256_set1_ps(-0.0f));
  const __m256i six = set8(0x3f);
  const __m256i sc[2] = {_mm256_and_si256(w[1], six), _mm256_or_si256(low_nibbles(w[3]), two_bits_to_4<6>(w[1]))};
  const __m256i m[2] = {_mm256_and_si256(w[2], six), _mm256_or_si256(high_nibbles(w[3]), two_bits_to_4<6>(w[2]))};
  for (int half = 0; half < 2; ++half) {
    __m256i s = sc[half], t = m[half];
    for (int i = 0; i < 4; ++i) {
      const __m256i byte = _mm256_set1_epi32(0xff);
      out.scale[4 * half + i] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_and_si256(s, byte)));
      out.min[4 * half + i] = _mm256_mul_ps(minus_dmin, _mm256_cvtepi32_ps(_mm256_and_si256(t, byte)));
      s = _mm256_srli_epi32(s, 8);
      t = _mm256_srli_epi32(t, 8);
    }
  }
}

struct UnpackQ4K {
  using Block = tensor::BlockQ4K;
  static constexpr int kOffset = 0, kChain = 8;
  static constexpr bool kSigned = false, kMin = true, kHalves = false;
  static void panel(Rows p, int, Panel& out) {
    scales_and_mins(p, out);
    for (int h = 0; h < 4; ++h) {
      for (int part = 0; part < 2; ++part) {
        __m256i w[4];
        words_at(p, offsetof(Block, qs) + 32 * h + 16 * part, w);
        for (int j = 0; j < 4; ++j) {
          out.q[2 * h][4 * part + j] = low_nibbles(w[j]);
          out.q[2 * h + 1][4 * part + j] = high_nibbles(w[j]);
        }
      }
    }
  }
};

struct UnpackQ5K {
  using Block = tensor::BlockQ5K;
  static constexpr int kOffset = 0, kChain = 4;
  static constexpr bool kSigned = false, kMin = true, kHalves = false;
  static void panel(Rows p, int, Panel& out) {
    scales_and_mins(p, out);
    __m256i fifth[8];
    words_at(p, offsetof(Block, qh), fifth);
    words_at(p, offsetof(Block, qh) + 16, fifth + 4);
    const __m256i bit = set8(16);
    for (int h = 0; h < 4; ++h) {
      __m256i w[8];
      words_at(p, offsetof(Block, qs) + 32 * h, w);
      words_at(p, offsetof(Block, qs) + 32 * h + 16, w + 4);
      // Bits 2h and 2h+1 of the high bytes become bit 4; what crosses a byte's edge in the 16-bit shifts is masked off.
      for (int j = 0; j < 8; ++j) {
        const __m256i low = h < 2 ? _mm256_slli_epi16(fifth[j], 4 - 2 * h) : _mm256_srli_epi16(fifth[j], 2 * h - 4);
        const __m256i high = h < 2 ? _mm256_slli_epi16(fifth[j], 3 - 2 * h) : _mm256_srli_epi16(fifth[j], 2 * h - 3);
        out.q[2 * h][j] = _mm256_or_si256(low_nibbles(w[j]), _mm256_and_si256(low, bit));
        out.q[2 * h + 1][j] = _mm256_or_si256(high_nibbles(w[j]), _mm256_and_si256(high, bit));
      }
    }
  }
};

struct UnpackQ6K {
  using Block = tensor::BlockQ6K;
  static constexpr int kOffset = 32, kChain = 2;
  static constexpr bool kSigned = false, kMin = false, kHalves = true;
  static void panel(Rows p, int, Panel& out) {
    const __m256 d = f16_high(word_at(p, offsetof(Block, d) - 2));
    __m256i scales[4];
    words_at(p, offsetof(Block, scales), scales);
    all_half_scales(scales, out);
    for (int b = 0; b < 8; ++b) out.scale[b] = d;
    for (int h = 0; h < 2; ++h) {
      for (int part = 0; part < 2; ++part) {
        __m256i first[4], second[4], high[4];
        words_at(p, offsetof(Block, ql) + 64 * h + 16 * part, first);
        words_at(p, offsetof(Block, ql) + 64 * h + 32 + 16 * part, second);
        words_at(p, offsetof(Block, qh) + 32 * h + 16 * part, high);
        for (int j = 0; j < 4; ++j) {
          const int at = 4 * part + j;
          out.q[4 * h][at] = _mm256_or_si256(low_nibbles(first[j]), two_bits_to_4<0>(high[j]));
          out.q[4 * h + 1][at] = _mm256_or_si256(low_nibbles(second[j]), two_bits_to_4<2>(high[j]));
          out.q[4 * h + 2][at] = _mm256_or_si256(high_nibbles(first[j]), two_bits_to_4<4>(high[j]));
          out.q[4 * h + 3][at] = _mm256_or_si256(high_nibbles(second[j]), two_bits_to_4<6>(high[j]));
        }
      }
    }
  }
};

struct UnpackQ3K {
  using Block = tensor::BlockQ3K;
  static constexpr int kOffset = 4, kChain = 4;
  static constexpr bool kSigned = false, kMin = false, kHalves = true;
  static void panel(Rows p, int, Panel& out) {
    __m256i w[4];  // scales 0..3; 4..7; 8..11; d
    words_of_rows([&](int r) { return _mm_srli_si128(load16(p[r] + offsetof(Block, scales) - 2), 2); }, w);
    const __m256i bias = set8(32), upper = set8(0x30);
    const __m256i scales[4] = {
        _mm256_sub_epi8(_mm256_or_si256(low_nibbles(w[0]), two_bits_to_4<0>(w[2])), bias),
        _mm256_sub_epi8(_mm256_or_si256(low_nibbles(w[1]), two_bits_to_4<2>(w[2])), bias),
        _mm256_sub_epi8(_mm256_or_si256(high_nibbles(w[0]), _mm256_and_si256(w[2], upper)), bias),
        _mm256_sub_epi8(_mm256_or_si256(high_nibbles(w[1]), two_bits_to_4<6>(w[2])), bias),
    };
    all_half_scales(scales, out);
    const __m256 d = f16_low(w[3]);
    for (int b = 0; b < 8; ++b) out.scale[b] = d;
    for (int part = 0; part < 2; ++part) {
      __m256i third[4];
      words_at(p, offsetof(Block, hmask) + 16 * part, third);
      for (int h = 0; h < 2; ++h) {
        __m256i low[4];
        words_at(p, offsetof(Block, qs) + 32 * h + 16 * part, low);
        for (int j = 0; j < 4; ++j) {
          for (int s = 0; s < 4; ++s) {
            const int bit = 4 * h + s;
            const __m256i two = _mm256_and_si256(_mm256_srli_epi16(low[j], 2 * s), set8(3));
            const __m256i moved = bit < 2 ? _mm256_slli_epi16(third[j], 2 - bit) : _mm256_srli_epi16(third[j], bit - 2);
            out.q[bit][4 * part + j] = _mm256_or_si256(two, _mm256_and_si256(moved, set8(4)));
          }
        }
      }
    }
  }
};

struct UnpackQ2K {
  using Block = tensor::BlockQ2K;
  static constexpr int kOffset = 0, kChain = 4;
  static constexpr bool kSigned = false, kMin = true, kHalves = true;
  static void panel(Rows p, int, Panel& out) {
    __m256i w[4], parts[4];
    words_at(p, offsetof(Block, scales), w);
    for (int i = 0; i < 4; ++i) parts[i] = high_nibbles(w[i]);
    all_half_scales(parts, out);
    for (int b = 0; b < 8; ++b) out.half_mins[b] = out.half_scales[b];
    for (int i = 0; i < 4; ++i) parts[i] = low_nibbles(w[i]);
    all_half_scales(parts, out);
    const __m256i both = word_at(p, offsetof(Block, d));
    const __m256 d = f16_low(both), minus_dmin = _mm256_xor_ps(f16_high(both), _mm256_set1_ps(-0.0f));
    for (int b = 0; b < 8; ++b) {
      out.scale[b] = d;
      out.min[b] = minus_dmin;
    }
    for (int part = 0; part < 2; ++part) {
      for (int h = 0; h < 2; ++h) {
        __m256i low[4];
        words_at(p, offsetof(Block, qs) + 32 * h + 16 * part, low);
        for (int j = 0; j < 4; ++j)
          for (int s = 0; s < 4; ++s)
            out.q[4 * h + s][4 * part + j] = _mm256_and_si256(_mm256_srli_epi16(low[j], 2 * s), set8(3));
      }
    }
  }
};

struct UnpackIQ4XS {
  using Block = tensor::BlockIQ4XS;
  static constexpr int kOffset = 0, kChain = 1;
  static constexpr bool kSigned = true, kMin = false, kHalves = false;
  static void panel(Rows p, int, Panel& out) {
    const __m256i first = word_at(p, 0);  // d, scales_h
    const __m256 d = f16_low(first);
    __m256i upper = _mm256_srli_epi32(first, 16), lower = word_at(p, offsetof(Block, scales_l));
    for (int b = 0; b < 8; ++b) {
      const __m256i s = _mm256_or_si256(_mm256_and_si256(lower, _mm256_set1_epi32(15)),
                                        _mm256_slli_epi32(_mm256_and_si256(upper, _mm256_set1_epi32(3)), 4));
      out.scale[b] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_sub_epi32(s, _mm256_set1_epi32(32))));
      lower = _mm256_srli_epi32(lower, 4);
      upper = _mm256_srli_epi32(upper, 2);
      unpack_nibbles(p, offsetof(Block, qs) + 16 * b, out.q[b]);
      look_up_iq4(out.q[b]);
    }
  }
};

}  // namespace watra::kernels::WATRA_KERNELS_ISA
