// Residency: a model's weights, where the plan wants them. For now: all in RAM.
//
// reserve() finds a place for every weight and counts it against the budget; read() fills the places, repacking on the
// way. In between everything that points at weights can be built, so that what does not fit is known before the first
// byte is read. Matrices keep their file format, in 16 interleaved rows or as they lie; norms and biases become f32.
// Immutable after read(); views stay valid as long as the object lives.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "base/memory.h"
#include "base/thread_team.h"
#include "engine/internal/read_plan.h"
#include "model/model.h"
#include "tensor/tensor.h"

namespace watra::engine {

struct LoadedWeight {
  tensor::TensorView matrix;      // role's rows
  const float* vector = nullptr;  // norms: [cols]
  const float* bias = nullptr;    // [rows] or null
};
using LoadedWeights = std::array<LoadedWeight, model::kRoles>;

struct LoadReport {
  double seconds = 0;
  uint64_t bytes = 0;
  double gb_s() const { return seconds > 0 ? static_cast<double>(bytes) / seconds / 1e9 : 0; }
};

struct ResidencyOptions {
  // Matrices of at least 16 rows whose type has a plan (tensor/interleave.h) are stored as Layout::interleaved_16. Left
  // as they lie: a table that is only gathered, and a fused matrix whose slices do not begin at multiples of 16 rows.
  bool interleave = false;
};

class Residency {
 public:
  // progress(done_bytes, total_bytes) is called from one thread at a time, a few times a second at most.
  using Progress = std::function<void(uint64_t, uint64_t)>;

  // Errors: "memory.over_budget", "memory.refused".
  static Result<std::unique_ptr<Residency>> reserve(std::shared_ptr<const model::Model> model, MemoryBudget* budget,
                                                    const ResidencyOptions& options = {});
  // staging_bytes: memory for what was read and not placed yet, besides the budget; 0 = as much as a fast disk wants.
  // Errors: "file.io", "file.short_read", "memory.refused". Once.
  Status read(ThreadTeam& team, const Progress& progress = {}, uint64_t staging_bytes = 0);
  // Both.
  static Result<std::unique_ptr<Residency>> load(std::shared_ptr<const model::Model> model, ThreadTeam& team,
                                                 MemoryBudget* budget, const Progress& progress = {},
                                                 const ResidencyOptions& options = {});

  const LoadedWeight& global(model::Role r) const { return globals_[static_cast<size_t>(r)]; }
  const LoadedWeight& layer(int i, model::Role r) const {
    return layers_[static_cast<size_t>(i)][static_cast<size_t>(r)];
  }
  const LoadReport& report() const { return report_; }

 private:
  template <class Fn>  // fn(const model::BoundWeight&, LoadedWeight&)
  void for_all(Fn&& fn);

  std::shared_ptr<const model::Model> model_;
  Buffer weights_, vectors_;
  std::vector<internal::PlacedTensor> places_;
  LoadedWeights globals_{};
  std::vector<LoadedWeights> layers_;
  LoadReport report_;
};

}  // namespace watra::engine
