// Where a model's weights go when they do not fit one tier: the one answer, which make_plan() decides by, watra plan
// prints and load_model() carries out. Pure; same input, same result.
//
// The card gets whole layers, the first ones first (their keys and values go with them), of mixtures the dense parts of
// all layers before any experts. What is left for the processor lies in RAM as far as it fits; the rest stays on disk,
// balanced so that reading always has computing to hide behind (docs/decisions/0009):
//   - norms and biases stay in RAM, and so do the matrices of which less than a good read would be streamed;
//   - a table of which each token reads one row goes to disk first: it costs no time there; experts go before dense
//     matrices: a token reads few of them;
//   - of every other matrix the same share stays, rounded to 16 rows; two that are finished together (gate and up) are
//     cut alike, and each role's slice of a fused matrix is cut by itself;
//   - rows on disk are shared out in proportion to the disks' rates.
#pragma once

#include <cstdint>
#include <span>

#include "engine/placement.h"
#include "model/outline.h"

namespace watra::engine {

struct PlaceLimits {
  uint64_t vram_bytes = 0;     // for weights, and for keys and values of the layers that lie there, beyond:
  uint64_t vram_kv_bytes = 0;  // for keys and values alone
  uint64_t ram_bytes = UINT64_MAX;
  uint64_t kv_bytes_per_layer = 0;     // of the largest layer, at the planned context
  std::span<const double> disk_rates;  // any unit, by disk; empty = no disk
};

struct PlacedOutline {
  Placement placement;
  uint64_t vram_bytes = 0, ram_bytes = 0, disk_bytes = 0;  // of weights
  int32_t n_gpu_layers = 0;  // layers that lie on the card as a whole, with their keys and values
  // False: more than RAM may hold, and no disk to leave it on (all of it is counted as RAM), or norms and biases alone
  // are more.
  bool fits = true;
};

PlacedOutline place_outline(const model::ModelOutline& outline, const PlaceLimits& limits);

}  // namespace watra::engine
