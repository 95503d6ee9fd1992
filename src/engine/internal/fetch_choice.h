// FetchChoice: how far ahead a model's products fetch weights, found out while it decodes.
//
// Passes that teach take turns: in pass p layer l fetches as candidate (l + p) mod n says, and the least of kRounds
// times is kept. So every candidate has run every layer: beside the others in time, with the weights, threads and
// memory that count. From then on the one with the least sum is used; until then other passes use the first. A wrong
// choice costs time and changes no result.
//
// Threads: of() from any while none of the others runs; those from one.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kernels/ops.h"

namespace watra::engine::internal {

class FetchChoice {
 public:
  explicit FetchChoice(int n_layers = 0) : layers_(static_cast<size_t>(n_layers)) {
    for (auto& times : layers_) times.fill(std::numeric_limits<double>::infinity());
  }

  bool is_made() const { return n_taught_ >= kRounds * kCandidates; }
  // How layer `layer`'s products fetch in the pass at hand; the output matrix counts as the layer behind the last.
  const kernels::FetchAhead& of(int layer) const {
    return kernels::kFetchAheads[teaches_ ? candidate(layer) : chosen_];
  }

  // teaches: every layer of this pass is computed from RAM, and its time told.
  void begin_pass(bool teaches) { teaches_ = teaches && !is_made(); }
  bool teaches() const { return teaches_; }
  void took(int layer, double seconds) {
    double& least = layers_[static_cast<size_t>(layer)][candidate(layer)];
    least = std::min(least, seconds);
  }
  // Of a pass that came to its end; one that did not is done again.
  void end_pass() {
    if (!teaches_) return;
    teaches_ = false;
    ++n_taught_;
    if (!is_made()) return;
    std::array<double, kCandidates> sums{};
    for (const auto& times : layers_)
      for (size_t c = 0; c < kCandidates; ++c) sums[c] += times[c];
    chosen_ = static_cast<size_t>(std::min_element(sums.begin(), sums.end()) - sums.begin());
  }

 private:
  static constexpr size_t kCandidates = std::size(kernels::kFetchAheads);
  static constexpr size_t kRounds = 3;  // one time in three is undisturbed, on machines that others use too

  size_t candidate(int layer) const { return (static_cast<size_t>(layer) + n_taught_) % kCandidates; }

  std::vector<std::array<double, kCandidates>> layers_;
  size_t n_taught_ = 0, chosen_ = 0;
  bool teaches_ = false;
};

}  // namespace watra::engine::internal
