#include "home/events.h"

#include "home/test_home_test.h"

namespace watra::home {
namespace {

TEST(Events, NumbersGrowByOneAndSurviveRestarts) {
  TestHome home;
  ASSERT_TRUE(home->events().tell("thread.changed", "t_1", std::nullopt, Json{{"a", 1}}));
  {
    Transaction given_up(home->db());
    home->events().publish("thread.changed", "t_1", std::nullopt, Json::object());
  }
  ASSERT_TRUE(home->events().tell("answer.piece", "t_1", "m_1", Json{{"text", "ą\n"}}));
  EXPECT_EQ(home->events().last(), 2);
  const std::string boot = home->events().boot();
  home.reopen();
  EXPECT_EQ(home->events().last(), 2);
  EXPECT_NE(home->events().boot(), boot);
  ASSERT_TRUE(home->events().tell("engine.state", std::nullopt, std::nullopt, Json::object()));
  const auto page = home->events().read(1, 10);
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->complete);
  ASSERT_EQ(page->events.size(), 2u);
  const Json told = Json::parse(page->events[0].json());
  EXPECT_EQ(told["seq"], 2);
  EXPECT_EQ(told["v"], 1);
  EXPECT_EQ(told["node"], "m_1");
  EXPECT_EQ(told["data"]["text"], "ą\n");
  EXPECT_EQ(Json::parse(page->events[1].json())["thread"], nullptr);
}

TEST(Events, SubscribersAreWokenAfterTheCommit) {
  TestHome home;
  EventLog& events = home->events();
  int64_t seen = -1;
  int calls = 0;
  {
    const auto subscription = events.subscribe([&](Urgency) {
      ++calls;
      seen = static_cast<int64_t>(events.read(0, 100)->events.size());
    });
    Transaction t(home->db());
    events.publish("thread.changed", "t", std::nullopt, Json::object());
    events.publish("thread.changed", "t", std::nullopt, Json::object());
    EXPECT_EQ(calls, 0);
    t.commit();
    EXPECT_GE(calls, 1);
    EXPECT_EQ(seen, 2);
  }
  const int before = calls;
  ASSERT_TRUE(events.tell("thread.changed", "t", std::nullopt, Json::object()));
  EXPECT_EQ(calls, before);
}

TEST(Events, SubscribersAreToldHowUrgentItIs) {
  TestHome home;
  EventLog& events = home->events();
  std::vector<Urgency> heard;
  const auto subscription = events.subscribe([&](Urgency urgency) { heard.push_back(urgency); });
  Transaction t(home->db());
  for (const char* type : {"answer.progress", "answer.piece", "answer.ended"})
    events.publish(type, "t", "m", Json::object());
  t.commit();
  EXPECT_EQ(heard, (std::vector{Urgency::figures, Urgency::words, Urgency::news}));
}

TEST(Events, OldOnesGoAndThatIsTold) {
  TestHome home;
  EventLog& events = home->events();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(events.tell("answer.piece", "t", "m", Json::object()));
  home->db().run("UPDATE events SET at_ms = 1 WHERE seq <= 2");
  for (int i = 0; i < 600; ++i) ASSERT_TRUE(events.tell("answer.piece", "t", "n", Json::object()));
  EXPECT_FALSE(events.read(1, 10)->complete);
  EXPECT_TRUE(events.read(2, 10)->complete);
  EXPECT_EQ(events.read(2, 1)->events[0].seq, 3);
  EXPECT_FALSE(events.read(events.last() + 5, 10)->complete);  // of another house
}

TEST(Events, ErasedWordsAreTakenOut) {
  TestHome home;
  EventLog& events = home->events();
  ASSERT_TRUE(events.tell("answer.piece", "t", "m", Json{{"text", "secret"}}));
  ASSERT_TRUE(events.tell("answer.piece", "t", "n", Json{{"text", "other"}}));
  events.forget_node("m");
  const auto page = events.read(0, 10);
  ASSERT_EQ(page->events.size(), 1u);
  EXPECT_EQ(page->events[0].node, "n");
  EXPECT_TRUE(page->complete);
}

}  // namespace
}  // namespace watra::home
