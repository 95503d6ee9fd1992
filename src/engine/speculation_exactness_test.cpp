// Output does not depend on what is drafted (DESIGN, Exactness): Session with and without, on every ISA.
#include <gtest/gtest.h>

#include "engine/allocation_count_test.h"
#include "engine/random_proposer_test.h"
#include "engine/suffix_proposer.h"
#include "engine/watched_request_test.h"

namespace watra::engine {
namespace {

using Proposers = std::vector<std::unique_ptr<Proposer>>;

// An answer, and then one more turn on the cache that the first left behind.
struct TwoAnswers {
  Answer first, second;
  std::vector<TokenId> tokens;  // of the session, at the end
  int64_t n_cached = 0;         // found by the second turn
  SpeculationCounts counts;
};

TwoAnswers answer_twice(const LoadedModel& model, const Asked& asked, Proposers proposers,
                        const SpeculationOptions& options) {
  TwoAnswers out;
  Session session(model);
  session.speculate(session.make_speculation(std::move(proposers), options));
  std::vector<TokenId> prompt = asked.prompt;
  for (Answer* answer : {&out.first, &out.second}) {
    auto sampler = Sampler::create(asked.sampling, kTalkingVocab);
    EXPECT_TRUE(sampler && sampler->accept_prompt(prompt));
    const auto read = session.prefill(prompt);
    EXPECT_TRUE(read);
    out.n_cached = read->n_cached;
    auto report = session.generate(*sampler, asked.generate);
    EXPECT_TRUE(report) << report.error().to_string();
    *answer = {report->text, report->ids, report->finish};
    EXPECT_EQ(report->speculation.tau() > 1, report->speculation.n_accepted > 0);
    out.counts += report->speculation;
    prompt.insert(prompt.end(), report->ids.begin(), report->ids.end());
    prompt.insert(prompt.end(), {20, 30, 40});
    if (static_cast<int64_t>(prompt.size()) > model.forward->options().n_ctx) break;
  }
  out.tokens = session.tokens();
  return out;
}

Asked richer_request(Random& random, int64_t n_ctx) {
  const std::vector<std::vector<TokenId>> beginnings = {random.tokens(n_ctx / 2)};
  Asked a = random_request(random, beginnings, n_ctx);
  if (random.chance(0.3)) a.sampling.logit_bias = {{kTalkingEnd, 3.0f}, {50, 4.0f}, {51, -100.0f}};
  if (random.chance(0.3)) a.sampling.frequency_penalty = 0.4;
  if (random.chance(0.2)) a.sampling.xtc_probability = 0.5;
  if (random.chance(0.2)) a.sampling.top_k = 5;
  if (random.chance(0.2)) a.sampling.n_probs = 3;
  return a;
}

void expect_same(const TwoAnswers& got, const TwoAnswers& plain, std::string_view how) {
  EXPECT_EQ(got.first, plain.first) << how;
  EXPECT_EQ(got.second, plain.second) << how << ", second turn";
  EXPECT_EQ(got.tokens, plain.tokens) << how;
  EXPECT_EQ(got.n_cached, plain.n_cached) << how << ", what the cache holds";
}

class SpeculationExactness : public testing::TestWithParam<std::string> {};

TEST_P(SpeculationExactness, EveryProposerGivesThePlainAnswer) {
  const int64_t n_ctx = 160;
  const LoadedModel model =
      talking_model({.n_ctx = n_ctx, .kv_positions = 2 * n_ctx, .max_logit_rows = 12, .isa = GetParam()});
  SpeculationCounts sum;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Random random(seed);
    const Asked asked = richer_request(random, n_ctx);
    const TwoAnswers plain = answer_twice(model, asked, {}, {});
    std::vector<TokenId> whole = asked.prompt;
    whole.insert(whole.end(), plain.first.ids.begin(), plain.first.ids.end());
    whole.insert(whole.end(), {20, 30, 40});
    whole.insert(whole.end(), plain.second.ids.begin(), plain.second.ids.end());
    whole.push_back(kTalkingEnd);
    auto history = std::make_shared<SuffixHistory>(1 << 18);
    history->add(whole);
    for (const DraftShape shape : {DraftShape::chain, DraftShape::tree})
      for (int kind = 0; kind < 4; ++kind) {
        Proposers p;
        if (kind == 0) p.push_back(std::make_unique<NgramProposer>(512));
        if (kind == 1) p.push_back(std::make_unique<RandomProposer>(seed));
        if (kind == 2) p.push_back(std::make_unique<NoisyOracle>(whole, seed));
        if (kind == 3) p.push_back(std::make_unique<SuffixProposer>(history));
        const std::string how = fmt::format("seed {} {} {}", seed, p[0]->method(), shape == DraftShape::tree);
        const TwoAnswers got = answer_twice(
            model, asked, std::move(p),
            {.max_nodes = static_cast<int32_t>(random.between(1, 14)), .shape = shape, .always = random.chance(0.9)});
        expect_same(got, plain, how);
        sum += got.counts;
        if (HasFailure()) return;
      }
  }
  EXPECT_GT(sum.n_drafted, 5000);
  EXPECT_GT(sum.n_accepted, 2000);
}

std::vector<std::string> all_isas() {
  std::vector<std::string> out;
  for (const kernels::Kernels* k : kernels::available()) out.emplace_back(k->isa);
  return out;
}
INSTANTIATE_TEST_SUITE_P(Isas, SpeculationExactness, testing::ValuesIn(all_isas()),
                         [](const auto& isa) { return isa.param; });

TEST(Speculation, CancellingInsideADraftLeavesThePlainAnswersBeginning) {
  const LoadedModel model = talking_model();
  Random random(4);
  Asked asked{
      .prompt = random.tokens(40), .sampling = {.temperature = 0}, .generate = {.max_tokens = 60, .ignore_end = true}};
  const Answer plain = alone(model, asked);
  std::vector<TokenId> whole = asked.prompt;
  whole.insert(whole.end(), plain.ids.begin(), plain.ids.end());
  for (size_t n = 1; n < 30; ++n) {
    Session session(model);
    Proposers p;
    p.push_back(std::make_unique<NoisyOracle>(whole, 1));
    session.speculate(session.make_speculation(std::move(p), {.max_nodes = 7, .always = true}));
    auto sampler = Sampler::create(asked.sampling, kTalkingVocab);
    ASSERT_TRUE(session.prefill(asked.prompt));
    std::atomic<bool> cancel{false};
    std::string shown;
    size_t n_pieces = 0;
    const auto report = session.generate(
        *sampler, asked.generate,
        [&](std::string_view piece) {
          shown += piece;
          if (++n_pieces == n) cancel = true;
        },
        &cancel);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->finish, FinishReason::cancelled);
    EXPECT_EQ(report->text, shown);
    EXPECT_LT(report->ids.size(), plain.ids.size());
    EXPECT_TRUE(std::equal(report->ids.begin(), report->ids.end(), plain.ids.begin()));
    EXPECT_EQ(n_pieces, n) << "no word after Stop";
    // The conversation goes on from there as if nothing had been drafted.
    ASSERT_TRUE(session.prefill(asked.prompt));
    auto again = Sampler::create(asked.sampling, kTalkingVocab);
    EXPECT_EQ(session.generate(*again, asked.generate)->ids, plain.ids);
  }
}

