#include "engine/internal/key_shift.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace watra::engine::internal {
namespace {

// Mean of e^(i p w) over p = 0 .. n-1.
struct Turn {
  double cos, sin;
};
Turn mean_turn(double w, double n) {
  const double half = std::sin(w / 2), ratio = std::fabs(half) < 1e-12 ? 1.0 : std::sin(n * w / 2) / (n * half);
  return {ratio * std::cos((n - 1) * w / 2), ratio * std::sin((n - 1) * w / 2)};
}

}  // namespace

Result<KeyShift> KeyShift::create(const model::HParams& hp, const KvTypes& types, const Residency& weights,
                                  MemoryBudget* budget) {
  KeyShift s;
  int64_t floats = 0;
  std::vector<const float*> biases;
  for (int i = 0; const auto& l : hp.layers) {
    const bool is_shifted = kernels::is_quantized(types.of(i).k) && hp.attention_softcap == 0 &&
                            !weights.layer(i, model::Role::attn_k_norm).vector;
    biases.push_back(is_shifted ? weights.layer(i, model::Role::attn_k).bias : nullptr);
    if (biases.back()) floats += int64_t{l.n_kv_heads} * l.d_head;
    ++i;
  }
  if (floats == 0) return s;
  WATRA_ASSIGN(s.memory_, Buffer::allocate(budget, "key shifts", static_cast<uint64_t>(floats) * sizeof(float)));
  float* at = s.memory_.as<float>();
  for (size_t i = 0; i < hp.layers.size(); ++i) {
    s.shifts_.push_back(biases[i] ? at : nullptr);
    if (biases[i]) at += int64_t{hp.layers[i].n_kv_heads} * hp.layers[i].d_head;
  }
  s.biases_ = std::move(biases);
  int32_t n_rot = 0;
  for (const auto& rope : hp.ropes) n_rot = std::max(n_rot, rope.n_rot);
  s.turns_.resize(static_cast<size_t>(n_rot));
  return s;
}

void shift_of_bias(const model::LayerHParams& layer, const model::RopeParams& rope,
                   const model::RopeParams::Table& table, const kernels::Kernels& kernels, const float* bias,
                   float* turns, float* shift) {
  float *cos = turns, *sin = turns + rope.n_rot / 2;
  for (size_t j = 0; j < table.inv_freq.size(); ++j) {
    const Turn turn = mean_turn(table.inv_freq[j], static_cast<double>(KeyShift::kPositions));
    cos[j] = static_cast<float>(-turn.cos * table.magnitude);
    sin[j] = static_cast<float>(-turn.sin * table.magnitude);
  }
  // The rotated pairs come out with the sign of cos and sin; the rest is turned round here.
  for (int64_t e = 0; e < int64_t{layer.n_kv_heads} * layer.d_head; ++e)
    shift[e] = e % layer.d_head < rope.n_rot ? bias[e] : -bias[e];
  kernels.rope(shift, layer.n_kv_heads, layer.d_head, rope.n_rot, rope.style, cos, sin);
}

void KeyShift::compute(const model::HParams& hp, std::span<const model::RopeParams::Table> tables,
                       const kernels::Kernels& kernels) {
  for (size_t i = 0; i < shifts_.size(); ++i) {
    const auto rope = static_cast<size_t>(hp.layers[i].rope);
    if (shifts_[i])
      shift_of_bias(hp.layers[i], hp.ropes[rope], tables[rope], kernels, biases_[i], turns_.data(), shifts_[i]);
  }
}

}  // namespace watra::engine::internal
