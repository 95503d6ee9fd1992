#include "base/thread_start.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/fault.h"

namespace watra {
namespace {

TEST(ThreadStart, RunsOrSaysWhyNot) {
  std::atomic<int> n_run{0};
  const auto run = [&] { ++n_run; };
  auto thread = start_thread("a test", run);
  ASSERT_TRUE(thread);
  thread->join();
  EXPECT_EQ(n_run, 1);
  const fault::Arm arm("thread.start", 0);
  const auto refused = start_thread("a test", run);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "system.no_thread");
  EXPECT_NE(refused.error().message.find("a test"), std::string::npos);
  EXPECT_FALSE(refused.error().hint.empty());
  EXPECT_EQ(n_run, 1);
}

}  // namespace
}  // namespace watra
