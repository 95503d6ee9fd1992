// Interleaving: how sixteen rows of a quantized matrix lie side by side (Layout::interleaved_16).
//
// A permutation of bytes, same size, invertible, the same for every ISA and readable by any kernel. The matrix is cut
// into groups of 16 rows; rows that fill no group (R % 16) stay as they are, behind the groups. A group is cut along
// its columns into *panels*; a panel holds n blocks of each row, first the 16-bit fields, then the 32-bit words:
//
//   half [n][16]           uint16   only in types whose block has an odd number of 16-bit fields: the field at
//   half_offset word [n][words][16]    uint32   the other bytes of the block, in their order, four at a time
//
// so that one vector holds the same four bytes of 16 rows (8 rows: half of it) and a panel is read front to back.
// n is panel_blocks, except in the last panel of a row: types with 32 weights a block have 8 (256 columns),
// super-blocks 1, and 2 where they have a half field (each part of a full panel then begins at a multiple of 64 bytes).
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace watra::tensor {

inline constexpr int64_t kInterleavedRows = 16;

struct InterleavePlan {
  int32_t block_bytes = 0;   // of one row's block; 0 = this type has no interleaved layout
  int32_t half_offset = -1;  // byte offset of the 16-bit field in the block, -1 = none
  int32_t panel_blocks = 0;
  constexpr int32_t words() const { return block_bytes / 4; }
  constexpr int32_t half_bytes() const { return half_offset < 0 ? 0 : 2; }
};

// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K .. Q6_K, IQ1_S .. IQ4_XS have a plan; the others have block_bytes 0.
InterleavePlan interleave_plan(DType dtype);
inline bool can_interleave(DType dtype) { return interleave_plan(dtype).block_bytes > 0; }

// One panel: the next n_blocks <= panel_blocks blocks of 16 rows, each row by its address (the same row may be given
// more than once). Writes 16 * n_blocks * block_bytes bytes, nothing of the rows behind the panel is read.
void interleave_panel(DType dtype, const std::byte* const* rows, int64_t n_blocks, std::byte* out);

// One group: 16 rows of d columns, row_stride_bytes apart, to the same number of bytes at `out` (no overlap).
void interleave_group(DType dtype, const std::byte* rows, uint64_t row_stride_bytes, int64_t d, std::byte* out);

// Row r of a matrix in any layout, as it lies in the file: row_size_bytes() bytes to `out`.
void copy_row(const TensorView& view, int64_t r, std::byte* out);

}  // namespace watra::tensor
