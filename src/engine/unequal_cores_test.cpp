// A pass over cores of unequal speed: processors with fast and efficient cores, or another program on one of them.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>

#include "engine/forward.h"
#include "engine/residency.h"
#include "model/synthetic.h"

namespace watra::engine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMembers = 4;
constexpr std::chrono::microseconds kGroupTime{60};  // a fast core's time for a group of rows

// The kernels of this machine, on cores that are given: a member sleeps as long as its core would work. The team's
// caller is on a core that is three times slower.
struct SlowedCores {
  const kernels::Kernels* real = nullptr;
  std::thread::id slow;
  std::array<std::atomic<int64_t>, 2> groups{}, worked_ns{};  // of fast cores, of the slow one

  void work(int64_t n_rows) {
    const bool is_slow = std::this_thread::get_id() == slow;
    const int64_t n = (n_rows + kernels::kRowGroup - 1) / kernels::kRowGroup;
    const auto begin = Clock::now();
    std::this_thread::sleep_for(n * kGroupTime * (is_slow ? 3 : 1));
    const auto took = Clock::now() - begin;
    ThreadTeam::slept(took);  // not waiting for a processor
    groups[is_slow] += n;
    worked_ns[is_slow] += std::chrono::nanoseconds(took).count();
  }
  // Rows a second: a sleep takes as long as the machine lets it.
  double rate(int kind) const {
    return static_cast<double>(groups[kind]) / (1e-9 * static_cast<double>(worked_ns[kind]));
  }
} cores;

void slowed_matmul(const kernels::MatmulArgs& a, int64_t row_begin, int64_t row_end, std::byte* scratch) {
  cores.real->matmul(a, row_begin, row_end, scratch);
  cores.work(row_end - row_begin);
}

std::unique_ptr<Forward> load(const kernels::Kernels& k) {
  std::unique_ptr<Forward> out;
  const auto loaded = [&]() -> Status {
    WATRA_ASSIGN(auto file, model::synthetic_checkpoint("smollm2-135m:q4_0"));
    WATRA_ASSIGN(const auto m, model::Model::from(std::move(file)));
    auto team = std::make_shared<ThreadTeam>(kMembers);
    WATRA_ASSIGN(std::shared_ptr<const Residency> weights, Residency::load(m, *team, nullptr, {}));
    WATRA_ASSIGN(out, Forward::create(m, weights, team, k, {.n_ctx = 256, .max_rows = 4}));
    return {};
  }();
  if (!loaded) ADD_FAILURE() << loaded.error().to_string();
  return out;
}

std::vector<float> logits_of_pass(Forward& f) {
  const SequenceId s = f.kv().add();
  const std::vector<TokenId> tokens = {5, 17, 3};
  Batch batch;
  batch.add_chain(s, tokens.data(), tokens.size(), true);
  EXPECT_TRUE(f.run(batch));
  const auto row = f.logits(0);
  f.kv().remove(s);
  return {row.begin(), row.end()};
}

TEST(UnequalCores, APassWaitsForTheSlowOneOnlyAtTheEndsOfSteps) {
  cores.real = kernels::available().back();
  kernels::Kernels slowed = *cores.real;
  slowed.matmul = slowed_matmul;
  cores.slow = std::this_thread::get_id();
  const auto equal = load(*cores.real), unequal = load(slowed);
  ASSERT_TRUE(equal && unequal);
  const std::vector<float> expected = logits_of_pass(*equal);

  double best = 1e9;  // other programs slow cores down too
  for (int round = 0; round < 8 && best > 1.3; ++round) {
    for (int kind = 0; kind < 2; ++kind) cores.groups[kind] = cores.worked_ns[kind] = 0;
    const auto begin = Clock::now();
    EXPECT_EQ(logits_of_pass(*unequal), expected) << "who computes a row does not change its bits";
    const double took = std::chrono::duration<double>(Clock::now() - begin).count();
    const double all = static_cast<double>(cores.groups[0] + cores.groups[1]);
    best = std::min(best, took * ((kMembers - 1) * cores.rate(0) + cores.rate(1)) / all);
    EXPECT_GT(cores.groups[0], 2 * (kMembers - 1) * cores.groups[1]) << "a fast core takes more than twice as much";
  }
  EXPECT_LT(best, 1.3) << "times the ideal; equal shares would take 2.5 times it";
}

}  // namespace
}  // namespace watra::engine
