// Random requests, and what Session answers to one alone: what other ways of decoding are compared with.
#pragma once

#include <gtest/gtest.h>

#include <random>

#include "engine/scheduler.h"
#include "engine/session.h"
#include "engine/talking_model_test.h"

namespace watra::engine {

struct Asked {
  std::vector<TokenId> prompt;
  SamplingParams sampling;
  GenerateOptions generate;
  Priority priority = Priority::api;
};

struct Answer {
  std::string text;
  std::vector<TokenId> ids;
  FinishReason finish = FinishReason::error;
  bool operator==(const Answer&) const = default;
  friend std::ostream& operator<<(std::ostream& os, const Answer& a) {
    os << finish_reason_name(a.finish) << ":";
    for (const TokenId t : a.ids) os << " " << t;
    return os;
  }
};

inline Answer alone(const LoadedModel& model, const Asked& asked) {
  Session session(model);
  auto sampler = Sampler::create(asked.sampling, kTalkingVocab);
  EXPECT_TRUE(sampler && sampler->accept_prompt(asked.prompt));
  const auto read = session.prefill(asked.prompt);
  EXPECT_TRUE(read);
  auto report = session.generate(*sampler, asked.generate);
  EXPECT_TRUE(report);
  return {report->text, report->ids, report->finish};
}

class Random {
 public:
  explicit Random(uint32_t seed) : rng_(seed) {}
  int64_t between(int64_t a, int64_t b) { return std::uniform_int_distribution<int64_t>(a, b)(rng_); }
  bool chance(double p) { return std::bernoulli_distribution(p)(rng_); }
  std::vector<TokenId> tokens(int64_t n) {
    std::vector<TokenId> out;
    while (n-- > 0) out.push_back(static_cast<TokenId>(between(3, kTalkingVocab - 1)));
    return out;
  }

 private:
  std::mt19937 rng_;
};

// Conversations that begin alike, as people's do, and some that do not.
inline Asked random_request(Random& random, const std::vector<std::vector<TokenId>>& beginnings, int64_t n_ctx) {
  Asked a;
  if (random.chance(0.7)) {
    const auto& b = beginnings[static_cast<size_t>(random.between(0, static_cast<int64_t>(beginnings.size()) - 1))];
    a.prompt.assign(b.begin(), b.begin() + random.between(1, static_cast<int64_t>(b.size())));
  }
  const auto more = random.tokens(random.between(a.prompt.empty() ? 1 : 0, 40));
  a.prompt.insert(a.prompt.end(), more.begin(), more.end());
  if (random.chance(0.05)) a.prompt = random.tokens(n_ctx - random.between(0, 3));
  if (random.chance(0.5)) {
    a.sampling.temperature = 0;
    if (random.chance(0.5)) a.sampling.repeat_penalty = 1.3;
  } else {
    a.sampling.seed = random.between(0, 1000);
    a.sampling.temperature = 1.2;
    if (random.chance(0.3)) a.sampling.mirostat = 2;
    if (random.chance(0.3)) a.sampling.dry_multiplier = 1;
  }
  if (random.chance(0.4))  // few words, so that guesses come true
    for (const TokenId t : {60, 61, 62, 63}) a.sampling.logit_bias.push_back({t, 7.0f});
  a.generate.max_tokens = random.chance(0.1) ? -1 : random.between(0, 90);
  if (random.chance(0.3)) a.generate.stop = {"7", "word-3"};
  a.generate.ignore_end = random.chance(0.3);
  a.priority = static_cast<Priority>(random.between(0, kPriorities - 1));
  return a;
}

}  // namespace watra::engine
