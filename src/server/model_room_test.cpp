// Waiting for a model: who leaves is let go at once, whatever goes on. Loading itself is the server suites' business.
#include "server/model_room.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>

#include "base/await_test.h"
#include "base/fault.h"

namespace watra::server {
namespace {

using namespace std::chrono_literals;

class ModelRoomTest : public testing::Test {
 protected:
  ModelRoomTest()
      : room_({.load = [this](const fs::path&, const LoadWish&, const ModelRoom::Progress&,
                              const ModelRoom::Cancelled& cancelled) -> Result<engine::LoadedModel> {
          ++n_begun_;
          while (!let_go_ && !cancelled()) std::this_thread::sleep_for(1ms);
          if (cancelled()) return fail("load.cancelled", "nobody wants it");
          return fail("test.none", "no model here");
        }}) {}
  ~ModelRoomTest() override { let_go_ = true; }

  void until_begun() {
    while (n_begun_ == 0) std::this_thread::sleep_for(1ms);
  }

  std::atomic<bool> let_go_{false};
  std::atomic<int> n_begun_{0};
  ModelRoom room_;
};

TEST_F(ModelRoomTest, WhoLeavesDoesNotWaitForTheEnd) {
  std::atomic<bool> leaves{false};
  auto waiting = std::async(std::launch::async, [&] {
    return room_.load_and_wait_or_leave({"a", "a.gguf"}, [&] { return leaves.load(); });
  });
  until_begun();
  leaves = true;
  ASSERT_EQ(waiting.wait_for(kPatience), std::future_status::ready);
  const Status left = waiting.get();
  ASSERT_FALSE(left);
  EXPECT_EQ(left.error().code, "load.cancelled");
  EXPECT_EQ(room_.view().state, RoomState::loading) << "it goes on";
}

TEST_F(ModelRoomTest, WhatHasBegunIsSeenThroughByOthers) {
  auto waiting = std::async(std::launch::async, [&] {
    return room_.load_and_wait({"a", "a.gguf"}, {}, nullptr, [] { return true; });
  });
  until_begun();
  EXPECT_EQ(waiting.wait_for(300ms), std::future_status::timeout);
  let_go_ = true;
  EXPECT_EQ(waiting.get().error().code, "test.none");
}

TEST_F(ModelRoomTest, AWishThatWasNotBegunIsWithdrawn) {
  auto first = std::async(std::launch::async, [&] {
    return room_.load_and_wait({"a", "a.gguf"}, {}, nullptr, nullptr);
  });
  until_begun();
  EXPECT_EQ(room_.load_and_wait({"b", "b.gguf"}, {}, nullptr, [] { return true; }).error().code, "load.cancelled");
  let_go_ = true;
  EXPECT_EQ(first.get().error().code, "test.none");
  EXPECT_EQ(n_begun_, 1);
}

// A server that stops waits for no model: neither who asked for it, nor the room's own thread.
TEST_F(ModelRoomTest, TheEndOfTheServerEndsLoading) {
  auto first = std::async(std::launch::async, [&] {
    return room_.load_and_wait({"a", "a.gguf"}, {}, nullptr, nullptr);
  });
  until_begun();
  auto second = std::async(std::launch::async, [&] {
    return room_.load_and_wait({"b", "b.gguf"}, {}, nullptr, nullptr);
  });
  room_.end_loading();
  for (auto* waiting : {&first, &second}) {
    ASSERT_EQ(waiting->wait_for(kPatience), std::future_status::ready);
    EXPECT_EQ(waiting->get().error().code, "server.stopping");
  }
  EXPECT_NE(room_.view().state, RoomState::error) << "it did not fail";
  EXPECT_EQ(n_begun_, 1);
  EXPECT_EQ(room_.load_and_wait({"c", "c.gguf"}, {}, nullptr, nullptr).error().code, "server.stopping");
  // The destructor waits for the thread, which the load holds up no longer.
}

TEST_F(ModelRoomTest, WithoutAThreadAWishIsRefusedAndTheNextOneIsNot) {
  let_go_ = true;
  {
    const fault::Arm arm("thread.start", 0);
    EXPECT_EQ(room_.load_and_wait({"a", "a.gguf"}, {}, nullptr, nullptr).error().code, "system.no_thread");
  }
  EXPECT_EQ(room_.load_and_wait({"a", "a.gguf"}, {}, nullptr, nullptr).error().code, "test.none");
}

TEST(ModelRoom, WhatLoadingThrowsIsAnError) {
  int n_loads = 0;
  ModelRoom room({.load = [&](const fs::path&, const LoadWish&, const ModelRoom::Progress&,
                              const ModelRoom::Cancelled&) -> Result<engine::LoadedModel> {
    if (++n_loads == 1) throw std::bad_alloc();
    throw std::length_error("vector");
  }});
  EXPECT_EQ(room.load_and_wait({"a", "a.gguf"}, {}, nullptr, nullptr).error().code, "memory.refused");
  EXPECT_EQ(room.view().state, RoomState::error);
  EXPECT_EQ(room.load_and_wait({"b", "b.gguf"}, {}, nullptr, nullptr).error().code, "model.not_loaded");
  EXPECT_EQ(room.view().id, "b");
}

}  // namespace
}  // namespace watra::server
