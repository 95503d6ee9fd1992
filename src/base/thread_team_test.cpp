#include "base/thread_team.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <array>
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

TEST(ThreadTeam, WhoWaitsAtABarrierMayDoSomethingMeanwhile) {
  ThreadTeam team(3);
  std::atomic<int> arrived{0}, n_idle{0};
  std::atomic<bool> early{false}, too_often{false};
  team.run([&](int rank) {
    for (int round = 1; round <= 200; ++round) {
      if (rank == 0 && round % 20 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ++arrived;
      int left = 5;
      team.barrier([&] {
        if (left == 0) too_often = true;
        ++n_idle;
        return --left > 0;
      });
      if (arrived.load() < 3 * round) early = true;
      team.barrier();
    }
  });
  EXPECT_FALSE(early);
  EXPECT_FALSE(too_often) << "called again after it had nothing to do";
  EXPECT_GT(n_idle.load(), 0);
  EXPECT_LE(n_idle.load(), 200 * 2 * 5) << "the last to come does not wait";
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

// One core three times slower than the others: nobody waits long for it at the end. The best of several rounds, since
// other programs slow cores down too.
TEST(ThreadTeam, UnequalCoresFinishTogether) {
  constexpr int kMembers = 4, kUnits = 160;
  constexpr std::chrono::microseconds kUnit{2000};
  ThreadTeam team(kMembers);
  double best = 1e9;
  for (int round = 0; round < 20 && best > 1.25; ++round) {
    std::vector<int> n_done(kMembers);
    std::vector<double> worked(kMembers);  // seconds: a sleep takes as long as the machine lets it
    std::atomic<int> next{0};
    const auto seconds_since = [](auto begin) {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    const auto begin = std::chrono::steady_clock::now();
    team.run([&](int rank) {
      const auto at = static_cast<size_t>(rank);
      const auto since = std::chrono::steady_clock::now();
      while (next.fetch_add(1) < kUnits) {
        std::this_thread::sleep_for(rank == 0 ? 3 * kUnit : kUnit);
        ++n_done[at];
      }
      worked[at] = seconds_since(since);
      team.barrier();
    });
    const double took = seconds_since(begin);
    EXPECT_EQ(std::accumulate(n_done.begin(), n_done.end(), 0), kUnits);
    double per_second = 0;
    for (size_t at = 0; at < worked.size(); ++at) per_second += n_done[at] / worked[at];
    best = std::min(best, took * per_second / kUnits);
  }
  EXPECT_LT(best, 1.25) << "times the ideal; equal shares would take 2.5 times it";
}

TEST(ThreadTeam, ClaimedRunsMayLeaveMembersOutButDoAllTheWork) {
  ThreadTeam team(16);  // more than most test machines have: members wait for processors
  for (int round = 0; round < 300; ++round) {
    std::array<std::atomic<int>, 3> next{}, done{};
    std::atomic<bool> wrong_rank{false}, early{false};
    team.run_claimed([&](int rank) {
      if (rank < 0 || rank >= team.size()) wrong_rank = true;
      for (size_t phase = 0; phase < next.size(); ++phase) {
        while (next[phase].fetch_add(1) < 40) ++done[phase];
        team.barrier();
        if (done[phase].load() != 40) early = true;
      }
    });
    for (auto& d : done) ASSERT_EQ(d.load(), 40);
    ASSERT_FALSE(wrong_rank || early);
  }
  std::atomic<int> n_called{0};
  team.run([&](int) { ++n_called; });
  EXPECT_EQ(n_called.load(), 16) << "run() always takes all";
}

TEST(ThreadTeam, MembersAreBoundWhereTheyAreTold) {
  const int cpu = ::sched_getcpu();
  std::thread([&] {  // a thread of its own: the caller is bound too
    ThreadTeam team(3, {.cpus = {cpu}});
    std::atomic<int> elsewhere{0};
    for (int i = 0; i < 20; ++i) team.run([&](int) { elsewhere += ::sched_getcpu() != cpu; });
    EXPECT_EQ(elsewhere.load(), 0);
  })
      .join();
  ThreadTeam odd(2, {.cpus = {100'000}});
  std::atomic<int> n{0};
  odd.run([&](int) { ++n; });
  EXPECT_EQ(n.load(), 2) << "a processor that does not exist is not an obstacle";
}

TEST(ThreadTeam, TheDefaultIsAtLeastOneAndAtMostTheLogicalProcessors) {
  EXPECT_GE(default_thread_count(), 1);
  EXPECT_LE(default_thread_count(), static_cast<int>(std::thread::hardware_concurrency()));
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
