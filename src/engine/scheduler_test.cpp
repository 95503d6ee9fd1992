// What a request hears, who takes part in a pass, how it ends.
#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include "engine/session.h"
#include "engine/watched_request_test.h"

namespace watra::engine {
namespace {

TEST(Scheduler, TellsWhatHappensInOrder) {
  auto s = make_scheduler({}, {.slice_tokens = 64});
  Watched w(prompt(150), 3);
  w.into(*s);
  run_out(*s);
  EXPECT_EQ(w.log, (std::vector<std::string>{"started 0/150", "reading 64/150", "reading 128/150", "token", "token",
                                             "token", "finished length"}));
  EXPECT_EQ(w.result.stats.n_generated, 3);
  EXPECT_EQ(w.result.ids.size(), 3u);
  EXPECT_GT(w.result.stats.ttft_s, 0);
  EXPECT_GE(w.result.stats.ttft_s, w.result.stats.prefill_s);
  EXPECT_GT(w.result.stats.prefill_tokens_per_s(), 0);
  EXPECT_GT(w.result.stats.decode_tokens_per_s(), 0);
  EXPECT_FALSE(s->step());
}

TEST(Scheduler, EveryPassHoldsAllThatDecodeAndASlice) {
  auto s = make_scheduler({.kv_positions = 2048}, {.slice_tokens = 64});
  Watched a(prompt(10), 40), b(prompt(20, 1), 40), c(prompt(200, 2), 10);
  a.into(*s), b.into(*s);
  s->step();
  EXPECT_EQ(a.n_tokens, 1);
  EXPECT_EQ(b.n_tokens, 1) << "two short prompts fit one slice";
  c.into(*s);
  for (int i = 2; i < 5; ++i) {
    s->step();
    EXPECT_EQ(a.n_tokens, i);
    EXPECT_EQ(b.n_tokens, i);
  }
  EXPECT_EQ(c.n_log("reading"), 3);
  s->step();
  EXPECT_EQ(c.n_tokens, 1);
  EXPECT_EQ(s->stats().n_passes, 5);
  run_out(*s);
}

TEST(Scheduler, CountsThePassesInWhichAnAnswerWasNotAlone) {
  auto s = make_scheduler({.kv_positions = 2048}, {.slice_tokens = 64});
  Watched alone(prompt(10), 20);
  alone.into(*s);
  run_out(*s);
  EXPECT_EQ(alone.result.stats.n_beside, 0);

  Watched longer(prompt(10, 1), 20), shorter(prompt(10, 2), 5), urgent(prompt(10, 3), 5, Priority::person);
  longer.into(*s), shorter.into(*s);
  run_out(*s);
  EXPECT_EQ(longer.result.stats.n_beside, 4) << "in all but the first pass of the shorter one";
  EXPECT_EQ(shorter.result.stats.n_beside, 4);

  Watched job(prompt(10, 4), 20, Priority::job);
  job.into(*s);
  s->step();
  urgent.into(*s);
  run_out(*s);
  EXPECT_EQ(urgent.result.stats.n_beside, 0) << "who waits has no part";
  EXPECT_EQ(job.result.stats.n_beside, 5) << "waiting is not being alone";
}

TEST(Scheduler, TurnsOfReadingGoRound) {
  auto s = make_scheduler({.kv_positions = 2048}, {.slice_tokens = 64});
  Watched a(prompt(250), 1), b(prompt(250, 1), 1), late(prompt(60, 2), 1);
  a.into(*s), b.into(*s);
  for (int i = 0; i < 4; ++i) s->step();
  EXPECT_EQ(a.log.back(), "reading 128/250");
  EXPECT_EQ(b.log.back(), "reading 128/250");
  late.into(*s);
  for (int i = 0; i < 3; ++i) s->step();
  EXPECT_EQ(late.n_tokens, 1) << "a short prompt does not wait for the long ones";
  EXPECT_EQ(a.n_tokens + b.n_tokens, 0);
  run_out(*s);
}

TEST(Scheduler, APersonPausesImpulsesAndJobsWithinOneStep) {
  auto s = make_scheduler({.kv_positions = 1024});
  Watched job(prompt(20), 60, Priority::job), impulse(prompt(30, 1), 60, Priority::impulse),
      person(prompt(40, 2), 10, Priority::person);
  job.into(*s), impulse.into(*s);
  for (int i = 0; i < 5; ++i) s->step();
  EXPECT_EQ(job.n_tokens, 5);
  person.into(*s);
  s->step();
  EXPECT_EQ(person.n_tokens, 1);
  EXPECT_EQ(job.n_tokens, 5);
  EXPECT_EQ(impulse.n_tokens, 5);
  const int64_t n_read = s->stats().n_read;
  run_out(*s);
  EXPECT_EQ(s->stats().n_read, n_read) << "they kept their pages";
  EXPECT_EQ(job.result.stats.n_generated, 60);
}

TEST(Scheduler, ClassesTakePlacesInStrictOrder) {
  auto s = make_scheduler({.kv_positions = 2048}, {.max_batch = 2});
  Watched compare(prompt(10), 30, Priority::compare), api(prompt(10, 1), 30), late(prompt(10, 2), 30),
      person(prompt(10, 3), 10, Priority::person);
  compare.into(*s), api.into(*s), late.into(*s);
  for (int i = 0; i < 3; ++i) s->step();
  EXPECT_EQ(compare.n_tokens, 0);
  EXPECT_EQ(api.n_tokens, 3);
  EXPECT_EQ(late.n_tokens, 3);
  person.into(*s);
  for (int i = 0; i < 3; ++i) s->step();
  EXPECT_EQ(person.n_tokens, 3);
  EXPECT_EQ(api.n_tokens, 6) << "first come, first served";
  EXPECT_EQ(late.n_tokens, 3) << "it waits with its pages";
  run_out(*s);
  EXPECT_EQ(compare.result.stats.n_generated, 30);
  EXPECT_EQ(s->stats().n_dropped, 0);
}

TEST(Scheduler, WhatCanNeverFitIsRefusedWithTheNumbers) {
  auto s = make_scheduler({.n_ctx = 100});
  const auto refusal = [&](Request r) { return s->submit(std::move(r)).error(); };
  const Error e = refusal({.prompt = prompt(101)});
  EXPECT_EQ(e.code, "context.overflow");
  EXPECT_NE(e.message.find("101"), std::string::npos);
  EXPECT_NE(e.message.find("100"), std::string::npos);
  EXPECT_EQ(refusal({}).code, "context.empty_prompt");
  EXPECT_EQ(refusal({.prompt = {5, -1}}).code, "engine.bad_token");
  EXPECT_EQ(refusal({.prompt = {5}, .generate = {.stop = {""}}}).code, "engine.bad_stop");
  EXPECT_EQ(refusal({.prompt = {5}, .sampling = {.top_p = 3}}).code, "engine.bad_parameter");
  Watched whole(prompt(100), -1), almost(prompt(99), -1);
  whole.into(*s);
  almost.into(*s);
  run_out(*s);
  EXPECT_EQ(whole.result.reason, FinishReason::length) << "a prompt that fills the context leaves no room";
  EXPECT_EQ(whole.n_tokens, 0);
  EXPECT_EQ(almost.result.reason, FinishReason::length);
  EXPECT_EQ(almost.n_tokens, 1) << "prompt and answer together are never longer than the context";
}

TEST(Scheduler, BeyondTheBatchRequestsWaitThenAreRefusedPersonsLast) {
  auto s = make_scheduler({}, {.max_batch = 2, .max_waiting = 3});
  std::vector<std::unique_ptr<Watched>> jobs;
  for (TokenId i = 0; i < 5; ++i) {
    jobs.push_back(std::make_unique<Watched>(prompt(10, i), 5, Priority::job));
    jobs.back()->into(*s);
  }
  EXPECT_EQ(s->submit({.prompt = {5}, .priority = Priority::job}).error().code, "scheduler.full");
  Watched person(prompt(10), 5, Priority::person);
  person.into(*s);
  run_out(*s);
  for (const auto& j : jobs) EXPECT_EQ(j->n_tokens, 5);
  EXPECT_TRUE(s->submit({.prompt = {5}, .priority = Priority::job}));
}

TEST(Scheduler, CancellingTakesEffectBeforeTheNextPass) {
  auto s = make_scheduler({.kv_positions = 1024}, {.slice_tokens = 64});
  Watched decoding(prompt(10), 50), reading(prompt(250, 1), 50), waiting(prompt(10, 2), 50), other(prompt(10, 3), 8);
  decoding.into(*s), reading.into(*s);
  s->step();
  s->step();
  waiting.into(*s), other.into(*s);
  for (Watched* w : {&decoding, &reading, &waiting}) w->handle->cancel();
  const auto n_before = decoding.n_tokens;
  EXPECT_GT(n_before, 0);
  s->step();
  for (Watched* w : {&decoding, &reading, &waiting}) {
    EXPECT_EQ(w->log.back(), "finished cancelled");
    EXPECT_TRUE(w->handle->finished());
  }
  EXPECT_EQ(decoding.n_tokens, n_before);
  EXPECT_EQ(static_cast<int64_t>(decoding.handle->wait().ids.size()), n_before);
  EXPECT_EQ(waiting.log.size(), 1u) << "it never started";
  run_out(*s);
  EXPECT_EQ(other.n_tokens, 8);
  Watched again(prompt(250, 1), 1);
  again.into(*s);
  run_out(*s);
  EXPECT_GT(again.result.stats.n_cached, 0) << "what was read before the cancellation is not lost";
}

TEST(Scheduler, AnEventMayCancelAndSubmit) {
  auto s = make_scheduler({.kv_positions = 1024});
  Watched a(prompt(10), 50), b(prompt(10, 1), 50), c(prompt(10, 2), 3);
  b.request.events.token = [&](const TokenEvent&) {
    a.handle->cancel();
    if (!c.handle) c.into(*s);
  };
  a.into(*s), b.into(*s);
  run_out(*s);
  EXPECT_EQ(a.result.reason, FinishReason::cancelled);
  EXPECT_EQ(b.result.stats.n_generated, 50);
  EXPECT_EQ(c.n_tokens, 3);
}

TEST(Scheduler, StopStringsLimitsAndHeldBackText) {
  const LoadedModel alone = talking_model();
  auto s = make_scheduler({.kv_positions = 1024});
  for (const GenerateOptions& options :
       {GenerateOptions{.max_tokens = 30, .stop = {"a-rather-long-word-3", "zz"}, .ignore_end = true},
        GenerateOptions{.max_tokens = 30, .stop = {"word"}, .ignore_end = true}, GenerateOptions{.max_tokens = 0},
        GenerateOptions{}}) {
    Session session(alone);
    SamplingParams params{.seed = 5, .temperature = 1.5};
    auto sampler = Sampler::create(params, kTalkingVocab);
    ASSERT_TRUE(sampler->accept_prompt(prompt(20)));
    ASSERT_TRUE(session.prefill(prompt(20)));
    const auto expected = session.generate(*sampler, options);
    Watched w(prompt(20), 0);
    w.request.sampling = params;
    w.request.generate = options;
    w.into(*s);
    run_out(*s);
    EXPECT_EQ(w.text, expected->text);
    EXPECT_EQ(w.result.ids, expected->ids);
    EXPECT_EQ(w.result.reason, expected->finish);
    EXPECT_EQ(w.result.stop_string.has_value(), w.result.reason == FinishReason::stop && !options.stop.empty());
  }
}

TEST(Scheduler, LogprobsComeFromTheRawLogits) {
  auto s = make_scheduler({});
  Watched w(prompt(20), 4);
  w.request.sampling.n_probs = 5;
  w.request.sampling.logit_bias = {{9, 100.0f}};
  double biased = 0;
  w.request.events.token = [&](const TokenEvent& t) {
    EXPECT_EQ(t.token, 9);
    ASSERT_TRUE(t.logprob);
    EXPECT_EQ(t.top.size(), 5u);
    EXPECT_GE(t.top[0].logprob, *t.logprob);
    biased = *t.logprob;
  };
  w.into(*s);
  run_out(*s);
  EXPECT_LT(biased, 0);
}

TEST(Scheduler, AMaskBelongsToItsRequest) {
  auto s = make_scheduler({.kv_positions = 1024});
  Watched masked(prompt(20), 30), plain(prompt(20), 30);
  masked.request.mask = std::make_unique<EveryThird>();
  masked.into(*s), plain.into(*s);
  run_out(*s);
  for (size_t i = 0; i < masked.result.ids.size(); ++i)
    EXPECT_EQ((masked.result.ids[i] - 3) % 3, static_cast<TokenId>(i % 3));
  EXPECT_NE(masked.result.ids, plain.result.ids);
}

TEST(Scheduler, AnErrorEndsOneRequestAndNoOther) {
  auto s = make_scheduler({.kv_positions = 1024});
  Watched broken(prompt(20), 30), good(prompt(20, 1), 30);
  for (TokenId t = 0; t < kTalkingVocab; ++t)
    broken.request.sampling.logit_bias.push_back({t, -std::numeric_limits<float>::infinity()});
  broken.into(*s), good.into(*s);
  run_out(*s);
  EXPECT_EQ(broken.result.reason, FinishReason::error);
  EXPECT_EQ(broken.result.error->code, "engine.no_token");
  EXPECT_EQ(good.n_tokens, 30);
}

TEST(Scheduler, WhatIsLeftAtTheEndIsTold) {
  Watched running(prompt(10), 50), waiting(prompt(10, 1), 50);
  std::string refused;
  {
    auto s = make_scheduler({}, {.max_batch = 1});
    const auto note = std::exchange(running.request.events.finished, {});
    running.request.events.finished = [&, note, s = s.get()](const Finished& f) {
      note(f);
      refused = s->submit({.prompt = {5}}).error().code;
    };
    running.into(*s), waiting.into(*s);
    s->step();
  }
  for (const Watched* w : {&running, &waiting}) {
    EXPECT_EQ(w->handle->wait().reason, FinishReason::error);
    EXPECT_EQ(w->result.error->code, "scheduler.stopped");
  }
  EXPECT_EQ(refused, "scheduler.stopped");
  running.handle->cancel();  // a handle may outlive the scheduler
}

TEST(Scheduler, ModelsWithoutVocabularyAreRefused) {
  LoadedModel m = talking_model();
  m.tokenizer = nullptr;
  EXPECT_EQ(Scheduler::create(m).error().code, "model.no_vocabulary");
}

}  // namespace
}  // namespace watra::engine
