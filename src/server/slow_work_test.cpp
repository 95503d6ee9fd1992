// Threads for slow work: what is thrown there ends nobody, and with fewer threads there is fewer of it at a time.
#include "server/slow_work.h"

#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <future>
#include <stdexcept>

#include "base/await_test.h"
#include "base/fault.h"
#include "server/api_error.h"

namespace watra::server {
namespace {

TEST(SlowWork, OutlivesWhatNobodyWaitsForThrows) {
  SlowWork slow;
  ASSERT_EQ(slow.n_threads(), 4u);
  for (int i = 0; i < 8; ++i) {
    slow.post([] { throw std::runtime_error("of a bug"); });
    slow.post([] { throw ApiError{.code = "of.a_handler"}; });
  }
  std::promise<void> done;
  slow.post([&] { done.set_value(); });
  EXPECT_EQ(done.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST(SlowWork, WhatIsAwaitedThrowsWhereItIsAwaited) {
  SlowWork slow;
  asio::io_context io;
  std::string caught;
  const auto handler = [&]() -> Awaitable<void> {
    try {
      const auto work = []() -> int { throw std::runtime_error("of the work"); };
      co_await slow.run(work);
    } catch (const std::runtime_error& e) {
      caught = e.what();
    }
    const auto sum = [] { return 1 + 1; };
    EXPECT_EQ(co_await slow.run_in_line(sum), 2);
  };
  asio::co_spawn(io, handler(), asio::detached);
  io.run();
  EXPECT_EQ(caught, "of the work");
}

TEST(SlowWork, GoesOnWithFewerThreads) {
  for (const uint64_t nth : {0u, 2u}) {
    const fault::Arm arm("thread.start", nth);
    SlowWork slow;
    EXPECT_EQ(slow.n_threads(), nth);
    std::atomic<int> n_done{0};
    for (int i = 0; i < 20; ++i) slow.post([&] { ++n_done; });
    slow.close();
    EXPECT_EQ(n_done, nth == 0 ? 0 : 20);
  }
}

}  // namespace
}  // namespace watra::server
