#include "server/answer_speeds.h"

#include <gtest/gtest.h>

#include <numeric>

namespace watra::server {
namespace {

using text::TokenId;

std::vector<TokenId> all_different(int n) {
  std::vector<TokenId> ids(static_cast<size_t>(n));
  std::iota(ids.begin(), ids.end(), 100);
  return ids;
}

std::vector<TokenId> loop_of(int n, int period) {
  std::vector<TokenId> ids;
  for (int i = 0; i < n; ++i) ids.push_back(i % period);
  return ids;
}

engine::Finished answer_of(std::vector<TokenId> ids, double seconds = 2) {
  engine::Finished f;
  f.stats.n_generated = static_cast<int64_t>(ids.size());
  f.stats.decode_s = seconds;
  f.stats.speculation.n_passes = f.stats.n_generated;
  f.ids = std::move(ids);
  return f;
}

TEST(AnswerSpeeds, ALoopIsToldFromText) {
  EXPECT_FALSE(repeats_itself({}));
  EXPECT_FALSE(repeats_itself(all_different(6)));
  EXPECT_FALSE(repeats_itself(all_different(5000)));
  for (const int period : {1, 2, 7, 40}) EXPECT_TRUE(repeats_itself(loop_of(200, period))) << period;
  // A refrain of ten tokens in a hundred is text; a text whose second half is its first half is not.
  auto refrain = all_different(90);
  refrain.insert(refrain.end(), refrain.begin(), refrain.begin() + 10);
  EXPECT_FALSE(repeats_itself(refrain));
  auto twice = all_different(100);
  twice.insert(twice.end(), twice.begin(), twice.begin() + 100);
  EXPECT_TRUE(repeats_itself(twice));
  // Its end looped, long after it began as text.
  auto ends_in_a_loop = all_different(100);
  const auto loop = loop_of(60, 3);
  ends_in_a_loop.insert(ends_in_a_loop.end(), loop.begin(), loop.end());
  EXPECT_TRUE(repeats_itself(ends_in_a_loop));
}

TEST(AnswerSpeeds, WhichAnswersCount) {
  const auto speed = speed_of_answer(answer_of(all_different(101)));
  ASSERT_TRUE(speed);
  EXPECT_DOUBLE_EQ(speed->tokens_per_s, 50);
  EXPECT_DOUBLE_EQ(speed->tau, 1);
  EXPECT_TRUE(speed_of_answer(answer_of(all_different(16))));
  EXPECT_FALSE(speed_of_answer(answer_of(all_different(15)))) << "a few tokens";
  EXPECT_FALSE(speed_of_answer(answer_of(loop_of(101, 5)))) << "a loop";
  EXPECT_FALSE(speed_of_answer(answer_of(all_different(101), 0))) << "no time at all";
  auto f = answer_of(all_different(101));
  f.stats.n_beside = 1;
  EXPECT_FALSE(speed_of_answer(f)) << "others took a part of the machine";
  f = answer_of(all_different(101));
  f.stats.n_reread = 64;
  EXPECT_FALSE(speed_of_answer(f)) << "it read again on the way";
  f = answer_of(all_different(101));
  f.stats.n_forgotten = 64;
  EXPECT_FALSE(speed_of_answer(f)) << "so too where its context was full";
  f.stats.n_left_out = 64;
  EXPECT_TRUE(speed_of_answer(f)) << "before the first token costs nothing after it";
  f.reason = engine::FinishReason::error;
  EXPECT_FALSE(speed_of_answer(f));
  f.reason = engine::FinishReason::cancelled;
  EXPECT_TRUE(speed_of_answer(f)) << "who has heard enough says nothing of its speed";
}

TEST(AnswerSpeeds, FarMoreTokensAPassThanPlannedAreNoOrdinaryText) {
  EXPECT_TRUE(is_of_ordinary_text({.tokens_per_s = 9, .tau = 1}, std::nullopt));
  EXPECT_TRUE(is_of_ordinary_text({.tokens_per_s = 9, .tau = 3}, std::nullopt));
  EXPECT_FALSE(is_of_ordinary_text({.tokens_per_s = 9, .tau = 3.1}, std::nullopt));
  EXPECT_FALSE(is_of_ordinary_text({.tokens_per_s = 9, .tau = 3.1}, 1.1));
  EXPECT_TRUE(is_of_ordinary_text({.tokens_per_s = 9, .tau = 4.9}, 2.5)) << "a draft model is planned with more";
  EXPECT_FALSE(is_of_ordinary_text({.tokens_per_s = 9, .tau = 5.1}, 2.5));
}

TEST(AnswerSpeeds, WaitUntilTakenButNotForEver) {
  AnswerSpeeds speeds;
  EXPECT_TRUE(speeds.take().empty());
  for (int i = 0; i < 1000; ++i) speeds.note(answer_of(all_different(20)));
  speeds.note(answer_of(all_different(5)));
  EXPECT_EQ(speeds.take().size(), 64u);
  EXPECT_TRUE(speeds.take().empty());
}

}  // namespace
}  // namespace watra::server
