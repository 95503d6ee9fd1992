// TeamSizer: how many members of a team to run while other programs want the processors too.
//
// A team whose members wait for each other is as slow as the one that was pushed off its processor: with one other busy
// program, n - 1 members that nobody disturbs are faster than n (docs/measurements.md). The sizer is told after every
// run how long its members were ready and not running; when that is so much of a processor, for so long, that fewer
// would have been faster, it leaves members out, and tries again with one more from time to time, ever more rarely
// while that fails.
//
// Pure arithmetic, no clocks and no system calls. Not thread-safe.
#pragma once

namespace watra {

class TeamSizer {
 public:
  explicit TeamSizer(int n_members) : most_(n_members), size_(n_members) {}

  int size() const { return size_; }  // members of the next run: 1..n_members

  // A run of size() members ended at now_s after wall_s; all members together were kept from running for lost_s.
  void ran(double now_s, double wall_s, double lost_s);

 private:
  int most_;
  int size_;
  bool on_trial_ = false;   // one more member than last known to be good
  int n_disturbed_ = 0;     // windows in a row
  double disturbed_s_ = 0;  // and how long they were
  double wall_s_ = 0, lost_s_ = 0;
  double next_trial_s_ = 0, pause_s_ = 0;
};

}  // namespace watra
