// Ranges of output rows, in the order in which they lie: the units that the members of a team share out (WorkRanges).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/internal/steps.h"

namespace watra::engine::internal {

struct ProductRows {
  int64_t rows;
  uint64_t row_bytes;
  int32_t linear = 0, part = 0;  // as the chunks shall name them
};

// Chunks of about the same number of bytes, of all products of a step, in order. They begin at multiples of
// kernels::kRowGroup.
std::vector<Chunk> cut_rows(std::span<const ProductRows> products);

}  // namespace watra::engine::internal
