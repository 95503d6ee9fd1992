// What a request is told about its prompt: the same numbers an answer would have had, whatever is cached or runs
// beside.
#include "engine/prompt_probs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/watched_request_test.h"

namespace watra::engine {
namespace {

TEST(PromptProbs, RanksAndNormalizes) {
  const std::vector<float> logits = {1.0f, 3.0f, 2.0f, 3.0f};
  PromptProbs probs;
  const auto look = probs.look(logits, 2, 3);
  const double sum = std::exp(1.0) + 2 * std::exp(3.0) + std::exp(2.0);
  EXPECT_NEAR(look.logprob, 2.0 - std::log(sum), 1e-12);
  EXPECT_EQ(look.rank, 3);
  ASSERT_EQ(look.top.size(), 3u);
  EXPECT_EQ(look.top[0].token, 1) << "of equals the lower id comes first";
  EXPECT_EQ(look.top[1].token, 3);
  EXPECT_EQ(look.top[2].token, 2);
  EXPECT_TRUE(probs.look(logits, 0, 0).top.empty());
  EXPECT_EQ(probs.look(logits, 3, 99).top.size(), 4u);
  EXPECT_EQ(probs.look(logits, 3, 0).rank, 2);
}

struct Scored {
  explicit Scored(Tokens tokens, int64_t max_tokens) : watched(std::move(tokens), max_tokens) {
    watched.request.n_prompt_probs = 2;
    watched.request.events.prompt_token = [this](const PromptToken& t) {
      positions.push_back(t.position);
      logprobs.push_back(t.logprob);
      EXPECT_EQ(t.top.size(), 2u);
      EXPECT_LE(t.top[1].logprob, t.top[0].logprob);
      if (t.rank <= 2) {
        EXPECT_EQ(t.top[static_cast<size_t>(t.rank - 1)].token, t.token);
      }
    };
    watched.request.events.prompt_hidden = [this](int64_t position, std::span<const float> hidden) {
      hidden_positions.push_back(position);
      for (const float h : hidden) sum += static_cast<double>(std::abs(h));
    };
  }
  Watched watched;
  std::vector<int64_t> positions, hidden_positions;
  std::vector<double> logprobs;
  double sum = 0;
};

TEST(PromptProbs, APromptIsScoredAsAnAnswerWouldBe) {
  auto s = make_scheduler({}, {.slice_tokens = 24});
  std::vector<double> written;
  Watched answer(prompt(50), 30);
  answer.request.sampling.want_logprob = true;
  const auto note = answer.request.events.token;
  answer.request.events.token = [&](const TokenEvent& t) {
    note(t);
    if (t.logprob) written.push_back(*t.logprob);
  };
  answer.into(*s);
  run_out(*s);
  ASSERT_EQ(written.size(), 30u);

  Tokens whole = prompt(50);
  whole.insert(whole.end(), answer.result.ids.begin(), answer.result.ids.end());
  Scored scored(whole, 0);
  Watched beside(prompt(40, 3), 20);
  beside.into(*s);
  scored.watched.into(*s);
  run_out(*s);
  EXPECT_EQ(scored.watched.result.stats.n_cached, 0) << "all of it is read, though it lies in the cache";
  EXPECT_EQ(scored.watched.result.stats.n_generated, 0);
  ASSERT_EQ(scored.positions.size(), 79u);
  ASSERT_EQ(scored.hidden_positions.size(), 80u);
  for (size_t i = 0; i < 79; ++i) EXPECT_EQ(scored.positions[i], static_cast<int64_t>(i) + 1);
  for (size_t i = 0; i < 80; ++i) EXPECT_EQ(scored.hidden_positions[i], static_cast<int64_t>(i));
  // The logits are the same to the bit; the sum over the vocabulary is made in another order there.
  for (size_t i = 0; i < 30; ++i) EXPECT_NEAR(scored.logprobs[49 + i], written[i], 1e-12) << i;
  EXPECT_GT(scored.sum, 0);

  auto quiet = make_scheduler({});
  Watched same(prompt(40, 3), 20);
  same.into(*quiet);
  run_out(*quiet);
  EXPECT_EQ(same.result.ids, beside.result.ids) << "scoring changes nobody's logits";
}

TEST(PromptProbs, TheAnswerAfterAScoredPromptIsThePlainOne) {
  auto s = make_scheduler({}, {.slice_tokens = 16});
  Scored scored(prompt(70), 12);
  scored.watched.into(*s);
  run_out(*s);
  auto plain = make_scheduler({});
  Watched w(prompt(70), 12);
  w.into(*plain);
  run_out(*plain);
  EXPECT_EQ(scored.watched.result.ids, w.result.ids);
  EXPECT_EQ(scored.positions.size(), 69u);
}

TEST(PromptProbs, EachRowIsToldOnceWhenPagesRunOut) {
  auto s = make_scheduler({.n_ctx = 256, .kv_positions = 256}, {.slice_tokens = 32});
  Scored scored(prompt(150), 40);
  scored.watched.request.priority = Priority::job;
  scored.watched.into(*s);
  for (int i = 0; i < 3; ++i) s->step();
  Watched person(prompt(120, 7), 60, Priority::person);
  person.into(*s);
  run_out(*s);
  EXPECT_EQ(scored.positions.size(), 149u);
  EXPECT_EQ(scored.hidden_positions.size(), 150u);
  EXPECT_EQ(scored.watched.result.stats.n_generated, 40);
}

}  // namespace
}  // namespace watra::engine
