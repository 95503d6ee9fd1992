#include "engine/generation.h"

#include <gtest/gtest.h>

#include "engine/talking_model_test.h"

namespace watra::engine {
namespace {

class GenerationTest : public testing::Test {
 protected:
  GenerationTest()
      : tokenizer_(talking_model().tokenizer), sampler_(*Sampler::create({.temperature = 0}, kTalkingVocab)) {}

  Generation make(const GenerateOptions& options, int64_t n_prompt = 10, int64_t n_ctx = 100) {
    return Generation::create(*tokenizer_, sampler_, options, n_prompt, n_ctx).value();
  }
  // A row of logits that chooses `token`.
  std::span<const float> choose(TokenId token) {
    logits_.assign(kTalkingVocab, 0.0f);
    logits_[static_cast<size_t>(token)] = 9;
    return logits_;
  }
  static TokenId byte(unsigned char b) { return 3 + b; }

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  Sampler sampler_;
  std::vector<float> logits_;
};

TEST_F(GenerationTest, TextComesInWholeCharacters) {
  Generation g = make({});
  EXPECT_EQ(g.next(choose(byte('a')))->text, "a");
  EXPECT_EQ(g.next(choose(byte(0xC5)))->text, "");
  const auto step = g.next(choose(byte(0x82)));
  EXPECT_EQ(step->text, "\xC5\x82");
  EXPECT_EQ(step->token, byte(0x82));
  EXPECT_FALSE(step->finished);
  EXPECT_EQ(g.n_tokens(), 3);
}

TEST_F(GenerationTest, TheEndTokenIsNoPartOfTheAnswerAndSetsFreeWhatWasHeld) {
  Generation g = make({.stop = {"ab"}});
  EXPECT_EQ(g.next(choose(byte('a')))->text, "") << "may become the stop string";
  const auto end = g.next(choose(kTalkingEnd));
  EXPECT_EQ(end->token, text::kNoToken);
  EXPECT_EQ(end->text, "a");
  EXPECT_TRUE(end->finished);
  EXPECT_EQ(g.finish_reason(), FinishReason::stop);
  EXPECT_FALSE(g.stop_string());
  EXPECT_EQ(sampler_.history().size(), 1u);

  Generation on = make({.ignore_end = true});
  EXPECT_EQ(on.next(choose(kTalkingEnd))->token, kTalkingEnd);
}

TEST_F(GenerationTest, AStopStringCutsTheText) {
  Generation g = make({.stop = {"x", "bc"}});
  EXPECT_EQ(g.next(choose(byte('a')))->text, "a");
  EXPECT_EQ(g.next(choose(byte('b')))->text, "");
  const auto step = g.next(choose(byte('c')));
  EXPECT_EQ(step->text, "");
  EXPECT_EQ(step->token, byte('c'));
  EXPECT_TRUE(step->finished);
  EXPECT_EQ(g.stop_string(), 1u);
}

TEST_F(GenerationTest, LimitsAreTheRequestsAndTheContexts) {
  EXPECT_EQ(make({.max_tokens = 5}).max_tokens(), 5);
  EXPECT_EQ(make({}).max_tokens(), 90) << "the last token is not run, but it counts";
  EXPECT_EQ(make({.max_tokens = 500}, 99).max_tokens(), 1);
  EXPECT_EQ(make({.max_tokens = 500}, 100).max_tokens(), 0);
  Generation none = make({.max_tokens = 0});
  EXPECT_TRUE(none.finished());
  EXPECT_EQ(none.finish_reason(), FinishReason::length);
  Generation one = make({.max_tokens = 1});
  const auto step = one.next(choose(byte(0xC5)));
  EXPECT_TRUE(step->finished);
  EXPECT_EQ(step->text, "") << "half a character is none";
  EXPECT_EQ(one.finish_reason(), FinishReason::length);
}

TEST_F(GenerationTest, EndingFromOutsideGivesTheRestOnce) {
  Generation g = make({.stop = {"hello"}});
  EXPECT_EQ(g.next(choose(byte('o')))->text, "o");
  EXPECT_EQ(g.next(choose(byte('h')))->text, "");
  EXPECT_EQ(g.end(FinishReason::cancelled), "h");
  EXPECT_EQ(g.finish_reason(), FinishReason::cancelled);
}

}  // namespace
}  // namespace watra::engine
