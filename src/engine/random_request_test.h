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
  std::optional<Endless> endless;
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

// A context that is full, by rules written down once more: what stays of a text is read from its beginning, token after
// token.
struct TheRest {
  int64_t n_ctx, n_kept, n_step;
  int64_t n_forgotten = 0;

  TheRest(const Asked& asked, int64_t context) : n_ctx(context) {
    const auto n_prompt = static_cast<int64_t>(asked.prompt.size());
    n_kept = asked.endless->n_keep < 0 ? std::min(n_prompt, n_ctx - n_ctx / 4) : asked.endless->n_keep;
    n_kept = std::max(n_kept, std::min<int64_t>(64, n_ctx / 4));
    const int64_t quarter = (n_ctx - n_kept) / 4;
    n_step = quarter < 64 ? quarter : quarter - quarter % 64;
    if (asked.endless->n_discard > 0)
      n_step = std::min(std::max(asked.endless->n_discard, std::min<int64_t>(64, quarter)), n_ctx - n_kept - 1);
  }
  void of(std::vector<TokenId>& tokens) {
    for (; static_cast<int64_t>(tokens.size()) >= n_ctx; n_forgotten += n_step)
      tokens.erase(tokens.begin() + n_kept, tokens.begin() + n_kept + n_step);
  }
};

inline Answer alone_without_end(const LoadedModel& model, const Asked& asked) {
  Session session(model);
  TheRest rest(asked, model.forward->options().n_ctx);
  std::vector<TokenId> tokens = asked.prompt;
  rest.of(tokens);
  auto sampler = Sampler::create(asked.sampling, kTalkingVocab);
  EXPECT_TRUE(sampler && sampler->accept_prompt(tokens));
  auto generation = Generation::create(*model.tokenizer, *sampler, asked.generate, 0, int64_t{1} << 40);
  EXPECT_TRUE(generation);
  Answer out;
  while (!generation->finished()) {
    EXPECT_TRUE(session.prefill(tokens));
    const auto step = generation->next(session.logits());
    EXPECT_TRUE(step);
    out.text += step->text;
    if (step->token != text::kNoToken) {
      out.ids.push_back(step->token);
      tokens.push_back(step->token);
    }
    rest.of(tokens);
  }
  out.finish = generation->finish_reason();
  return out;
}

inline Answer alone(const LoadedModel& model, const Asked& asked) {
  if (asked.endless) return alone_without_end(model, asked);
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

// The same, and now and then longer than its context: the answer, the prompt too.
inline Asked random_endless_request(Random& random, const std::vector<std::vector<TokenId>>& beginnings,
                                    int64_t n_ctx) {
  Asked a = random_request(random, beginnings, n_ctx);
  if (!random.chance(0.6)) return a;
  a.endless.emplace();
  if (random.chance(0.5)) a.endless->n_keep = random.between(-1, n_ctx - 4);
  if (random.chance(0.3)) a.endless->n_discard = random.between(1, 2 * n_ctx);
  if (random.chance(0.3)) {
    const auto more = random.tokens(random.between(1, 2 * n_ctx));
    a.prompt.insert(a.prompt.end(), more.begin(), more.end());
  }
  a.generate.max_tokens = random.between(0, 2 * n_ctx);
  return a;
}

}  // namespace watra::engine
