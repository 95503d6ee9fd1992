// What is handed from answer to answer: that it counts, fades, is told apart by beginnings, and survives as text.
#include "engine/draft_experience.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "engine/kept_experience.h"
#include "engine/talking_model_test.h"
#include "engine/tiny_model_test.h"

namespace watra::engine {
namespace {

DraftExperience::Seen seen(std::string proposer, float tried, float right) {
  DraftExperience::Seen s{.proposer = std::move(proposer), .was_asked = true};
  s.record.by_depth[0] = s.record.by_belief[4] = {tried, right};
  return s;
}

DraftTotals answer(double n_tokens, double n_passes = 0) {
  return {
      .n_answers = 1, .n_tokens = n_tokens, .n_passes = n_passes > 0 ? n_passes : n_tokens, .plain_passes = n_tokens};
}

double share(const GuessRate& r) { return r.right / r.tried; }

TEST(DraftExperience, BeginsWithNothingAndLearns) {
  DraftExperience e;
  EXPECT_EQ(e.recall("ngram", 0).by_depth[0].tried, 0);
  EXPECT_TRUE(e.promises("ngram"));
  EXPECT_TRUE(e.totals().empty());
  for (int i = 0; i < 10; ++i) e.learn(0, std::vector{seen("ngram", 10, 3)}, "ngram", answer(100));
  const ProposerRecord r = e.recall("ngram", 0);
  EXPECT_NEAR(share(r.by_depth[0]), 0.3, 1e-6);
  EXPECT_NEAR(share(r.by_belief[4]), 0.3, 1e-6);
  EXPECT_EQ(r.by_depth[1].tried, 0);
  EXPECT_LE(r.by_depth[0].tried, 12) << "a new answer may be of another kind: it is worth a dozen guesses";
  EXPECT_EQ(e.recall("self", 0).by_depth[0].tried, 0);
  EXPECT_EQ(e.totals().at("ngram").n_tokens, 1000);
  EXPECT_NEAR(e.usual_answer(0), 100, 5);
}

TEST(DraftExperience, OneLongAnswerDoesNotOutweighMany) {
  DraftExperience e;
  for (int i = 0; i < 4; ++i) e.learn(0, std::vector{seen("ngram", 40, 4)}, "ngram", answer(100));
  e.learn(0, std::vector{seen("ngram", 4000, 4000)}, "ngram", answer(4000));
  EXPECT_LT(share(e.recall("ngram", 0).by_depth[0]), 0.35);
  EXPECT_LT(e.usual_answer(0), 300);
}

TEST(DraftExperience, OlderAnswersFade) {
  DraftExperience e;
  for (int i = 0; i < 100; ++i) e.learn(0, std::vector{seen("ngram", 40, 0)}, "ngram", answer(50));
  for (int i = 0; i < 12; ++i) e.learn(0, std::vector{seen("ngram", 40, 40)}, "ngram", answer(50, 10));
  EXPECT_GT(share(e.recall("ngram", 0).by_depth[0]), 0.6);
  const DraftTotals t = e.totals().at("ngram");
  EXPECT_LE(t.n_answers, 65);
  EXPECT_GT(t.tau(), 1.2);
}

TEST(DraftExperience, WhereTheBeginningIsKnownItCountsMore) {
  DraftExperience e;
  for (int i = 0; i < 10; ++i) {
    e.learn(1, std::vector{seen("ngram", 20, 18)}, "ngram", answer(400));
    e.learn(2, std::vector{seen("ngram", 20, 1)}, "ngram", answer(20));
  }
  EXPECT_GT(share(e.recall("ngram", 1).by_depth[0]), 0.75);
  EXPECT_LT(share(e.recall("ngram", 2).by_depth[0]), 0.2);
  EXPECT_NEAR(share(e.recall("ngram", 3).by_depth[0]), 0.475, 0.1);
  EXPECT_GT(e.usual_answer(1), 300);
  EXPECT_LT(e.usual_answer(2), 30);
  // As many are remembered as there is room for, those used last.
  for (uint64_t b = 10; b < 200; ++b) e.learn(b, std::vector{seen("ngram", 1, 0)}, "ngram", answer(20));
  EXPECT_LT(share(e.recall("ngram", 1).by_depth[0]), 0.6);
}

TEST(DraftExperience, ABeginningIsAPageOfThePrompt) {
  std::vector<TokenId> prompt(63, 5);
  EXPECT_EQ(DraftExperience::beginning_of(prompt), 0u);
  prompt.push_back(6);
  const uint64_t b = DraftExperience::beginning_of(prompt);
  EXPECT_NE(b, 0u);
  prompt.push_back(7);
  EXPECT_EQ(DraftExperience::beginning_of(prompt), b);
  prompt[3] = 9;
  EXPECT_NE(DraftExperience::beginning_of(prompt), b);
}

TEST(DraftExperience, APauseIsCountedAcrossAnswers) {
  DraftExperience e;
  auto idle = seen("self:q3_k", 0, 0);
  idle.was_asked = false;
  idle.record.unasked = 30;
  for (int i = 0; i < 3; ++i) e.learn(0, std::vector{idle}, "self:q3_k", answer(30));
  EXPECT_EQ(e.recall("self:q3_k", 0).unasked, 90);
  auto asked = seen("self:q3_k", 4, 0);
  asked.record.unasked = 7;
  asked.record.patience = 256;
  asked.record.promises = false;
  e.learn(0, std::vector{asked}, "self:q3_k", answer(30));
  EXPECT_EQ(e.recall("self:q3_k", 0).unasked, 7);
  EXPECT_EQ(e.recall("self:q3_k", 0).patience, 256);
  EXPECT_FALSE(e.promises("self:q3_k"));
}

TEST(DraftExperience, ManyThreadsMayLearnAtOnce) {
  DraftExperience e;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t)
    threads.emplace_back([&e, t] {
      PassTimes times;
      for (int i = 0; i < 200; ++i) {
        e.learn(t + 1, std::vector{seen("ngram", 2, 1)}, "ngram", answer(10));
        e.recall("ngram", t + 1);
        times.measured(1 + i % 8, 0.1);
        e.learn_times(times);
        e.to_text("here");
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_NEAR(share(e.recall("ngram", 0).by_depth[0]), 0.5, 1e-6);
  EXPECT_LE(e.totals().at("ngram").n_answers, 65);
}

TEST(DraftExperience, AsTextAndBack) {
  DraftExperience e;
  PassTimes times;
  for (int i = 0; i < 3; ++i)
    for (int64_t m : {1, 2, 9}) times.measured(m, 0.05 * static_cast<double>(m));
  for (int i = 0; i < 5; ++i) e.learn(7, std::vector{seen("model:A \"b\"", 20, 7)}, "model:A \"b\"", answer(60, 40));
  e.learn_times(times);
  const std::string text = e.to_text("avx512, 2 threads");
  EXPECT_EQ(text.find("beginning"), std::string::npos);

  DraftExperience same, elsewhere;
  ASSERT_TRUE(same.from_text(text, "avx512, 2 threads"));
  EXPECT_EQ(same.to_text("avx512, 2 threads"), text);
  EXPECT_NEAR(share(same.recall("model:A \"b\"", 0).by_depth[0]), 0.35, 1e-3);
  EXPECT_NEAR(same.totals().at("model:A \"b\"").tau(), 1.5, 1e-6);
  EXPECT_NEAR(same.usual_answer(0), e.usual_answer(0), 1e-6);
  PassTimes fresh;
  same.recall_times(fresh);
  EXPECT_TRUE(fresh.knows(2));
  EXPECT_FALSE(fresh.knows(4));
  EXPECT_NEAR(fresh.seconds(9), 0.45, 1e-9);
  EXPECT_EQ(fresh.trusted_rows(), 18);

  ASSERT_TRUE(elsewhere.from_text(text, "generic, 8 threads"));
  PassTimes other;
  elsewhere.recall_times(other);
  EXPECT_FALSE(other.knows(1)) << "times of other circumstances say nothing";
  EXPECT_GT(elsewhere.recall("model:A \"b\"", 0).by_depth[0].tried, 0);
}

TEST(DraftExperience, WhatCannotBeReadChangesNothing) {
  DraftExperience e;
  e.learn(0, std::vector{seen("ngram", 20, 7)}, "ngram", answer(60));
  const std::string before = e.to_text("x");
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string("{\"format\": 99}"),
        before.substr(0, before.size() / 2), std::string("{\"format\": 1, \"answers\": \"many\"}")}) {
    const Status read = e.from_text(text, "x");
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, "experience.unreadable");
    EXPECT_EQ(e.to_text("x"), before);
  }
  // Numbers that cannot be are not believed.
  std::string wild = before;
  for (size_t at; (at = wild.find("[20.0,7.0]")) != std::string::npos;) wild.replace(at, 10, "[-3.0,1e30]");
  ASSERT_TRUE(e.from_text(wild, "x"));
  EXPECT_EQ(e.recall("ngram", 0).by_depth[0].tried, 0);
}

TEST(KeptExperience, TheNextStartBeginsWithIt) {
  const LoadedModel model = talking_model();
  const TestFolder folder;
  const fs::path home = folder.path() / "home";
  {
    const auto e = keep_experience(home, model);
    ASSERT_TRUE(e);
  }
  EXPECT_FALSE(fs::exists(home / "drafts.json")) << "nothing was written, nothing is kept";
  {
    const auto e = keep_experience(home, model);
    for (int i = 0; i < 4; ++i) e->learn(0, std::vector{seen("ngram", 20, 15)}, "ngram", answer(60, 30));
  }
  const auto again = keep_experience(home, model);
  EXPECT_NEAR(share(again->recall("ngram", 0).by_depth[0]), 0.75, 1e-3);
  const auto measured = measured_drafts(*again);
  ASSERT_EQ(measured.size(), 1u);
  EXPECT_EQ(measured[0].method, "ngram");
  EXPECT_EQ(measured[0].n_answers, 4);
  EXPECT_EQ(measured[0].tau, 2);
  // Another model's, and a file that somebody wrote into.
  DraftExperience other;
  ASSERT_TRUE(load_experience(home, "another", "", other));
  EXPECT_TRUE(other.totals().empty());
  other.learn(0, std::vector{seen("model:Small", 20, 15)}, "model:Small", answer(640, 320));
  ASSERT_TRUE(save_experience(home, "another", "", other));
  EXPECT_EQ(keep_experience(home, model)->totals().size(), 1u);
  EXPECT_EQ(measured_drafts(other).at(0).model, "Small");
  ASSERT_TRUE(write_file_atomic(home / "drafts.json", "{\"models\": 3"));
  EXPECT_FALSE(load_experience(home, "another", "", other));
  EXPECT_TRUE(keep_experience(home, model)->totals().empty());
  ASSERT_TRUE(save_experience(home, "another", "", other));
  DraftExperience read;
  ASSERT_TRUE(load_experience(home, "another", "", read));
  EXPECT_EQ(read.totals().size(), 1u);
}

}  // namespace
}  // namespace watra::engine
