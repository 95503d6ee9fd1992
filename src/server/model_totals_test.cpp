#include "server/model_totals.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace watra::server {
namespace {

struct Counting {
  std::atomic<int64_t> n{0};
  engine::SchedulerStats stats() const {
    return {.n_running = 1,
            .n_requests = n,
            .n_read = 2 * n,
            .writing_s = 0.5 * static_cast<double>(n),
            .n_tokens_most = n};
  }
};

TEST(ModelTotals, KeepWhatModelsThatLeftHaveDone) {
  const auto totals = std::make_shared<ModelTotals>();
  EXPECT_EQ(totals->sum().n_requests, 0);
  auto first = ModelTotals::counted(totals, std::make_shared<Counting>());
  first->n = 5;
  EXPECT_EQ(totals->sum().n_read, 10);
  EXPECT_EQ(totals->sum().n_running, 1);
  const auto finishing = first;  // somebody's last answer
  first.reset();
  auto second = ModelTotals::counted(totals, std::make_shared<Counting>());
  second->n = 3;
  finishing->n = 6;
  EXPECT_EQ(totals->sum().n_requests, 9);
  EXPECT_EQ(totals->sum().n_running, 2);
  second.reset();
  EXPECT_EQ(totals->sum().n_requests, 9);
  EXPECT_DOUBLE_EQ(totals->sum().writing_s, 4.5);
  EXPECT_EQ(totals->sum().n_tokens_most, 6);
  EXPECT_EQ(totals->sum().n_running, 1);
}

TEST(ModelTotals, NeverGoBack) {
  const auto totals = std::make_shared<ModelTotals>();
  std::atomic<bool> end{false};
  int64_t last = 0;
  bool went_back = false;
  std::thread looking([&] {
    while (!end) {
      const int64_t now = totals->sum().n_requests;
      went_back = went_back || now < last;
      last = now;
    }
  });
  for (int i = 0; i < 2000; ++i) ModelTotals::counted(totals, std::make_shared<Counting>())->n = 7;
  end = true;
  looking.join();
  EXPECT_FALSE(went_back);
  EXPECT_EQ(totals->sum().n_requests, 14000);
}

}  // namespace
}  // namespace watra::server
