// KeyShift: what every key of a layer loses before it is stored quantized (docs/decisions/0013).
//
// Taking the same vector off all keys of a head moves all scores of a query alike, and softmax does not see it (a
// softcap would). So what keys have in common need not be stored. Where they have a bias (Qwen 2) that is most of them:
// in the slow pairs of RoPE it is up to a hundred times as large as the rest, hardly turns, and sets the scale of every
// block.
//
//   shift = - mean over kPositions of RoPE(bias)
//
// Room is taken by create(); compute() once the weights are there, before the first pass.
#pragma once

#include <vector>

#include "base/memory.h"
#include "engine/kv_types.h"
#include "engine/residency.h"

namespace watra::engine::internal {

// The shift of one layer, [n_kv_heads * d_head]. turns: room for n_rot floats.
void shift_of_bias(const model::LayerHParams& layer, const model::RopeParams& rope,
                   const model::RopeParams::Table& table, const kernels::Kernels& kernels, const float* bias,
                   float* turns, float* shift);

class KeyShift {
 public:
  // Fixed, so that stored keys do not depend on the context asked for. More would be worth less to the first positions,
  // fewer to the last of a context of usual length.
  static constexpr int64_t kPositions = 4096;

  static Result<KeyShift> create(const model::HParams& hp, const KvTypes& types, const Residency& weights,
                                 MemoryBudget* budget);
  bool needed() const { return !shifts_.empty(); }
  // tables: of HParams::ropes, for the context at hand.
  void compute(const model::HParams& hp, std::span<const model::RopeParams::Table> tables,
               const kernels::Kernels& kernels);
  // [n_kv_heads * d_head] to add to a layer's keys after RoPE; null = nothing.
  const float* of(int layer) const { return needed() ? shifts_[static_cast<size_t>(layer)] : nullptr; }

 private:
  Buffer memory_;
  std::vector<float*> shifts_;        // by layer
  std::vector<const float*> biases_;  // by layer
  std::vector<float> turns_;          // mean cos and mean sin of a rope's pairs
};

}  // namespace watra::engine::internal
