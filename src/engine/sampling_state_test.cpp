// What a Sampler remembers: rollback and fork give exactly the sampler that never saw the taken-back tokens; masks come
// first; a token costs no allocation; errors change nothing.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "engine/allocation_count_test.h"
#include "engine/sampling.h"
#include "engine/sampling_candidates.h"

namespace watra::engine {
namespace {

constexpr float kMinusInf = -std::numeric_limits<float>::infinity();

// The row of logits a model would give after `history`: a function of the tokens, as a real one's is.
std::vector<float> logits_after(std::span<const TokenId> history, size_t n_vocab) {
  uint32_t hash = 2166136261u;
  for (const TokenId t : history) hash = (hash ^ static_cast<uint32_t>(t)) * 16777619u;
  std::mt19937 rng(hash);
  std::vector<float> logits(n_vocab);
  for (float& x : logits) x = static_cast<float>(rng() % 10000) * 6e-4f;
  return logits;
}

// Allows tokens by (sum of what it took) % 3 and checks that it is driven properly.
class SumMask : public LogitMask {
 public:
  bool fill(std::span<uint32_t> bits) override {
    std::fill(bits.begin(), bits.end(), 0);
    for (TokenId t = 0; t < static_cast<TokenId>(bits.size() * 32); ++t) {
      if (allows(t)) bits[t / 32] |= uint32_t{1} << (t % 32);
    }
    return true;
  }
  Status advance(TokenId token) override {
    if (!allows(token)) return fail("test.refused", "not now");
    taken_.push_back(token);
    return {};
  }
  void rollback(size_t n) override {
    ASSERT_LE(n, taken_.size());
    taken_.resize(taken_.size() - n);
  }
  std::unique_ptr<LogitMask> fork() const override { return std::make_unique<SumMask>(*this); }

