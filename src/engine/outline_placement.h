// Where a model's weights go when they do not fit one tier. Pure; used by make_plan(). load_model() does not place by
// it yet but by balanced_placement() (placement.h), which knows opened models; both follow the same rules for the disk.
//
// The card gets whole layers, the first ones first (their keys and values go with them), of mixtures the dense parts of
// all layers before any experts. What is left for the processor lies in RAM as far as it fits; of the rest every layer
// leaves an equal share on the disk, so that reading overlaps evenly with computing. Norms, biases and small matrices
// always stay, a table of which each token reads one row goes to the disk first: it costs no time there.
#pragma once

#include <cstdint>
#include <span>

#include "engine/placement.h"
#include "model/outline.h"

namespace watra::engine {

struct PlaceLimits {
  uint64_t vram_bytes = 0;  // for weights and for the keys and values of the layers that lie there
  uint64_t ram_bytes = UINT64_MAX;
  uint64_t kv_bytes_per_layer = 0;     // of the largest layer, at the planned context
  std::span<const double> disk_rates;  // GB/s; rows are shared out in proportion. Empty = no disk
};

struct PlacedOutline {
  Placement placement;
  uint64_t vram_bytes = 0, ram_bytes = 0, disk_bytes = 0;  // of weights
  int32_t n_gpu_layers = 0;  // layers that lie on the card as a whole, with their keys and values
  // False: more than RAM may hold, and no disk to leave it on (all of it is counted as RAM).
  bool fits = true;
};

PlacedOutline place_outline(const model::ModelOutline& outline, const PlaceLimits& limits);

// Without a card: `ram_bytes` for weights, the rest on the disks.
Placement place_within(const model::ModelOutline& outline, uint64_t ram_bytes, std::span<const double> disk_rates);

}  // namespace watra::engine
