#include "base/thread_team.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <numeric>

namespace watra {
namespace {

TEST(ThreadTeam, EveryMemberRunsOncePerRun) {
  for (const int n : {1, 2, 3, 8}) {
    ThreadTeam team(n);
    std::vector<std::atomic<int>> calls(static_cast<size_t>(n));
    for (int round = 0; round < 200; ++round) team.run([&](int rank) { ++calls[static_cast<size_t>(rank)]; });
    for (auto& c : calls) EXPECT_EQ(c.load(), 200);
  }
}

TEST(ThreadTeam, NobodyPassesABarrierEarly) {
  ThreadTeam team(4);
  std::atomic<int> arrived{0};
  std::atomic<bool> early{false};
  team.run([&](int) {
    for (int round = 1; round <= 500; ++round) {
      ++arrived;
      team.barrier();
      if (arrived.load() < 4 * round) early = true;
      team.barrier();
    }
  });
  EXPECT_FALSE(early);
  EXPECT_EQ(arrived.load(), 2000);
}

TEST(ThreadTeam, ParallelForCoversTheRangeOnce) {
  ThreadTeam team(3);
  for (const int64_t n : {0, 1, 7, 1000}) {
    std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
    team.parallel_for(n, 4, [&](int64_t b, int64_t e) {
      for (; b < e; ++b) ++seen[static_cast<size_t>(b)];
    });
    for (auto& s : seen) EXPECT_EQ(s.load(), 1);
  }
}

TEST(ThreadTeam, FastMembersTakeMoreWork) {
  ThreadTeam team(2);
  std::vector<int64_t> done(2);
  std::atomic<int64_t> next{0};
  team.run([&](int rank) {  // member 0 is four times slower
    while (next.fetch_add(1) < 100) {
      std::this_thread::sleep_for(std::chrono::milliseconds(rank == 0 ? 4 : 1));
      ++done[static_cast<size_t>(rank)];
    }
  });
  EXPECT_EQ(done[0] + done[1], 100);
  EXPECT_GT(done[1], done[0]);
}

TEST(ThreadTeam, SleepsBetweenRuns) {
  ThreadTeam team(2);
  team.run([](int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.1)
      << "a waiting team must not burn the processor";
}

}  // namespace
}  // namespace watra
