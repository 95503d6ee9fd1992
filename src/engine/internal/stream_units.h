// The streamed rows of compiled steps, cut into units of a slot's size, in the order in which a pass uses them.
#pragma once

#include "engine/internal/steps.h"

namespace watra::engine::internal {

// Whether two matrices have the same rows in RAM and the same on disk, so that a range of both can be finished
// together.
bool are_placed_alike(const LoadedWeight& a, const LoadedWeight& b);

// Fills stream_order, first_unit and every step's units. Units have about unit_bytes, the same number of rows each
// within a range of rows, a multiple of 16 but at its end. Where a step reads from several disks, their units take
// turns in proportion, so that all disks are busy all the time.
void order_units(CompiledGraph& graph, uint64_t unit_bytes);

}  // namespace watra::engine::internal
