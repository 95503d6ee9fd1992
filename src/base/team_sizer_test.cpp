#include "base/team_sizer.h"

#include <gtest/gtest.h>

namespace watra {
namespace {

constexpr double kPassS = 0.005;

// A machine of n_cpus on which n_busy other programs run: what a pass costs and what its members lose.
struct Machine {
  int n_cpus, n_busy;
  double now_s = 0;
  int smallest = 1 << 30, n_runs = 0, n_full = 0;

  void run(TeamSizer& sizer, double seconds, int full) {
    for (const double end = now_s + seconds; now_s < end;) {
      const int n = sizer.size();
      const double missing = std::max(0, n + n_busy - n_cpus) * static_cast<double>(n) / (n + n_busy);
      now_s += kPassS;
      ++n_runs;
      n_full += n == full;
      smallest = std::min(smallest, n);
      sizer.ran(now_s, kPassS, kPassS * missing);
    }
  }
};

TEST(TeamSizer, AloneAllMembersRun) {
  TeamSizer sizer(8);
  Machine m{8, 0};
  m.run(sizer, 10, 8);
  EXPECT_EQ(m.smallest, 8);
}

TEST(TeamSizer, GivesWayToABusyProgramAndComesBack) {
  for (const int n : {2, 8}) {
    TeamSizer sizer(n);
    Machine m{n, 1};
    m.run(sizer, 0.15, n);
    EXPECT_EQ(sizer.size(), n - 1) << "after some passes";
    Machine later{n, 1, m.now_s};
    later.run(sizer, 30, n);
    EXPECT_LT(later.n_full, later.n_runs / 20) << "trials are rare";
    EXPECT_GT(later.n_full, 0) << "but do not end";
    Machine free{n, 0, later.now_s};
    free.run(sizer, 5, n);
    EXPECT_EQ(sizer.size(), n) << "back within seconds after the other program ended";
  }
}

TEST(TeamSizer, FindsTheFreeProcessorsOfACrowdedMachine) {
  TeamSizer sizer(16);
  Machine m{8, 3};
  m.run(sizer, 2, 16);
  EXPECT_LE(sizer.size(), 6);
  EXPECT_GE(sizer.size(), 4);
}

TEST(TeamSizer, OneMemberAlwaysRuns) {
  for (const int n : {1, 2}) {
    TeamSizer sizer(n);
    Machine m{1, 5};
    m.run(sizer, 3, n);
    EXPECT_GE(m.smallest, 1);
  }
}

TEST(TeamSizer, APassingDisturbanceIsForgotten) {
  TeamSizer sizer(4);
  double now = 0;
  for (int i = 0; i < 2000; ++i) {
    now += kPassS;
    sizer.ran(now, kPassS, i % 50 == 0 ? 0.01 : 0);  // two time slices, four times a second
    EXPECT_EQ(sizer.size(), 4);
  }
}

// A page that is drawn by the processor: busy for 60 ms, four times a second, on one processor.
TEST(TeamSizer, ABrowserThatPaintsNowAndThenLeavesTheTeamWhole) {
  for (const int n : {2, 3, 8}) {
    TeamSizer sizer(n);
    double now = 0;
    for (int i = 0; i < 2000; ++i) {
      now += kPassS;
      sizer.ran(now, kPassS, i % 50 < 12 ? 0.9 * kPassS : 0);
      ASSERT_EQ(sizer.size(), n) << "pass " << i;
    }
  }
}

TEST(TeamSizer, TwoMembersThatLoseLessThanOneIsWorthStay) {
  TeamSizer sizer(2);
  double now = 0;
  for (int i = 0; i < 2000; ++i) {
    now += kPassS;
    sizer.ran(now, kPassS, 0.35 * kPassS);
    ASSERT_EQ(sizer.size(), 2) << "pass " << i;
  }
}

TEST(TeamSizer, LongPassesAreTriedRarely) {
  TeamSizer sizer(2);
  double now = 0;
  int n_full = 0;
  for (int i = 0; i < 400; ++i) {  // passes of half a second
    now += 0.5;
    n_full += sizer.size() == 2;
    sizer.ran(now, 0.5, sizer.size() == 2 ? 0.3 : 0);
  }
  EXPECT_LE(n_full, 32);
}

}  // namespace
}  // namespace watra