// Decoding with drafts allocates nothing either.
void decode_without_allocating(bool always) {
  SchedulerOptions options;
  options.speculation = {.max_nodes = 7, .shape = DraftShape::tree, .always = always};
  options.make_proposers = [](int64_t) {
    Proposers p;
    p.push_back(std::make_unique<NgramProposer>(512));
    return p;
  };
  const auto s = make_scheduler({.n_ctx = 512, .kv_positions = 2048, .max_logit_rows = 16}, options);
  int64_t n_bytes = 0;
  for (TokenId i = 0; i < 4; ++i) {
    Request r{.prompt = prompt(20 + 10 * i, i)};
    r.generate = {.max_tokens = 480, .stop = {"no such text"}, .ignore_end = true};
    r.sampling.temperature = i % 2 ? 0.3 : 0.0;
    r.sampling.logit_bias = {{60, 9.0f}, {61, 9.0f}, {62, 9.0f}};
    r.sampling.seed = i;
    if (i == 3) r.mask = std::make_unique<EveryThird>();
    r.events.token = [&n_bytes](const TokenEvent& t) { n_bytes += static_cast<int64_t>(t.text.size()); };
    ASSERT_TRUE(s->submit(std::move(r)));
  }
  for (int i = 0; i < (always ? 20 : 40); ++i) s->step();
  const SchedulerStats begin = s->stats();
  const long before = allocation_count();
  for (int i = 0; i < (always ? 25 : 60); ++i) s->step();  // eight tokens each at most: no answer ends
  EXPECT_EQ(allocation_count(), before);
  EXPECT_GT(n_bytes, 0);
  if (!always) return;  // whether drafts pay is told by the time that passes take
  EXPECT_GT(s->stats().n_drafted, begin.n_drafted);
  EXPECT_GT(s->stats().n_accepted, begin.n_accepted);
}
TEST(Speculation, DecodingAllocatesNothing) {
  for (const bool always : {false, true}) decode_without_allocating(always);
}

