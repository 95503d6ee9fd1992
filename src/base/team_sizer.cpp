#include "base/team_sizer.h"

#include <algorithm>
#include <cmath>

namespace watra {
namespace {

// Several time slices of a scheduler: shorter, and a passing interrupt would look like a busy program.
constexpr double kWindowS = 0.02;
// Lost processors above which a member is left out: a busy program takes half of one or more, system services little.
constexpr double kMuch = 0.25;
// Disturbed windows in a row that make a busy program of a passing disturbance.
constexpr int kInARow = 2;
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
  n_disturbed_ = lost > kMuch ? n_disturbed_ + 1 : 0;
  if (size_ > 1 && n_disturbed_ >= (on_trial_ ? 1 : kInARow)) {
    pause_s_ = on_trial_ ? std::min(2 * pause_s_, std::max(kLongestPauseS, kWindowsPerTrial * window_s)) : kFirstPauseS;
    next_trial_s_ = now_s + pause_s_;
    size_ = std::max(1, size_ - std::max(1, static_cast<int>(std::lround(lost))));
    on_trial_ = false;
    n_disturbed_ = 0;
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
