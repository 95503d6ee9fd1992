#include "base/team_sizer.h"

#include <algorithm>
#include <cmath>

namespace watra {
namespace {

// Several time slices of a scheduler: shorter, and a passing interrupt would look like a busy program.
constexpr double kWindowS = 0.02;
// Lost processors above which a member is left out: a busy program takes half of one or more, system services little.
constexpr double kMuch = 0.25;
// While one member is missing all stand, so a team of n that loses less than 1/n of a processor is still faster than
// n - 1 that lose nothing: of two members one is the half. A little less than that, for a program that shares its
// processor with one of two members takes just a half.
constexpr double kWorthAMember = 0.8;
// Disturbed windows in a row, and for how long, that make a busy program of a passing disturbance: a browser that
// paints the next words is busy for some 50 ms at a time, a few times a second.
constexpr int kInARow = 2;
constexpr double kSustainedS = 0.1;
// Until the next trial: doubled with every one that fails.
constexpr double kFirstPauseS = 0.1, kLongestPauseS = 4;
// A trial that fails costs about half of a window: in the end, one window in so many is one.
constexpr double kWindowsPerTrial = 20;

}  // namespace

void TeamSizer::ran(double now_s, double wall_s, double lost_s) {
  if (most_ == 1) return;
  wall_s_ += wall_s;
  lost_s_ += lost_s;
  if (wall_s_ < kWindowS) return;
  const double lost = lost_s_ / wall_s_, window_s = wall_s_;
  wall_s_ = lost_s_ = 0;
  const bool disturbed = lost > std::max(kMuch, kWorthAMember / size_);
  n_disturbed_ = disturbed ? n_disturbed_ + 1 : 0;
  disturbed_s_ = disturbed ? disturbed_s_ + window_s : 0;
  const bool sustained = n_disturbed_ >= kInARow && disturbed_s_ >= kSustainedS;
  if (size_ > 1 && disturbed && (on_trial_ || sustained)) {
    pause_s_ = on_trial_ ? std::min(2 * pause_s_, std::max(kLongestPauseS, kWindowsPerTrial * window_s)) : kFirstPauseS;
    next_trial_s_ = now_s + pause_s_;
    size_ = std::max(1, size_ - std::max(1, static_cast<int>(std::lround(lost))));
    on_trial_ = false;
    n_disturbed_ = 0;
    disturbed_s_ = 0;
    return;
  }
  if (on_trial_) next_trial_s_ = now_s;  // good so far: the next one may come too
  on_trial_ = false;
  if (size_ < most_ && n_disturbed_ == 0 && now_s >= next_trial_s_) {
    ++size_;
    on_trial_ = true;
  }
}

}  // namespace watra