 private:
  bool allows(TokenId token) const {
    long sum = 0;
    for (const TokenId t : taken_) sum += t;
    return (token + sum) % 3 != 0;
  }
  std::vector<TokenId> taken_;
};

SamplingParams with_state() {
  SamplingParams p;
  p.seed = 11;
  p.repeat_penalty = 1.3;
  p.frequency_penalty = 0.3;
  p.presence_penalty = 0.2;
  p.repeat_last_n = 20;
  p.dry_multiplier = 0.8;
  p.dry_breakers = {{5}, {6, 7}};
  p.xtc_probability = 0.5;
  p.xtc_threshold = 0.05;
  return p;
}

// One step as the engine takes it.
TokenId step(Sampler& sampler, size_t n_vocab, uint64_t prompt_tokens) {
  const auto logits = logits_after(sampler.history(), n_vocab);
  const auto got = sampler.sample(logits, sampler.history().size() - prompt_tokens);
  EXPECT_TRUE(got.has_value());
  EXPECT_TRUE(sampler.accept(got->token).has_value());
  return got->token;
}

TEST(SamplerState, AnyInterleavingEqualsAFreshSamplerWithWhatSurvived) {
  constexpr size_t kVocab = 40;
  std::mt19937 rng(4);
  const std::vector<TokenId> prompt = {1, 2, 3, 1, 2};
  for (int kind = 0; kind < 4; ++kind) {
    SamplingParams p = with_state();
    if (kind % 2 == 1) p.mirostat = 2;
    const bool masked = kind >= 2;
    for (int round = 0; round < 60; ++round) {
      const auto fresh = [&] {
        auto made = Sampler::create(p, kVocab);
        EXPECT_TRUE(made->accept_prompt(prompt).has_value());
        if (masked) made->set_mask(std::make_unique<SumMask>());
        return std::move(*made);
      };
      Sampler tried = fresh();
      // What survived: tokens and whether each was sampled (it then moved mu) or forced.
      std::vector<std::pair<TokenId, bool>> survived;
      for (int op = 0; op < 60; ++op) {
        const uint32_t dice = rng() % 10;
        if (dice < 6) {
          survived.emplace_back(step(tried, kVocab, prompt.size()), true);
        } else if (dice < 7) {
          const TokenId forced = static_cast<TokenId>(rng() % kVocab);
          if (tried.accept(forced)) survived.emplace_back(forced, false);
        } else if (dice < 9) {
          const size_t n = std::min<size_t>(rng() % 6, survived.size());
          ASSERT_TRUE(tried.rollback(n).has_value());
          survived.resize(survived.size() - n);
        } else {
          Sampler branch = tried.fork();
          for (int i = 0; i < 3; ++i) step(branch, kVocab, prompt.size());
          if (dice % 2 == 0) {
            ASSERT_TRUE(branch.rollback(3).has_value());
            tried = std::move(branch);
          }
        }
      }
      Sampler straight = fresh();
      for (const auto& [token, sampled] : survived) {
        if (sampled) {
          ASSERT_EQ(step(straight, kVocab, prompt.size()), token);
        } else {
          ASSERT_TRUE(straight.accept(token).has_value());
        }
      }
      ASSERT_EQ(std::vector(tried.history().begin(), tried.history().end()),
                std::vector(straight.history().begin(), straight.history().end()));
      ASSERT_EQ(tried.mirostat_mu(), straight.mirostat_mu());
      for (int i = 0; i < 10; ++i) ASSERT_EQ(step(tried, kVocab, prompt.size()), step(straight, kVocab, prompt.size()));
    }
  }
}

TEST(SamplerState, AskingTwiceGivesTheSameAnswer) {
  SamplingParams p = with_state();
  p.mirostat = 2;
  auto sampler = Sampler::create(p, 100);
  const auto logits = logits_after({}, 100);
  const TokenId first = sampler->sample(logits, 3)->token;
  for (int i = 0; i < 5; ++i) (void)sampler->sample(logits_after({}, 100), i);
  EXPECT_EQ(sampler->sample(logits, 3)->token, first);
}

TEST(SamplerState, OnlyTheTokenJustSampledMovesMu) {
  SamplingParams p;
  p.seed = 5;
  p.mirostat = 2;
  auto sampler = Sampler::create(p, 100);
  ASSERT_TRUE(sampler->accept(1).has_value());
  const double start = sampler->mirostat_mu();
  const TokenId token = sampler->sample(logits_after({}, 100), 0)->token;
  ASSERT_TRUE(sampler->accept((token + 1) % 100).has_value());
  EXPECT_EQ(sampler->mirostat_mu(), start) << "another token was forced";
  ASSERT_TRUE(sampler->accept(token).has_value());
  EXPECT_EQ(sampler->mirostat_mu(), start) << "the sample was for an earlier place";
  (void)sampler->sample(logits_after({}, 100), 0);
  ASSERT_TRUE(sampler->rollback(2).has_value());
  ASSERT_TRUE(sampler->accept(token).has_value());
  EXPECT_EQ(sampler->mirostat_mu(), start) << "the place it was sampled for is gone";
  ASSERT_EQ(sampler->sample(logits_after({}, 100), 0)->token, token);
  ASSERT_TRUE(sampler->accept(token).has_value());
  EXPECT_NE(sampler->mirostat_mu(), start);
}

TEST(SamplerState, ForksShareNothingThatMatters) {
  auto sampler = Sampler::create(with_state(), 50);
  for (int i = 0; i < 20; ++i) step(*sampler, 50, 0);
  Sampler branch = sampler->fork();
  ASSERT_TRUE(branch.rollback(10).has_value());
  for (int i = 0; i < 15; ++i) step(branch, 50, 0);
  EXPECT_EQ(sampler->history().size(), 20u);
  EXPECT_EQ(branch.history().size(), 25u);
  EXPECT_TRUE(std::equal(branch.history().begin(), branch.history().begin() + 20, sampler->history().begin()))
      << "a branch that is rolled back writes the same tokens again";
}

TEST(SamplerState, SeedsReproduceAndDiffer) {
  std::set<std::vector<TokenId>> answers;
  for (const uint64_t seed : {1, 2, 1, 2, 3}) {
    SamplingParams p;
    p.seed = seed;
    auto sampler = Sampler::create(p, 1000);
    std::vector<TokenId> answer;
    for (int i = 0; i < 20; ++i) answer.push_back(step(*sampler, 1000, 0));
    answers.insert(answer);
  }
  EXPECT_EQ(answers.size(), 3u);
  const auto a = Sampler::create(SamplingParams{}, 10), b = Sampler::create(SamplingParams{}, 10);
  EXPECT_NE(a->seed(), b->seed()) << "none asked for: one is drawn";
  EXPECT_LT(a->seed(), uint64_t{1} << 53) << "and it can be asked for again";
}

class OneToken : public LogitMask {
 public:
  explicit OneToken(TokenId token) : token_(token) {}
  bool fill(std::span<uint32_t> bits) override {
    std::fill(bits.begin(), bits.end(), 0);
    if (token_ >= 0) bits[token_ / 32] |= uint32_t{1} << (token_ % 32);
    return true;
  }
  Status advance(TokenId) override { return {}; }
  void rollback(size_t) override {}
  std::unique_ptr<LogitMask> fork() const override { return std::make_unique<OneToken>(*this); }

