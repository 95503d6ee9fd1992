// Block structs of the quantized formats, bit by bit, as they lie in GGUF files and in memory (little-endian, no
// padding).
//
// Legend
//   x[k]      weight k of the block, k = 0 .. kElements-1
//   f16       IEEE binary16, kept as its bits in a uint16_t (half.h converts)
//   a[i].lo   low four bits of byte a[i];  a[i].hi  its high four bits
//   a[i]{b:n} n bits of a[i], starting at bit b (bit 0 = least significant)
//   K types   super-blocks of 256 weights, cut into sub-blocks of 16 or 32, each with its own small integer scale
//
// "Half-split" nibbles, used by many types: of 2m weights in m bytes, byte i holds weight i in .lo and weight m+i in
// .hi. Structs need the alignment of their widest member (4 bytes at most), which rows of whole blocks in an aligned
// tensor have.
#pragma once

#include <bit>
#include <cstdint>

namespace watra::tensor {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian and are read in place");

inline constexpr int kSuperBlock = 256;

// ---- 32 weights, one scale
// ---------------------------------------------------------------------------------------------

// x = d * (q - 8), q in 0..15; half-split nibbles. 4.5 bpw
struct BlockQ4_0 {
  static constexpr int kElements = 32;
  uint16_t d;      // f16
  uint8_t qs[16];  // x[i]: qs[i].lo, x[16+i]: qs[i].hi
};
static_assert(sizeof(BlockQ4_0) == 18);

// x = d * q + m, q in 0..15; half-split nibbles. 5 bpw
struct BlockQ4_1 {
  static constexpr int kElements = 32;
  uint16_t d;  // f16
  uint16_t m;  // f16
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

// x = d * (q - 16), q in 0..31. 5.5 bpw
struct BlockQ5_0 {
  static constexpr int kElements = 32;
  uint16_t d;      // f16
  uint8_t qh[4];   // x[k]: bit 4 of q is bit k of these 32 bits
  uint8_t qs[16];  // bits 0..3 of q, half-split nibbles
};
static_assert(sizeof(BlockQ5_0) == 22);

// x = d * q + m, q in 0..31. 6 bpw
struct BlockQ5_1 {
  static constexpr int kElements = 32;
  uint16_t d;      // f16
  uint16_t m;      // f16
  uint8_t qh[4];   // as in Q5_0
  uint8_t qs[16];  // as in Q5_0
};
static_assert(sizeof(BlockQ5_1) == 24);

// x = d * q. 8.5 bpw
struct BlockQ8_0 {
  static constexpr int kElements = 32;
  uint16_t d;  // f16
  int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

// x = d * q; for activations that meet weights with a minimum (Q4_1, Q5_1). Not a type of files.
struct BlockQ8_1 {
  static constexpr int kElements = 32;
  uint16_t d;  // f16
  uint16_t s;  // f16: d * sum(q)
  int8_t qs[32];
};
static_assert(sizeof(BlockQ8_1) == 36);

// ---- super-blocks of 256
// -----------------------------------------------------------------------------------------------

// x = d * sc[j] * q - dmin * m[j], q in 0..3, sub-block j = k / 16, sc and m in 0..15. 2.625 bpw
struct BlockQ2K {
  static constexpr int kElements = kSuperBlock;
  uint8_t scales[16];  // sc[j]: scales[j].lo, m[j]: scales[j].hi
  uint8_t qs[64];      // x[128h + 32s + i]: qs[32h + i]{2s:2}
  uint16_t d;          // f16
  uint16_t dmin;       // f16
};
static_assert(sizeof(BlockQ2K) == 84);

// x = d * (sc[j] - 32) * (q - 4), q in 0..7, sub-block j = k / 16, sc in 0..63. 3.4375 bpw
struct BlockQ3K {
  static constexpr int kElements = kSuperBlock;
  uint8_t hmask[32];  // bit 2 of q: x[32b + i]: hmask[i]{b:1}
  uint8_t qs[64];     // bits 0..1 of q, as in Q2_K
  uint8_t
      scales[12];  // sc[j] bits 0..3: scales[j % 8], .lo for j < 8, .hi else; bits 4..5: scales[8 + j % 4]{2(j / 4):2}
  uint16_t d;      // f16
};
static_assert(sizeof(BlockQ3K) == 110);

// x = d * sc[j] * q - dmin * m[j], q in 0..15, sub-block j = k / 32, sc and m in 0..63. 4.5 bpw
struct BlockQ4K {
  static constexpr int kElements = kSuperBlock;
  uint16_t d;     // f16
  uint16_t dmin;  // f16
  // j < 4:   sc[j] = scales[j]{0:6},    m[j] = scales[4 + j]{0:6}
  // j >= 4:  bits 0..3: sc[j] = scales[4 + j].lo, m[j] = scales[4 + j].hi
  //          bits 4..5: sc[j] = scales[j - 4]{6:2}, m[j] = scales[j]{6:2}
  uint8_t scales[12];
  uint8_t qs[128];  // x[64h + i]: qs[32h + i].lo, x[64h + 32 + i]: qs[32h + i].hi
};
static_assert(sizeof(BlockQ4K) == 144);

// As Q4_K with q in 0..31. 5.5 bpw
struct BlockQ5K {
  static constexpr int kElements = kSuperBlock;
  uint16_t d;          // f16
  uint16_t dmin;       // f16
  uint8_t scales[12];  // as in Q4_K
  uint8_t qh[32];      // bit 4 of q: x[32b + i]: qh[i]{b:1}
  uint8_t qs[128];     // bits 0..3 of q, as in Q4_K
};
static_assert(sizeof(BlockQ5K) == 176);

// x = d * scales[j] * (q - 32), q in 0..63, sub-block j = k / 16. 6.5625 bpw
struct BlockQ6K {
  static constexpr int kElements = kSuperBlock;
  uint8_t ql[128];  // bits 0..3 of q: x[128h + i]: ql[64h + i].lo, x[128h + 64 + i]: ql[64h + i].hi, i = 0..63
  uint8_t qh[64];   // bits 4..5 of q: x[128h + 32s + i]: qh[32h + i]{2s:2}, i = 0..31
  int8_t scales[16];
  uint16_t d;  // f16
};
static_assert(sizeof(BlockQ6K) == 210);

// x = d * q; for activations that meet K types. Not a type of files.
struct BlockQ8K {
  static constexpr int kElements = kSuperBlock;
  float d;
  int8_t qs[256];
  int16_t bsums[16];  // sum of qs[16j .. 16j+15]
};
static_assert(sizeof(BlockQ8K) == 292);

// ---- codebook super-blocks (codebooks.h)
// -------------------------------------------------------------------------------
//
// A grid entry gives the magnitudes of 8 (IQ2) or 4 (IQ3) weights, or 8 values of -1, 0, 1 (IQ1). Signs come as a byte
// with bit i for weight i (1 = negative), or as 7 bits: the eighth makes the number of minus signs even.

// x = d * (s + 0.5) / 4 * grid * sign; s per 32 weights. 2.0625 bpw
struct BlockIQ2XXS {
  static constexpr int kElements = kSuperBlock;
  uint16_t d;  // f16
  uint16_t
      qs[32];  // per 32 weights 8 bytes: four grid indices of 8 bits, then 32 bits: four 7-bit signs, 4-bit s on top
};
static_assert(sizeof(BlockIQ2XXS) == 66);

// x = d * (s + 0.5) / 4 * grid * sign; s per 16 weights. 2.3125 bpw
struct BlockIQ2XS {
  static constexpr int kElements = kSuperBlock;
  uint16_t d;         // f16
  uint16_t qs[32];    // per 8 weights: grid index {0:9}, 7-bit signs {9:7}
  uint8_t scales[8];  // per 32 weights: s of the first 16 .lo, of the others .hi
};
static_assert(sizeof(BlockIQ2XS) == 74);

// x = d * (s + 0.5) / 4 * grid * sign; s per 16 weights. 2.5625 bpw
struct BlockIQ2S {
  static constexpr int kElements = kSuperBlock;
  uint16_t d;         // f16
  uint8_t qs[32];     // grid index bits 0..7, per 8 weights
  uint8_t signs[32];  // 8-bit signs, per 8 weights
  uint8_t qh[8];      // grid index bits 8..9: group g of 8 weights: qh[g / 4]{2(g % 4):2}
  uint8_t scales[8];  // as in IQ2_XS
};
static_assert(sizeof(BlockIQ2S) == 82);

// x = d * (s + 0.5) / 2 * grid * sign; s per 32 weights. 3.0625 bpw
struct BlockIQ3XXS {
  static constexpr int kElements = kSuperBlock;
  uint16_t d;                // f16
  uint8_t qs[64];            // grid index, per 4 weights
  uint8_t scales_signs[32];  // per 32 weights 32 bits: four 7-bit signs, 4-bit s on top
};
static_assert(sizeof(BlockIQ3XXS) == 98);

// x = d * (2 s + 1) * grid * sign; s per 32 weights. 3.4375 bpw
struct BlockIQ3S {
  static constexpr int kElements = kSuperBlock;
  uint16_t d;         // f16
  uint8_t qs[64];     // grid index bits 0..7, per 4 weights
  uint8_t qh[8];      // grid index bit 8: group g of 4 weights: qh[g / 8]{g % 8:1}
  uint8_t signs[32];  // 8-bit signs, per 8 weights
  uint8_t scales[4];  // s: sub-block b: scales[b / 2], .lo for even b, .hi for odd
};
static_assert(sizeof(BlockIQ3S) == 110);

// x = d * (2 s + 1) * (grid + delta), delta = +-1/8; s and delta per 32 weights. 1.5625 bpw
struct BlockIQ1S {
  static constexpr int kElements = kSuperBlock;
  uint16_t d;      // f16
  uint8_t qs[32];  // grid index bits 0..7, per 8 weights
  uint16_t qh[8];  // per 32 weights: index bits 8..10 of group g {3g:3}, s {12:3}, delta negative {15:1}
};
static_assert(sizeof(BlockIQ1S) == 50);

// x = d * (2 s + 1) * (grid + delta), delta = +-1/8; s per 16 weights, delta per 8. 1.75 bpw
struct BlockIQ1M {
  static constexpr int kElements = kSuperBlock;
  uint8_t qs[32];      // grid index bits 0..7, per 8 weights
  uint8_t qh[16];      // nibble per 8 weights (.lo first): index bits 8..10 {0:3}, delta negative {3:1}
  uint16_t scales[4];  // per 64 weights: s of 16 weights {3i:3}; {12:4} of word w = bits 4w..4w+3 of the f16 d
};
static_assert(sizeof(BlockIQ1M) == 56);

// ---- four bits on a curve, ternary, and small floats
// -------------------------------------------------------------------

// x = d * kIq4Values[q]; half-split nibbles. 4.5 bpw
struct BlockIQ4NL {
  static constexpr int kElements = 32;
  uint16_t d;  // f16
  uint8_t qs[16];
};
static_assert(sizeof(BlockIQ4NL) == 18);

// x = d * (sc[b] - 32) * kIq4Values[q], sub-block b = k / 32, sc in 0..63. 4.25 bpw
struct BlockIQ4XS {
  static constexpr int kElements = kSuperBlock;
  uint16_t d;           // f16
  uint16_t scales_h;    // sc[b] bits 4..5: {2b:2}
  uint8_t scales_l[4];  // sc[b] bits 0..3: scales_l[b / 2], .lo for even b, .hi for odd
  uint8_t qs[128];      // 16 bytes per sub-block, half-split nibbles
};
static_assert(sizeof(BlockIQ4XS) == 136);

// x = d * (t - 1), t in 0..2. A byte v holds up to five base-3 digits as the fraction v / 256: digit n is the integer
// part of 3 * frac(3^n * v / 256). 1.6875 bpw
struct BlockTQ1_0 {
  static constexpr int kElements = kSuperBlock;
  uint8_t qs[48];  // x[32n + i]: digit n of qs[i], i < 32, n < 5; then x[160 + 16n + i]: digit n of qs[32 + i], i < 16
  uint8_t qh[4];   // x[240 + 4n + i]: digit n of qh[i], n < 4
  uint16_t d;      // f16
};
static_assert(sizeof(BlockTQ1_0) == 54);

// x = d * (t - 1), t in 0..3 (3 is not written by quantizers). 2.0625 bpw
struct BlockTQ2_0 {
  static constexpr int kElements = kSuperBlock;
  uint8_t qs[64];  // x[128h + 32s + i]: qs[32h + i]{2s:2}
  uint16_t d;      // f16
};
static_assert(sizeof(BlockTQ2_0) == 66);

// x = 2^(e - 128) * kFp4Values[q] (twice the e2m1 value); half-split nibbles. OCP Microscaling 1.0. 4.25 bpw
struct BlockMXFP4 {
  static constexpr int kElements = 32;
  uint8_t e;  // e8m0: a bare exponent
  uint8_t qs[16];
};
static_assert(sizeof(BlockMXFP4) == 17);

// x = e4m3(d[b]) / 2 * kFp4Values[q], sub-block b = k / 16. 4.5 bpw
struct BlockNVFP4 {
  static constexpr int kElements = 64;
  uint8_t d[4];    // e4m3, bias 7, sign bit ignored; 0x7f is no number and counts as 0
  uint8_t qs[32];  // 8 bytes per sub-block, half-split nibbles
};
static_assert(sizeof(BlockNVFP4) == 36);

}  // namespace watra::tensor
