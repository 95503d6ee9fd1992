// Ranges of output rows that the members of a team claim one after the other.
//
// They shrink towards the end: each is a third of what one member would get if the rest were shared out evenly. So
// there are few claims, and a member that is three times slower than the others (an efficient core, a core shared with
// another program) still ends within a few percent of the ideal time with them.
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

// Chunks of all products of a step, in order. Ranges begin at multiples of kernels::kRowGroup.
std::vector<Chunk> cut_rows(std::span<const ProductRows> products, int n_threads);

}  // namespace watra::engine::internal
