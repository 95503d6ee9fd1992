// Many at once: all get on alike, whoever leaves and whatever there is too little of.
#include <gtest/gtest.h>

#include <random>

#include "engine/watched_request_test.h"

namespace watra::engine {
namespace {

// Keeps N clients busy: each has one request at a time and asks the next one when that has ended or was left.
class Clients {
 public:
  Clients(Scheduler& scheduler, size_t n, std::function<int64_t(std::mt19937&)> answer_length)
      : scheduler_(scheduler), answer_length_(std::move(answer_length)), clients_(n) {}

  void step() {
    for (size_t i = 0; i < clients_.size(); ++i) {
      Client& c = clients_[i];
      if (c.handle && c.leaves_after >= 0 && c.n_of_request >= c.leaves_after) c.handle->cancel();
      if (!c.handle || c.handle->finished()) ask(i);
    }
    scheduler_.step();
  }
  void leave() {
    for (Client& c : clients_)
      if (c.handle) c.handle->cancel();
    run_out(scheduler_);
  }
  int64_t fastest() const { return std::ranges::max(written()); }
  int64_t slowest() const { return std::ranges::min(written()); }
  int64_t n_left = 0;

 private:
  struct Client {
    std::optional<RequestHandle> handle;
    int64_t n_written = 0, n_of_request = 0, leaves_after = -1;
  };
  std::vector<int64_t> written() const {
    std::vector<int64_t> out;
    for (const Client& c : clients_) out.push_back(c.n_written);
    return out;
  }
  void ask(size_t i) {
    Client& c = clients_[i];
    const int64_t length = answer_length_(random_);
    const bool leaves = random_() % 3 == 0;
    c.n_of_request = 0;
    c.leaves_after = leaves ? static_cast<int64_t>(random_() % static_cast<uint32_t>(length)) : -1;
    n_left += leaves;
    Request r{.prompt = prompt(5 + static_cast<int64_t>(random_() % 30), static_cast<TokenId>(random_() % 1000))};
    r.sampling.seed = static_cast<int64_t>(random_());
    r.generate = {.max_tokens = length, .ignore_end = true};
    r.events.token = [&c](const TokenEvent&) { ++c.n_written, ++c.n_of_request; };
    r.events.finished = [](const Finished& f) { EXPECT_FALSE(f.error) << f.error->to_string(); };
    auto handle = scheduler_.submit(std::move(r));
    ASSERT_TRUE(handle) << handle.error().to_string();
    c.handle.emplace(std::move(*handle));
  }

  Scheduler& scheduler_;
  std::function<int64_t(std::mt19937&)> answer_length_;
  std::vector<Client> clients_;
  std::mt19937 random_{1};
};

struct Spread {
  int64_t fastest, slowest;
  SchedulerStats stats;
};

Spread thirty_two(int64_t kv_positions, int64_t max_batch, int64_t longest) {
  const auto s =
      make_scheduler({.n_ctx = 256, .kv_positions = kv_positions, .max_logit_rows = 32}, {.max_batch = max_batch});
  Clients clients(*s, 32, [longest](std::mt19937& random) { return 5 + static_cast<int64_t>(random() % longest); });
  for (int i = 0; i < 3000; ++i) clients.step();
  EXPECT_GT(clients.n_left, 50);
  clients.leave();
  const SchedulerStats stats = s->stats();
  EXPECT_EQ(stats.kv_pages_free + stats.kv_pages_cached, stats.kv_pages) << "whoever left has left nothing behind";
  return {clients.fastest(), clients.slowest(), stats};
}

TEST(SchedulerFairness, ThirtyTwoStreamsWithClientsThatLeave) {
  const Spread s = thirty_two(32 * 256, 32, 55);
  EXPECT_LE(2 * s.fastest, 3 * s.slowest);
  EXPECT_EQ(s.stats.n_dropped, 0);
}

TEST(SchedulerFairness, TheSameWithATenthOfThePagesTheyCouldUse) {
  const Spread s = thirty_two(8 * 256, 32, 200);
  EXPECT_LE(s.fastest, 2 * s.slowest);
  EXPECT_GT(s.stats.n_dropped, 0);
  EXPECT_LT(s.stats.n_read, 2 * s.stats.n_decoded) << "reading again stays small beside writing";
}

TEST(SchedulerFairness, TheSameWithFewPlaces) {
  const Spread s = thirty_two(32 * 256, 4, 55);
  EXPECT_LE(s.fastest, 2 * s.slowest);
}

TEST(SchedulerFairness, LongAnswersThatDoNotFitTogetherTakeTurns) {
  const auto answers = [](int64_t kv_positions, int64_t turn_tokens, int64_t& slowest) {
    const auto s = make_scheduler({.n_ctx = 256, .kv_positions = kv_positions}, {.turn_tokens = turn_tokens});
    std::vector<std::unique_ptr<Watched>> all;
    for (TokenId i = 0; i < 6; ++i) all.push_back(std::make_unique<Watched>(prompt(40, i), 200));
    for (const auto& w : all) w->into(*s);
    while (std::ranges::none_of(all, [](const auto& w) { return w->handle->finished(); })) s->step();
    slowest = 200;
    for (const auto& w : all) slowest = std::min(slowest, w->n_tokens);
    run_out(*s);
    std::vector<Tokens> ids;
    for (const auto& w : all) ids.push_back(w->result.ids);
    return ids;
  };
  int64_t slowest = 0;
  const auto together = answers(6 * 256, 32, slowest);
  EXPECT_GE(slowest, 190);
  EXPECT_EQ(answers(2 * 256, 0, slowest), together);
  EXPECT_LT(3 * slowest, 200) << "without turns the last ones wait for a whole answer";
  EXPECT_EQ(answers(2 * 256, 32, slowest), together);
  EXPECT_GE(3 * slowest, 200) << "the fastest has at most three times as much";
}

TEST(SchedulerFairness, AShortQuestionDoesNotWaitForWholeLongAnswers) {
  const auto s = make_scheduler({.n_ctx = 256, .kv_positions = 1024}, {.max_batch = 2, .turn_tokens = 32});
  Watched a(prompt(10), 200), b(prompt(10, 1), 200), question(prompt(10, 2), 5);
  a.into(*s), b.into(*s), question.into(*s);
  while (!question.handle->finished()) s->step();
  EXPECT_LE(a.n_tokens, 40);
  EXPECT_EQ(s->stats().n_dropped, 0) << "who makes way keeps its pages while there are enough";
  run_out(*s);
  EXPECT_EQ(a.n_tokens, 200);
  EXPECT_EQ(b.n_tokens, 200);
}

TEST(SchedulerFairness, NobodyMakesWayWhereNobodyWaits) {
  const auto s = make_scheduler({.n_ctx = 256, .kv_positions = 1024}, {.turn_tokens = 8});
  Watched a(prompt(10), 100), b(prompt(10, 1), 100), job(prompt(10, 2), 20, Priority::job);
  a.into(*s), b.into(*s), job.into(*s);
  while (!a.handle->finished()) s->step();
  EXPECT_EQ(b.n_tokens, 100);
  EXPECT_EQ(job.n_tokens, 0) << "turns are taken inside a class alone";
  run_out(*s);
}

}  // namespace
}  // namespace watra::engine
