// PassTimes: how long a pass over M rows takes here and now, learnt from the passes that are run anyway.
//
// Per M a running median; between measured M a line, beyond the largest the slope so far, doubled. What was never
// measured is taken from a curve that is worse than most kernels give, so that a draft is tried where it should pay
// well and its true cost is known afterwards; and it is tried in doublings (trusted_rows). A machine that becomes
// faster or slower as a whole (heat, a longer context, another program) is followed from every pass, whatever its M; a
// sudden change is believed the second time.
//
// Pure arithmetic, no clock. One thread. Nothing is allocated after construction.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace watra::engine {

class PassTimes {
 public:
  // Rows beyond max_rows are answered as max_rows.
  explicit PassTimes(int64_t max_rows = 128);

  void measured(int64_t n_rows, double seconds);

  // 0 before the first measurement. Never falls with n_rows.
  double seconds(int64_t n_rows) const;
  // seconds(n_rows) / seconds(1); before the first measurement that of the curve which is assumed.
  double ratio(int64_t n_rows) const;
  // A pass over about so many rows was measured.
  bool knows(int64_t n_rows) const { return points_[point_of(n_rows)].n > 0; }
  // Twice the most rows measured so far: what is known of larger passes is a guess that may cost much.
  int64_t trusted_rows() const { return 2 * std::max<int64_t>(most_measured_, 1); }
  // What was measured, and what another program that ran the same passes here had measured: believed like three passes
  // of each kind, so that one surprise makes room for the next.
  struct Known {
    int64_t n_rows;
    double seconds;
  };
  void known(std::vector<Known>& out) const;
  void assume(std::span<const Known> times);
  // Passes since one over a single row was measured.
  int64_t since_single() const { return since_single_; }

 private:
  static constexpr size_t kSamples = 9;  // odd; three wild ones of a busy machine do not move the median much
  struct Point {                         // an M, or a run of neighbouring large ones
    int64_t n_rows = 0;
    std::array<double, kSamples> samples{};  // ring, in units of scale_
    uint32_t n = 0;
    double median = 0;
    bool surprised = false;  // by the last pass
  };

  size_t point_of(int64_t n_rows) const;
  void rebuild() const;

  std::vector<Point> points_;
  double scale_ = 1;
  int64_t since_single_ = 0, most_measured_ = 0;
  mutable std::vector<double> seconds_;  // by n_rows - 1, in units of scale_
  mutable bool stale_ = true;
};

}  // namespace watra::engine
