// Compares and turns in a full house: room is there for all of it or for none, and what was taken once is answered
// again whatever the house is like. The model is one that is never loaded: runs wait for it.
#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "base/await_test.h"
#include "base/fault.h"
#include "base/must_test.h"
#include "home/test_home_test.h"
#include "server/comparing.h"
#include "server/house_conversations.h"

namespace watra::server {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMostRuns = 256;

// A request without a connection.
class Asked final : public Exchange {
 public:
  Asked(Json said, std::map<std::string, std::string> of) {
    body = dump(said);
    params = std::move(of);
  }
  std::string header(std::string_view) const override { return {}; }
  asio::any_io_executor executor() const override { return const_cast<asio::io_context&>(io_).get_executor(); }
  Awaitable<void> reply(int, std::string, std::string content) override {
    reply_ = parse_json(content);
    co_return;
  }
  Awaitable<void> begin_stream(std::string) override { co_return; }
  Awaitable<void> write(std::string) override { co_return; }
  Awaitable<void> end_stream() override { co_return; }
  bool streaming() const override { return false; }

  // What the route says; throws what it throws.
  Json asked(const Router& router, const char* route_method, const char* route_path) {
    const auto found = router.find(route_method, route_path);
    std::exception_ptr thrown;
    asio::co_spawn(io_, found.route->handler(*this), [&](std::exception_ptr e) { thrown = e; });
    io_.run();
    if (thrown) std::rethrow_exception(thrown);
    return reply_;
  }

 private:
  asio::io_context io_;
  Json reply_;
};

class FullHouseTest : public testing::Test {
 protected:
  FullHouseTest()
      : jobs_(home_->db(), home_->events()),
        hearth_(home_->events()),
        room_({.load = [this](const fs::path&, const LoadWish&, const ModelRoom::Progress&,
                              const ModelRoom::Cancelled&) -> Result<engine::LoadedModel> {
                 while (!let_go_) std::this_thread::sleep_for(1ms);
                 return fail("test.none", "no model here");
               },
               .shelf =
                   [] {
                     return std::vector<ShelfEntry>{{"m", "m.gguf"}, {"n", "n.gguf"}};
                   }}),
        house_{*home_, jobs_, hearth_, room_, limits_, slow_},
        runs_(std::make_unique<Runs>(house_, Runs::Options{})),
        comparing_(house_, *runs_) {
    add_house_turns(router_, house_, *runs_);
  }
  ~FullHouseTest() override {
    runs_->close();
    let_go_ = true;
    room_.close();
  }

  static Json compare(const char* client_id, int n_columns) {
    Json columns = Json::array();
    for (int i = 0; i < n_columns; ++i) columns.push_back({{"model", i % 2 ? "m" : "n"}, {"persona", nullptr}});
    return {{"client_id", client_id}, {"question", "Jaki jest halny?"}, {"columns", columns}, {"blind", false}};
  }
  Json turn(const std::string& thread, const char* client_id) {
    const Json body = {
        {"client_id", client_id}, {"model", "m"}, {"parts", Json::array({Json{{"type", "text"}, {"text", "Hej"}}})}};
    const std::string path = "/watra/v1/threads/" + thread + "/turns";
    return Asked(body, {{"id", thread}}).asked(router_, "POST", path.c_str());
  }
  std::vector<Runs::Place> places(size_t n) {
    std::vector<Runs::Place> all;
    for (size_t i = 0; i < n; ++i) all.push_back(runs_->take_place());
    return all;
  }
  template <class F>
  static std::string refusal(F call) {
    try {
      call();
      return "none";
    } catch (const ApiError& e) {
      return e.code;
    }
  }

