// What a compare comes to when it cannot begin. How it goes on otherwise: tests/server/test_rooms.py.
#include "server/comparing.h"

#include <gtest/gtest.h>

#include "home/test_home_test.h"

namespace watra::server {
namespace {

TEST(Comparing, WhatCannotBeginHasEnded) {
  home::TestHome home;
  home::Jobs jobs(home->db(), home->events());
  Hearth hearth(home->events());
  int n_looks = 0;  // at the shelf: one for each column before anything is written down, then the model goes
  ModelRoom room(
      {.load = [](const fs::path&, const LoadWish&, const ModelRoom::Progress&,
                  const ModelRoom::Cancelled&) -> Result<engine::LoadedModel> { return fail("test", "none"); },
       .shelf =
           [&] {
             std::vector<ShelfEntry> shelf;
             if (++n_looks <= 2) shelf.push_back({"m", "m.gguf", 1});
             return shelf;
           }});
  const Limits limits;
  SlowWork slow;
  Household house{*home, jobs, hearth, room, limits, slow};
  Runs runs(house, {});
  Comparing comparing(house, runs);
  const Json column = {{"model", "m"}};
  try {
    comparing.begin(
        {{"client_id", "c"}, {"question", "Która?"}, {"blind", false}, {"columns", Json::array({column, column})}});
    ADD_FAILURE() << "it began";
  } catch (const ApiError& e) {
    EXPECT_EQ(e.code, "model.unknown") << e.message;
  }
  const auto list = home->compares().list(5, std::nullopt);
  ASSERT_TRUE(list) << list.error().message;
  ASSERT_EQ(list->compares.size(), 1u);
  EXPECT_EQ(list->compares[0].at("state"), "failed");
  EXPECT_TRUE(home->compares().remove(list->compares[0].at("id")));
}

}  // namespace
}  // namespace watra::server
