// Speculative sampling draws from the target's distribution: 100,000 draws of a tiny model along random drafts, held
// against the probabilities of whole beginnings, computed without any sampling.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/random_proposer_test.h"

namespace watra::engine {
namespace {

using Tokens = std::vector<TokenId>;

constexpr int kLength = 4;      // tokens of an answer
constexpr size_t kChoices = 5;  // top_k
constexpr int64_t kAnswers = 25000;

class Target {
 public:
  Target() : model_(talking_model({.n_ctx = 64})), session_(model_) {
    Random random(9);
    prompt_ = random.tokens(20);
  }

  // Probability of every answer of kLength tokens at this temperature.
  std::map<Tokens, double> distribution(double temperature) {
    std::map<Tokens, double> out;
    add(out, prompt_, 1, temperature);
    answers_.clear();
    for (const auto& [answer, p] : out) answers_.push_back(answer);
    return out;
  }

  Tokens draw(int64_t seed) {
    std::vector<std::unique_ptr<Proposer>> proposers;
    proposers.push_back(std::make_unique<Guesser>(answers_, prompt_.size(), static_cast<uint32_t>(seed)));
    session_.speculate(session_.make_speculation(
        std::move(proposers),
        {.max_nodes = 7, .shape = seed % 2 ? DraftShape::tree : DraftShape::chain, .always = true}));
    auto sampler = Sampler::create({.seed = seed, .temperature = 1, .top_k = kChoices, .top_p = 1, .min_p = 0},
                                   kTalkingVocab, workspace_, 64);
    EXPECT_TRUE(session_.prefill(prompt_));
    auto report = session_.generate(*sampler, {.max_tokens = kLength, .ignore_end = true});
    EXPECT_TRUE(report);
    counts_ += report->speculation;
    return report->ids;
  }
  const SpeculationCounts& counts() const { return counts_; }

 private:
  // Guesses answers that begin as this one does, whatever their probability.
  class Guesser : public Proposer {
   public:
    Guesser(const std::vector<Tokens>& answers, size_t n_prompt, uint32_t seed)
        : answers_(answers), n_prompt_(n_prompt), random_(seed) {}
    std::string_view method() const override { return "guesser"; }
    Status propose(std::span<const TokenId> tokens, const DraftLimits& limits, Draft& draft) override {
      draft.clear();
      const auto begun = tokens.subspan(n_prompt_);
      for (int left = limits.tree ? 3 : 1; left > 0;) {
        const Tokens& answer =
            answers_[static_cast<size_t>(random_.between(0, static_cast<int64_t>(answers_.size()) - 1))];
        if (!std::equal(begun.begin(), begun.end(), answer.begin())) continue;
        --left;
        int32_t at = -1;
        for (size_t i = begun.size(); i < answer.size(); ++i) {
          const int32_t known = child_with(draft, at, answer[i]);
          if (known < 0) draft.nodes.push_back({answer[i], at, 0.5f});
          at = known < 0 ? static_cast<int32_t>(draft.nodes.size()) - 1 : known;
        }
      }
      return {};
    }

   private:
    const std::vector<Tokens>& answers_;
    size_t n_prompt_;
    Random random_;
  };

  void add(std::map<Tokens, double>& out, const Tokens& tokens, double p, double temperature) {
    if (tokens.size() == prompt_.size() + kLength) {
      out[Tokens(tokens.end() - kLength, tokens.end())] = p;
      return;
    }
    EXPECT_TRUE(session_.prefill(tokens));
    const auto logits = session_.logits();
    std::vector<std::pair<double, TokenId>> best;
    for (TokenId t = 0; t < kTalkingVocab; ++t) best.emplace_back(logits[static_cast<size_t>(t)], t);
    std::partial_sort(best.begin(), best.begin() + kChoices, best.end(), std::greater<>());
    double sum = 0;
    for (size_t i = 0; i < kChoices; ++i) sum += std::exp((best[i].first - best[0].first) / temperature);
    for (size_t i = 0; i < kChoices; ++i) {
      Tokens next = tokens;
      next.push_back(best[i].second);
      add(out, next, p * std::exp((best[i].first - best[0].first) / temperature) / sum, temperature);
    }
  }

  LoadedModel model_;
  Session session_;
  std::shared_ptr<SamplerWorkspace> workspace_ = std::make_shared<SamplerWorkspace>(kTalkingVocab);
  Tokens prompt_;
  std::vector<Tokens> answers_;
  SpeculationCounts counts_;
};

// Standard normal deviate of a chi-square test (Wilson and Hilferty 1931); cells that expect fewer than 5 are pooled.
double chi_square_z(const std::map<Tokens, int64_t>& counts, const std::map<Tokens, double>& expected, int64_t n) {
  double chi2 = 0, pooled_expected = 0, pooled_count = 0;
  int cells = 0;
  const auto add = [&](double count, double e) {
    chi2 += (count - e) * (count - e) / e;
    ++cells;
  };
  for (const auto& [tokens, p] : expected) {
    const auto found = counts.find(tokens);
    const auto count = found == counts.end() ? 0.0 : static_cast<double>(found->second);
    const double e = p * static_cast<double>(n);
    if (e >= 5) {
      add(count, e);
    } else {
      pooled_expected += e;
      pooled_count += count;
    }
  }
  if (pooled_expected > 0) add(pooled_count, pooled_expected);
  const double dof = cells - 1, v = 2 / (9 * dof);
  return (std::cbrt(chi2 / dof) - (1 - v)) / std::sqrt(v);
}

TEST(SpeculationDistribution, IsTheTargetsOver100000Draws) {
  Target target;
  const auto expected = target.distribution(1), warmer = target.distribution(1.2);
  std::map<Tokens, int64_t> counts;
  for (int64_t seed = 0; seed < kAnswers; ++seed) ++counts[target.draw(seed)];
  for (const auto& [tokens, n] : counts) ASSERT_TRUE(expected.contains(tokens));
  EXPECT_GT(target.counts().n_accepted, kAnswers / 5) << "drafts were followed";
  EXPECT_LT(chi_square_z(counts, expected, kAnswers), 3.7) << "p = 0.0001";
  EXPECT_GT(chi_square_z(counts, warmer, kAnswers), 3.7) << "a temperature of 1.2 would have been noticed";
}

}  // namespace
}  // namespace watra::engine
