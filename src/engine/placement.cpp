#include "engine/placement.h"

#include <set>

#include "model/model.h"

namespace watra::engine {
namespace {

using checkpoint::TensorInfo;
using model::BoundWeight;

bool is_matrix(const TensorInfo& t) { return t.shape.rank() >= 2; }
uint64_t row_bytes(const TensorInfo& t) { return tensor::row_bytes(t.dtype, t.shape.cols()); }
uint64_t vector_bytes(const TensorInfo& t) { return static_cast<uint64_t>(t.shape.elements()) * sizeof(float); }

// Every tensor that some role reads, once.
std::set<const TensorInfo*> bound_tensors(const model::Model& model) {
  std::set<const TensorInfo*> tensors;
  const auto add_all = [&](const model::RoleWeights& roles) {
    for (const BoundWeight& w : roles) tensors.insert({w.tensor, w.bias});
  };
  add_all(model.globals());
  for (int l = 0; l < model.hparams().n_layers; ++l) add_all(model.layer(l));
  tensors.erase(nullptr);
  return tensors;
}

uint64_t vector_bytes_on(const model::Model& model, const Placement& placement, Tier tier) {
  uint64_t bytes = 0;
  for (const TensorInfo* t : bound_tensors(model)) {
    if (is_matrix(*t)) continue;
    const auto named = placement.tensors.find(t->name);
    const Tier is_on = named == placement.tensors.end() ? Tier::ram : named->second.front().tier;
    if (is_on == tier) bytes += vector_bytes(*t);
  }
  return bytes;
}

uint64_t matrix_bytes_on(const model::Model& model, const Placement& placement, Tier tier, const TensorInfo* except) {
  uint64_t bytes = 0;
  for (const TensorInfo* t : bound_tensors(model)) {
    if (t == except || !is_matrix(*t)) continue;
    const auto named = placement.tensors.find(t->name);
    if (named == placement.tensors.end()) {
      bytes += tier == Tier::ram ? t->size_bytes : 0;
      continue;
    }
    for (const RowRange& r : named->second)
      if (r.tier == tier) bytes += static_cast<uint64_t>(r.end - r.begin) * row_bytes(*t);
  }
  return bytes;
}

}  // namespace

uint64_t ram_weight_bytes(const model::Model& model, const Placement& placement) {
  return vector_bytes_on(model, placement, Tier::ram) + matrix_bytes_on(model, placement, Tier::ram, nullptr);
}

uint64_t device_weight_bytes(const model::Model& model, const Placement& placement) {
  return vector_bytes_on(model, placement, Tier::vram) + matrix_bytes_on(model, placement, Tier::vram, nullptr);
}

uint64_t streamed_bytes(const model::Model& model, const Placement& placement) {
  return matrix_bytes_on(model, placement, Tier::disk, model.gathered_table());
}

}  // namespace watra::engine
