#include "engine/slice_planner.h"

#include <algorithm>

namespace watra::engine {
namespace {

// Below this a pass costs what a pass over one row costs: a smaller slice would gain nothing.
constexpr int64_t kMinRows = 16;
// The first slice, when nothing is known: quick enough on a slow machine, and large enough to learn from.
constexpr int64_t kFirstRows = 128;
// Weight of the newest measurement: follows a busy machine within a few passes, without jumping at each hiccup.
constexpr double kNewest = 0.4;

void follow(double& mean, double value) { mean = mean == 0 ? value : mean + kNewest * (value - mean); }

}  // namespace

SlicePlanner::SlicePlanner(double decode_gap_s, double read_pass_s, int64_t max_rows)
    : decode_gap_s_(decode_gap_s), read_pass_s_(read_pass_s), max_rows_(max_rows) {}

int64_t SlicePlanner::slice_rows(int64_t n_decode) const {
  int64_t rows = kFirstRows;
  if (row_s_ > 0) {
    const double wanted = (n_decode > 0 ? decode_gap_s_ : read_pass_s_) / row_s_;
    rows = static_cast<int64_t>(std::min(wanted, static_cast<double>(2 * std::max(largest_, kMinRows))));
  }
  return std::min(std::max(rows, kMinRows), max_rows_ - n_decode);
}

void SlicePlanner::measured(int64_t n_decode, int64_t n_slice, double seconds) {
  if (n_slice == 0) return follow(decode_s_, seconds);
  if (n_slice < kMinRows) return;
  const double base = n_decode > 0 ? std::min(decode_s_, seconds) : 0;
  // Never free, or one lucky pass would ask for the largest slice there is.
  follow(row_s_, std::max(seconds - base, 0.01 * seconds) / static_cast<double>(n_slice));
  largest_ = std::max(largest_, n_slice);
}

}  // namespace watra::engine
