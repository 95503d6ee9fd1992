// Residency: a model's weights, where the plan wants them. For now: all in RAM, read in parallel straight into place.
//
// Matrices keep their file format (raw row layout); norms and biases become f32. Immutable after load(); views stay
// valid as long as the object lives.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/memory.h"
#include "base/thread_team.h"
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

class Residency {
 public:
  // progress(done_bytes, total_bytes) is called from one thread at a time, a few times a second at most.
  using Progress = std::function<void(uint64_t, uint64_t)>;
  static Result<std::unique_ptr<Residency>> load(std::shared_ptr<const model::Model> model, ThreadTeam& team,
                                                 MemoryBudget* budget, const Progress& progress = {});

  const LoadedWeight& global(model::Role r) const { return globals_[static_cast<size_t>(r)]; }
  const LoadedWeight& layer(int i, model::Role r) const {
    return layers_[static_cast<size_t>(i)][static_cast<size_t>(r)];
  }
  const LoadReport& report() const { return report_; }

 private:
  std::shared_ptr<const model::Model> model_;
  Buffer weights_, vectors_;
  LoadedWeights globals_{};
  std::vector<LoadedWeights> layers_;
  LoadReport report_;
};

}  // namespace watra::engine
