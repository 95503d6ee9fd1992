#include "engine/internal/work_ranges.h"

#include <gtest/gtest.h>

#include <numeric>
#include <thread>

namespace watra::engine::internal {
namespace {

// Seconds until the last member is done, each taking more as soon as it is free; speed = units a second.
struct Finish {
  double seconds;
  int n_takes;
};
Finish finish(int64_t n, const std::vector<double>& speeds) {
  const int n_members = static_cast<int>(speeds.size());
  WorkRanges ranges(n_members);
  std::vector<double> free_at(speeds.size(), 0.0);
  for (int n_takes = 0;; ++n_takes) {
    const auto next = std::min_element(free_at.begin(), free_at.end());
    const auto member = static_cast<size_t>(next - free_at.begin());
    const WorkRange r = ranges.take(n, static_cast<int>(member), n_members);
    if (r.is_empty()) return {*std::max_element(free_at.begin(), free_at.end()), n_takes};
    *next += static_cast<double>(r.end - r.begin) / speeds[member];
  }
}

TEST(WorkRanges, EveryUnitIsTakenOnce) {
  for (const int n_members : {1, 2, 7, 16})
    for (const int64_t n : {0, 1, 5, 16, 1000, 5000}) {
      WorkRanges ranges(n_members);
      std::vector<std::atomic<int>> taken(static_cast<size_t>(n));
      const auto take_all = [&](int member) {
        for (WorkRange r; !(r = ranges.take(n, member, n_members)).is_empty();)
          for (int64_t i = r.begin; i < r.end; ++i) ++taken[static_cast<size_t>(i)];
      };
      std::vector<std::thread> members;
      for (int m = 1; m < n_members; ++m) members.emplace_back(take_all, m);
      take_all(0);
      for (auto& t : members) t.join();
      for (const auto& t : taken) ASSERT_EQ(t.load(), 1) << n_members << " members, " << n << " units";
    }
}

TEST(WorkRanges, AMembersOwnUnitsLieInOnePiece) {
  WorkRanges ranges(4);
  const WorkRange own = WorkRanges::own(1000, 2, 4);
  EXPECT_EQ(own.begin, 500);
  EXPECT_EQ(own.end, 750);
  for (int64_t at = own.begin; at < own.end;) {
    const WorkRange r = ranges.take(1000, 2, 4);
    ASSERT_EQ(r.begin, at);
    ASSERT_EQ(r.own_end, own.end);
    at = r.end;
  }
}

TEST(WorkRanges, WhoIsDoneTakesFromTheEndOfOthers) {
  WorkRanges ranges(2);
  WorkRange r;
  while ((r = ranges.take(100, 0, 2)).begin < 50) ASSERT_EQ(r.own_end, 50);
  EXPECT_EQ(r.end, 100);
  EXPECT_EQ(r.own_end, 100) << "what lies behind belongs to nobody";
  EXPECT_GT(r.begin, 75) << "others' work is taken in small pieces";
  EXPECT_EQ(ranges.take(100, 1, 2).own_end, r.begin);
}

// Eight fast cores and four of 60 %; one core three times slower, because another program runs there.
TEST(WorkRanges, UnequalCoresFinishTogether) {
  for (const int n : {2, 4, 8, 12, 16})
    for (const int64_t units : {128, 512, 1792, 8016}) {
      std::vector<double> one_slow(static_cast<size_t>(n), 1e6), hybrid = one_slow;
      one_slow[0] /= 3;
      for (size_t i = hybrid.size() * 2 / 3; i < hybrid.size(); ++i) hybrid[i] *= 0.6;
      for (const auto& speeds : {one_slow, hybrid}) {
        const double ideal = static_cast<double>(units) / std::accumulate(speeds.begin(), speeds.end(), 0.0);
        // The last unit of a slow core is what cannot be helped.
        const double last = 1 / *std::min_element(speeds.begin(), speeds.end());
        EXPECT_LT(finish(units, speeds).seconds, 1.02 * ideal + last) << n << " members, " << units << " units";
      }
    }
}

TEST(WorkRanges, TakesAreFew) {
  EXPECT_LT(finish(8016, {1, 1}).n_takes, 60);
  EXPECT_LT(finish(8016, std::vector<double>(16, 1.0)).n_takes, 400);
  EXPECT_LT(finish(36, {1, 1}).n_takes, 20);
}

}  // namespace
}  // namespace watra::engine::internal
