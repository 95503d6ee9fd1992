// How activations are stored for the products, and the scalar conversions that define each format.
//
// f32: rows as they are. bf16: a row after the other, below. The integer formats: records of 32 inputs, and a second,
// finer record where rounding to 8 bits would hurt.
//
//   record [D/32][M]   48 bytes each: those of one block of inputs lie side by side for all rows of the pass, in the
//                      order in which the kernels read them
//   rest   [D/32][M]   what the first record left over, likewise; written only where it is flagged
//   flag   [D/32][M rounded up to 16]  bytes, not zero where the row's block has a rest
//
// Rounding noise grows with the square of a block's scale, and a few blocks of a row (those with outliers) carry most
// of it. They get a rest: blocks whose squared scale is above kActRestAbove times the row's mean. So at most one in
// kActRestAbove, typically one in nine to fourteen (docs/decisions/0004, docs/measurements.md). It depends on the row
// alone.
#pragma once

#include <cstdint>

#include "kernels/ops.h"

namespace watra::kernels {

// Blocks whose largest magnitude is below this are stored as zeros: the scale and its inverse stay normal numbers.
inline constexpr float kActSmallest = 0x1p-110f;

// x[i] ~ scale * q[i], scale = max |x| / 127, q = x[i] * (1 / scale) rounded to nearest even.
// The integer instructions multiply unsigned by signed bytes. So the integers of weights are unsigned, where need be
// because a number was added to them, and a record says what that adds to its product: no vector of weights is
// multiplied for it.
union ActSum {
  float scaled;   // q8: scale * (sum of q); meets the minimum of a weight block
  int32_t start;  // others: where a sum of products starts, kFloatMagic - added * (sum of q)
};
struct ActRecord {
  float scale;
  ActSum sum;      // of all
  ActSum half[2];  // of the halves, for weight blocks of 16
  int8_t q[32];
};
static_assert(sizeof(ActRecord) == 48 && alignof(ActRecord) == 4);

// 1.5 * 2^23: adding an integer below 2^22 to its bits adds it to the float.
inline constexpr int32_t kFloatMagic = 0x4B400000;
inline constexpr float kFloatMagicValue = 12582912.0f;

inline constexpr float kActSecondLevel =
    1.0f / 254.0f;  // scale of a rest: half a step of the first record is 127 of it
inline constexpr float kActRestAbove = 2.6f;

// Where things lie in the converted activations of a pass of m rows of d inputs.
struct ActLayout {
  int64_t m, n_blocks;
  ActLayout(int64_t n_rows, int64_t d) : m(n_rows), n_blocks(d / 32) {}
  int64_t flag_stride() const { return (m + 15) / 16 * 16; }
  int64_t record(int64_t block, int64_t row) const { return (block * m + row) * kRecordBytes; }
  int64_t rest(int64_t block, int64_t row) const { return record(n_blocks + block, row); }
  int64_t flag(int64_t block, int64_t row) const {
    return 2 * n_blocks * m * kRecordBytes + block * flag_stride() + row;
  }
  int64_t bytes() const { return flag(n_blocks, 0); }
  static constexpr int64_t kRecordBytes = sizeof(ActRecord);
};

// Rows of bf16: the row rounded, what that left over (in blocks without a rest: zeros), both filled up with zeros to
// whole blocks, and a bit for each block, chunk by chunk, that is set where it has a rest. Rounding noise grows with
// the square of what is rounded here too, so the rule is the same, with a limit of its own (docs/decisions/0025).
inline constexpr float kBf16RestAbove = 8.0f;

struct Bf16ActLayout {
  int64_t d;
  static constexpr int64_t kBlock = 32, kChunk = 1024;  // inputs; a chunk's blocks fill a mask of 32 bits
  int64_t n_blocks() const { return (d + kBlock - 1) / kBlock; }
  int64_t n_chunks() const { return (d + kChunk - 1) / kChunk; }
  // All in elements of 16 bits. A row is an odd number of lines (64 bytes) long up to 16384 inputs, so that the rows of
  // a pass do not all want the same places of a cache.
  int64_t rest() const { return n_blocks() * kBlock; }
  int64_t masks() const { return 2 * rest(); }
  int64_t stride() const { return masks() + (n_chunks() + 15) / 16 * 32; }
};

int64_t act_bytes(ActFormat format, int64_t m, int64_t d);
// Row `row` of m. Scalar. ISA tables may bring a faster one that gives the same bytes.
void convert_act_row(ActFormat format, const float* x, std::byte* acts, int64_t row, int64_t m, int64_t d);
// What a converted row stands for.
void decode_act_row(ActFormat format, const std::byte* acts, int64_t row, int64_t m, float* out, int64_t d);

}  // namespace watra::kernels