 private:
  TokenId token_;
};

TEST(SamplerState, TheMaskComesFirstInEveryMode) {
  constexpr size_t kVocab = 1003;  // a last word of 11 bits
  for (const double temperature : {0.0, 0.8}) {
    for (const int mirostat : {0, 2}) {
      SamplingParams p = with_state();
      p.temperature = temperature;
      p.mirostat = mirostat;
      p.logit_bias = {{3, 50.0f}, {1002, -30.0f}};
      auto sampler = Sampler::create(p, kVocab);
      for (const TokenId only : {0, 31, 32, 500, 1002}) {
        sampler->set_mask(std::make_unique<OneToken>(only));
        auto logits = logits_after({}, kVocab);
        logits[only] = -400;
        EXPECT_EQ(sampler->sample(logits, 0)->token, only);
      }
      sampler->set_mask(std::make_unique<OneToken>(text::kNoToken));
      const auto none = sampler->sample(logits_after({}, kVocab), 0);
      ASSERT_FALSE(none.has_value());
      EXPECT_EQ(none.error().code, "engine.no_token");
      sampler->set_mask(nullptr);
      EXPECT_TRUE(sampler->sample(logits_after({}, kVocab), 0).has_value());
    }
  }
}

TEST(SamplerState, BiasesForbidAndFavour) {
  for (const double temperature : {0.0, 1.0}) {
    SamplingParams p;
    p.seed = 3;
    p.temperature = temperature;
    p.logit_bias = {{0, kMinusInf}, {1, kMinusInf}, {3, kMinusInf}};
    auto but_one = Sampler::create(p, 4);
    EXPECT_EQ(but_one->sample(std::vector<float>{90, 80, -70, 60}, 0)->token, 2);
    p.logit_bias = {{2, 200.0f}};
    auto favoured = Sampler::create(p, 4);
    EXPECT_EQ(favoured->sample(std::vector<float>{90, 80, -70, 60}, 0)->token, 2);
    p.logit_bias = {{0, kMinusInf}, {1, kMinusInf}, {2, kMinusInf}, {3, kMinusInf}, {2, 5.0f}};
    EXPECT_EQ(Sampler::create(p, 4)->sample(std::vector<float>(4), 0).error().code, "engine.no_token");
  }
}

TEST(SamplerState, BrokenLogitsAreNamedAndForbiddenOnesSkipped) {
  for (const double temperature : {0.0, 1.0}) {
    SamplingParams p;
    p.temperature = temperature;
    auto sampler = Sampler::create(p, 300);
    for (const float bad : {std::nanf(""), -std::nanf(""), std::numeric_limits<float>::infinity()}) {
      for (const size_t at : {0u, 16u, 255u, 299u}) {
        std::vector<float> logits(300, 1.0f);
        logits[at] = bad;
        const auto got = sampler->sample(logits, 0);
        ASSERT_FALSE(got.has_value());
        EXPECT_EQ(got.error().code, "engine.bad_logits");
        EXPECT_NE(got.error().message.find(fmt::format("token {} has", at)), std::string::npos) << got.error().message;
      }
    }
    std::vector<float> logits(300, kMinusInf);
    EXPECT_EQ(sampler->sample(logits, 0).error().code, "engine.no_token");
    logits[123] = -5;
    EXPECT_EQ(sampler->sample(logits, 0)->token, 123);
    EXPECT_EQ(sampler->sample(std::vector<float>(299), 0).error().code, "engine.bad_logits");
  }
}

TEST(SamplerState, RefusalsChangeNothing) {
  auto sampler = Sampler::create(with_state(), 30);
  ASSERT_TRUE(sampler->accept_prompt(std::vector<TokenId>{4, text::kNoToken, 4}).has_value());
  EXPECT_EQ(sampler->accept(30).error().code, "engine.bad_token");
  EXPECT_EQ(sampler->accept(-1).error().code, "engine.bad_token");
  EXPECT_EQ(sampler->accept_prompt(std::vector<TokenId>{1, 30}).error().code, "engine.bad_token");
  EXPECT_EQ(sampler->rollback(4).error().code, "engine.bad_rollback");
  sampler->set_mask(std::make_unique<SumMask>());
  EXPECT_EQ(sampler->accept(3).error().code, "test.refused");
  EXPECT_EQ(sampler->history().size(), 3u);
  EXPECT_TRUE(sampler->accept(4).has_value());
  EXPECT_TRUE(sampler->accept_prompt(std::vector<TokenId>{9}).has_value());  // the mask does not see it
  EXPECT_TRUE(sampler->rollback(2).has_value());
  EXPECT_TRUE(sampler->accept(4).has_value()) << "the mask is back where it began";
  EXPECT_TRUE(sampler->rollback(4).has_value());
  EXPECT_TRUE(sampler->history().empty());
  SamplingParams bad;
  bad.top_p = 3;
  EXPECT_EQ(Sampler::create(bad, 30).error().code, "engine.bad_parameter");
  EXPECT_FALSE(Sampler::create(SamplingParams{}, 30, std::make_shared<SamplerWorkspace>(31)).has_value());
}

TEST(SamplerState, AnEmbeddingRowCountsForNothingAndBreaksRepetitions) {
  SamplingParams p;
  p.temperature = 0;
  p.dry_multiplier = 50;
  p.dry_allowed_length = 1;
  auto sampler = Sampler::create(p, 4);
  const std::vector<float> logits = {0, 1, 2, 0};
  ASSERT_TRUE(sampler->accept_prompt(std::vector<TokenId>{1, 2, 1}).has_value());
  EXPECT_EQ(sampler->sample(logits, 0)->token, 1) << "2 would repeat \"1 2\"";
  ASSERT_TRUE(sampler->rollback(3).has_value());
  ASSERT_TRUE(sampler->accept_prompt(std::vector<TokenId>{1, 2, 1, text::kNoToken}).has_value());
  EXPECT_EQ(sampler->sample(logits, 0)->token, 2);
}

TEST(SamplerState, NothingIsAllocatedPerToken) {
  constexpr size_t kVocab = 5000;
  for (int kind = 0; kind < 6; ++kind) {
    SamplingParams p = with_state();
    if (kind == 1) p.mirostat = 2;
    if (kind == 2) p.temperature = 0;
    if (kind == 3) p.n_probs = 20;
    if (kind == 4) p.top_k = 0, p.typical_p = 0.9, p.top_n_sigma = 2, p.dynatemp_range = 0.5, p.min_keep = 3;
    p.logit_bias = {{7, 1.0f}};
    auto sampler = Sampler::create(p, kVocab, nullptr, 300);
    if (kind == 5) sampler->set_mask(std::make_unique<OneToken>(9));
    std::vector<std::vector<float>> rows;
    for (TokenId i = 0; i < 8; ++i) rows.push_back(logits_after(std::vector<TokenId>{i}, kVocab));
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(sampler->accept(sampler->sample(rows[i % 8], i)->token).has_value());
    const long before = allocation_count();
    bool good = true;
    for (int i = 10; i < 250; ++i) {
      const auto got = sampler->sample(rows[i % 8], i);
      good = good && got && sampler->accept(got->token);
      if (i % 10 == 0) good = good && sampler->rollback(2);
    }
    EXPECT_EQ(allocation_count(), before) << "kind " << kind;
    EXPECT_TRUE(good);
  }
}

TEST(SamplerState, ExpIsAccurateAndExactWhereItMatters) {
  std::vector<double> x = {0, -1e-300, -0.5, -708, -709, -1e300, -std::numeric_limits<double>::infinity()};
  exp_nonpositive(x.data(), x.size());
  EXPECT_EQ(x[0], 1.0);
  EXPECT_EQ(x[1], 1.0);
  EXPECT_EQ(x[4], 0.0);
  EXPECT_EQ(x[5], 0.0);
  EXPECT_EQ(x[6], 0.0);
  std::mt19937_64 rng(1);
  for (int i = 0; i < 200000; ++i) {
    const double at = -std::ldexp(static_cast<double>(rng() >> 11), -53) * (i % 2 ? 1.0 : 700.0);
    double y = at;
    exp_nonpositive(&y, 1);
    const long double exact = std::exp(static_cast<long double>(at));
    ASSERT_NEAR(static_cast<double>((y - exact) / exact), 0, 4e-16) << at;
  }
}

}  // namespace
}  // namespace watra::engine