// Masks, logprobs and everything else a token comes with: by the Scheduler, which tells it all.
TEST(Speculation, LogprobsAndMasksAreThoseOfPlainDecoding) {
  struct Told {
    TokenId token;
    std::string text;
    std::optional<double> logprob;
    std::vector<std::pair<TokenId, double>> top;
    bool operator==(const Told&) const = default;
  };
  SpeculationCounts sum;
  for (int64_t seed = 0; seed < 30; ++seed) {
    std::vector<Told> told[2];
    for (const bool speculate : {false, true}) {
      SchedulerOptions options;
      options.speculation = {.max_nodes = 7, .shape = seed % 2 ? DraftShape::tree : DraftShape::chain, .always = true};
      if (speculate)
        options.make_proposers = [&](int64_t) {
          Proposers p;
          if (seed % 3 == 0) p.push_back(std::make_unique<NgramProposer>(512));
          p.push_back(std::make_unique<RandomProposer>(static_cast<uint32_t>(seed)));
          return p;
        };
      const auto scheduler = make_scheduler({}, options);
      Request r{.prompt = prompt(30, static_cast<TokenId>(seed)),
                .sampling = {.seed = seed, .temperature = seed % 4 ? 0.9 : 0.0, .want_logprob = true, .n_probs = 4},
                .generate = {.max_tokens = 80, .ignore_end = true}};
      if (seed % 2) r.mask = std::make_unique<EveryThird>();
      r.sampling.top_k = 6;
      r.sampling.logit_bias = {{60, 6.0f}, {61, 6.0f}, {62, 6.0f}, {63, 6.0f}};
      r.events.token = [&](const TokenEvent& t) {
        Told& x = told[speculate].emplace_back(t.token, std::string(t.text), t.logprob);
        for (const TokenLogprob& p : t.top) x.top.emplace_back(p.token, p.logprob);
      };
      r.events.finished = [&](const Finished& f) { sum += f.stats.speculation; };
      ASSERT_TRUE(scheduler->submit(std::move(r)));
      run_out(*scheduler);
    }
    ASSERT_EQ(told[0].size(), 80u);
    EXPECT_EQ(told[0], told[1]) << seed;
  }
  EXPECT_GT(sum.n_accepted, 50);
}

// A scheduler that fills the history itself: the second time an answer comes it is drafted from the first.
TEST(Speculation, FinishedAnswersDraftLaterOnes) {
  const auto ask_twice = [](bool speculate, int64_t turn_salt, SpeculationCounts& counts) {
    SchedulerOptions options;
    if (speculate) {
      options.history = std::make_shared<SuffixHistory>(1 << 18);
      options.speculation = {.max_nodes = 7, .shape = DraftShape::chain, .always = true};
      options.make_proposers = [history = options.history](int64_t) {
        Proposers p;
        p.push_back(std::make_unique<SuffixProposer>(history));
        return p;
      };
    }
    const auto s = make_scheduler({}, options);
    std::vector<Tokens> ids;
    for (int turn = 0; turn < 2; ++turn) {
      Watched w(prompt(30, static_cast<TokenId>(turn_salt)), 60);
      w.request.sampling.temperature = 0.7;
      w.request.sampling.seed = 5;
      w.into(*s);
      run_out(*s);
      ids.push_back(w.result.ids);
      counts = w.result.stats.speculation;
    }
    return ids;
  };
  for (int64_t salt = 0; salt < 10; ++salt) {
    SpeculationCounts none, counts;
    EXPECT_EQ(ask_twice(true, salt, counts), ask_twice(false, salt, none));
    EXPECT_GT(counts.tau(), 3) << "the same answer is known word for word";
    EXPECT_EQ(none.n_drafted, 0);
  }
}