  std::atomic<bool> let_go_{false};
  home::TestHome home_;
  home::Jobs jobs_;
  Hearth hearth_;
  Limits limits_;
  SlowWork slow_;
  ModelRoom room_;
  Household house_;
  std::unique_ptr<Runs> runs_;
  Comparing comparing_;
  Router router_;
};

TEST_F(FullHouseTest, ACompareThatIsKnownIsAnsweredAgain) {
  const Json first = comparing_.begin(compare("a", 2));
  const auto taken = places(kMostRuns - 2);
  EXPECT_EQ(refusal([&] { comparing_.begin(compare("b", 2)); }), "engine.full");
  EXPECT_EQ(comparing_.begin(compare("a", 2)).at("id"), first.at("id"));
}

TEST_F(FullHouseTest, ThereIsRoomForAllColumnsOrForNone) {
  auto taken = places(kMostRuns - 3);
  EXPECT_EQ(refusal([&] { comparing_.begin(compare("a", 4)); }), "engine.full");
  EXPECT_EQ(must(home_->compares().list(10, {})).compares.size(), 0u) << "nothing was written down";
  taken.pop_back();
  comparing_.begin(compare("a", 4));
  EXPECT_EQ(refusal([&] { runs_->take_place(); }), "engine.full") << "also for those that wait for their model";
  taken.clear();
  EXPECT_EQ(refusal([&] { places(kMostRuns - 4); }), "none");
}

TEST_F(FullHouseTest, APlaceIsGivenBackByWhoDoesNotNeedIt) {
  for (int i = 0; i < 2; ++i) {
    auto taken = places(kMostRuns);
    const Runs::Place moved = std::move(taken.back());
    taken.pop_back();
    EXPECT_EQ(refusal([&] { runs_->take_place(); }), "engine.full");
  }
}

TEST_F(FullHouseTest, ATurnThatIsKnownIsAnsweredAgain) {
  const auto thread = must(home_->conversations().create({{"client_id", "t"}, {"title", "Zima"}}));
  const auto ask = [&](const char* client_id) { return turn(thread.id, client_id); };
  const Json first = ask("a");
  const auto taken = places(kMostRuns - 1);
  const Json again = ask("a");
  EXPECT_EQ(again.at("answer").at("id"), first.at("answer").at("id"));
  EXPECT_EQ(again.at("run").at("id"), first.at("run").at("id"));
  EXPECT_EQ(refusal([&] { ask("b"); }), "engine.full");
}

// No thread is left: what is not written down yet is refused, and a turn that is has its reason beside it.
TEST_F(FullHouseTest, ATurnWithoutAThreadEndsWithWords) {
  const auto thread = must(home_->conversations().create({{"client_id", "t"}, {"title", "Zima"}}));
  const auto ask = [&](const char* client_id) { return turn(thread.id, client_id); };
  {
    const fault::Arm arm("thread.start", 0);
    EXPECT_EQ(refusal([&] { ask("a"); }), "system.no_thread");
    EXPECT_EQ(must(home_->conversations().thread(thread.id)).thread.n_messages, 0);
  }
  places(1);
  Json begun;
  {
    const fault::Arm arm("thread.start", 0);
    begun = ask("a");
    EXPECT_TRUE(arm.fired());
  }
  const std::string answer = begun.at("answer").at("id");
  const auto state = [&] { return must(home_->conversations().message(answer)).state; };
  EXPECT_TRUE(comes_about([&] { return state() == "failed"; })) << state();
  EXPECT_EQ(must(home_->conversations().message(answer)).error.at("code"), "system.no_thread");
  EXPECT_TRUE(comes_about([&] { return runs_->list().empty(); }));
}

// After the end nothing begins, and nothing is waited for.
TEST_F(FullHouseTest, AfterTheEndNothingBegins) {
  auto place = runs_->take_place();
  runs_->close();
  EXPECT_EQ(refusal([&] { runs_->take_place(); }), "stopping");
  runs_->begin({.run = "r", .thread = "t", .answer = "a", .model = "m", .sampling = Json::object()}, std::move(place));
  EXPECT_TRUE(runs_->list().empty());
}

}  // namespace
}  // namespace watra::server
