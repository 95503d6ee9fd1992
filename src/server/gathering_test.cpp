#include "server/gathering.h"

#include <gtest/gtest.h>

#include <string>

namespace watra::server {
namespace {

using namespace std::chrono_literals;
using home::Event;
using home::Urgency;

constexpr auto kMost = 400ms;

std::vector<Event> told(std::initializer_list<const char*> types) {
  std::vector<Event> out;
  for (const char* type : types) out.push_back({.type = type});
  return out;
}

// Events that come one after the other, and when each piece goes out: what a stream does with them.
struct Listener {
  Gathering gathering{kMost};
  Gathering::Clock::time_point start{}, now = start;
  std::vector<Event> waiting;
  std::vector<std::pair<std::chrono::milliseconds, size_t>> pieces;  // at, how many events

  void look() {
    if (waiting.empty() || !gathering.is_due(waiting, now)) return;
    gathering.went_out(waiting, now);
    pieces.emplace_back(std::chrono::duration_cast<std::chrono::milliseconds>(now - start), waiting.size());
    waiting.clear();
  }
  void tell(const char* type) {
    waiting.push_back({.type = type});
    look();
  }
  void pass(std::chrono::milliseconds time) {
    for (; time > 0ms; time -= 1ms, now += 1ms) look();
  }
};

TEST(Gathering, WithoutAWishNothingWaits) {
  const Gathering g{0ms};
  Gathering h{0ms};
  const auto now = Gathering::Clock::time_point{} + 1s;
  h.went_out(told({"answer.piece"}), now);
  for (const char* type : {"answer.piece", "answer.progress", "thread.changed"}) {
    EXPECT_TRUE(g.is_due(told({type}), now));
    EXPECT_TRUE(h.is_due(told({type}), now));
  }
}

TEST(Gathering, WordsOfAnAnswerComeInFewPiecesAndNoneIsLost) {
  Listener l;
  l.pass(10s);
  for (int i = 0; i < 100; ++i) {  // five seconds
    l.tell("answer.piece");
    if (i % 5 == 0) l.tell("hearth.state");
    l.pass(50ms);
  }
  l.pass(1s);
  ASSERT_GE(l.pieces.size(), 13u);
  EXPECT_LE(l.pieces.size(), 15u);
  EXPECT_EQ(l.pieces[0].first, 10s) << "the first word waits for nothing";
  size_t n = 0;
  for (const auto& [at, events] : l.pieces) n += events;
  EXPECT_EQ(n, 120u);
}

TEST(Gathering, ASlowModelIsNeverDelayed) {
  Listener l;
  l.pass(10s);
  for (int i = 0; i < 5; ++i) {
    l.tell("answer.piece");
    EXPECT_EQ(l.waiting.size(), 0u);
    l.pass(450ms);
  }
}

TEST(Gathering, FiguresDoNotKeepWordsBack) {
  Listener l;
  l.pass(10s);
  l.tell("hearth.state");
  l.pass(100ms);
  l.tell("answer.progress");
  EXPECT_EQ(l.waiting.size(), 1u) << "figures wait for figures";
  l.tell("answer.piece");
  EXPECT_EQ(l.waiting.size(), 0u);
}

TEST(Gathering, WhatChangesGoesOutAtOnceWithAllBeforeIt) {
  Listener l;
  l.pass(10s);
  l.tell("answer.piece");
  l.pass(50ms);
  l.tell("answer.piece");
  l.tell("answer.progress");
  EXPECT_EQ(l.waiting.size(), 2u);
  l.tell("answer.ended");
  EXPECT_EQ(l.waiting.size(), 0u);
  EXPECT_EQ(l.pieces.back().second, 3u);
  EXPECT_EQ(l.gathering.hears(l.now), Urgency::news);
  EXPECT_EQ(l.gathering.until(), l.now + kMost);
}

TEST(Gathering, WhatTellsOfNoAnswerIsNews) {
  EXPECT_EQ(home::urgency_of("answer.piece"), Urgency::words);
  EXPECT_EQ(home::urgency_of("answer.progress"), Urgency::figures);
  EXPECT_EQ(home::urgency_of("hearth.state"), Urgency::figures);
  for (const char* type : {"answer.started", "answer.ended", "thread.message", "job.changed", "of.another.day"})
    EXPECT_EQ(home::urgency_of(type), Urgency::news) << type;
}

}  // namespace
}  // namespace watra::server