// Requests of one scheduler teach each other, and sessions too where they share an experience.
TEST(Speculation, WhatOneAnswerShowsTheNextOneKnows) {
  auto experience = std::make_shared<DraftExperience>();
  SchedulerOptions options;
  options.speculation = {.max_nodes = 7, .experience = experience};
  options.make_proposers = [](int64_t) {
    Proposers p;
    p.push_back(std::make_unique<NgramProposer>(512));
    return p;
  };
  const auto s = make_scheduler({}, options);
  for (TokenId i = 0; i < 4; ++i) {
    Watched w(prompt(80, i), 60);
    w.into(*s);
    run_out(*s);
    EXPECT_EQ(experience->totals().at("ngram").n_answers, i + 1);
  }
  const ProposerRecord learned = experience->recall("ngram", DraftExperience::beginning_of(prompt(80, 2)));
  EXPECT_GT(learned.by_depth[0].tried, 4);
  PassTimes times;
  experience->recall_times(times);
  EXPECT_TRUE(times.knows(1));

  const LoadedModel model = talking_model();
  Session session(model);
  Proposers p;
  p.push_back(std::make_unique<NgramProposer>(512));
  session.speculate(session.make_speculation(std::move(p), {.experience = experience}));
  EXPECT_TRUE(session.pass_times().knows(1)) << "times of passes are known before the first";
  ASSERT_TRUE(session.prefill(prompt(80, 1)));
  auto sampler = Sampler::create({.temperature = 0}, kTalkingVocab);
  ASSERT_TRUE(session.generate(*sampler, {.max_tokens = 30, .ignore_end = true}));
  EXPECT_EQ(experience->totals().at("ngram").n_answers, 5);
}

TEST(Speculation, IdleTimeIsUsedWhenNobodyWantsAnything) {
  SchedulerOptions options;
  std::vector<std::vector<TokenId>> given;
  options.use_idle_time = [&given](std::span<const TokenId> tokens) {
    given.emplace_back(tokens.begin(), tokens.end());
    return given.size() % 3 != 0;
  };
  const auto s = make_scheduler({}, options);
  Watched a(prompt(20, 1), 10), b(prompt(30, 2), 4), job(prompt(40, 3), 30, Priority::job);
  a.into(*s);
  b.into(*s);
  run_out(*s);
  ASSERT_EQ(given.size(), 3u);
  EXPECT_EQ(given[0], given[2]);
  EXPECT_EQ(given[0].size(), 30u) << "of the answer finished last";
  EXPECT_TRUE(std::ranges::equal(std::span(given[0]).first(20), prompt(20, 1)));
  job.into(*s);
  run_out(*s);
  EXPECT_EQ(given.size(), 3u) << "nobody waits for the next turn of a job";
}

TEST(Speculation, AProposerThatFailsIsLeftOutAndTheAnswerGoesOn) {
  class Broken : public Proposer {
   public:
    std::string_view method() const override { return "broken"; }
    Status propose(std::span<const TokenId> tokens, const DraftLimits&, Draft&) override {
      return tokens.size() > 50 ? fail("draft.broken", "it broke") : Status{};
    }
  };
  const LoadedModel model = talking_model();
  Random random(5);
  const Asked asked{.prompt = random.tokens(40), .sampling = {.temperature = 0}, .generate = {.max_tokens = 60}};
  Session session(model);
  Proposers p;
  p.push_back(std::make_unique<Broken>());
  session.speculate(session.make_speculation(std::move(p)));
  auto sampler = Sampler::create(asked.sampling, kTalkingVocab);
  ASSERT_TRUE(session.prefill(asked.prompt));
  const auto report = session.generate(*sampler, asked.generate);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->ids, alone(model, asked).ids);
  EXPECT_EQ(report->speculation_method, "none");
  EXPECT_EQ(report->speculation.tau(), 1.0);
  ASSERT_TRUE(session.speculation().trouble());
  EXPECT_EQ(session.speculation().trouble()->code, "draft.broken");
}

}  // namespace
}  // namespace watra::engine
