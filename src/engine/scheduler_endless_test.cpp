// Requests that go on where their context is full: what is forgotten, and what must not notice it.
#include <gtest/gtest.h>

#include "engine/random_proposer_test.h"
#include "engine/tiny_model_test.h"
#include "engine/watched_request_test.h"

namespace watra::engine {
namespace {

constexpr int64_t kContext = 256;

// By alone(): with Session, on the text that is left each time.
Answer truth(const Tokens& prompt, int64_t max_tokens, const Endless& endless, const GenerateOptions& more = {},
             const SamplingParams& sampling = {.temperature = 0}) {
  Asked asked{.prompt = prompt, .sampling = sampling, .generate = more, .endless = endless};
  asked.generate.max_tokens = max_tokens;
  asked.generate.ignore_end = true;
  return alone(talking_model({.n_ctx = kContext}), asked);
}

TEST(Forgetting, AQuarterOfWhatLiesBehindTheBeginning) {
  const auto plain = *Forgetting::create({}, 100, 4096);
  EXPECT_EQ(plain.n_kept(), 64) << "at least a page";
  EXPECT_EQ(plain.n_step(), 960) << "whole pages of 1,008";
  EXPECT_EQ(plain.n_to_forget(4095), 0) << "there is room for one more";
  EXPECT_EQ(plain.n_to_forget(4096), 960);
  EXPECT_EQ(plain.n_to_forget(4095 + 960), 960);
  EXPECT_EQ(plain.n_to_forget(4095 + 961), 1920) << "a prompt that is too long";

  const auto persona = *Forgetting::create({.n_keep = 1000}, 100, 4096);
  EXPECT_EQ(persona.n_kept(), 1000);
  EXPECT_EQ(persona.n_step(), 768);
  EXPECT_EQ(Forgetting::create({.n_keep = -1}, 2000, 4096)->n_kept(), 2000);
  EXPECT_EQ(Forgetting::create({.n_keep = -1}, 9000, 4096)->n_kept(), 3072) << "room for an answer stays";
  EXPECT_EQ(Forgetting::create({}, 5, 128)->n_kept(), 32);
  EXPECT_EQ(Forgetting::create({}, 5, 128)->n_step(), 24);
  EXPECT_EQ(Forgetting::create({.n_discard = 500}, 5, 4096)->n_step(), 500);
  EXPECT_EQ(Forgetting::create({.n_discard = 1}, 5, 4096)->n_step(), 64) << "what stays is read again each time";
  EXPECT_EQ(Forgetting::create({.n_discard = 100'000}, 5, 4096)->n_step(), 4096 - 64 - 1);
  EXPECT_EQ(Forgetting::create({.n_keep = 4092}, 5, 4096)->n_step(), 1);
}

TEST(Forgetting, WhatLeavesNoRoomIsRefusedWithTheNumbers) {
  const auto refused = Forgetting::create({.n_keep = 4093}, 5, 4096);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "engine.bad_parameter");
  EXPECT_EQ(refused.error().message, "n_keep: needs -1 to 4092 in a context of 4096, found 4093");
  EXPECT_EQ(Forgetting::create({.n_keep = -2}, 5, 4096).error().code, "engine.bad_parameter");
  EXPECT_EQ(Forgetting::create({.n_discard = -1}, 5, 4096).error().message, "n_discard: needs 0 or more, found -1");
}

TEST(Forgetting, SomethingIsLeftOfEveryText) {
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    const int64_t n_ctx = random.between(5, 400);
    const Endless asked{.n_keep = random.between(-1, n_ctx - 4), .n_discard = random.between(0, 500)};
    const int64_t n = random.between(1, 1000);
    const auto f = *Forgetting::create(asked, n, n_ctx);
    const int64_t left = n - f.n_to_forget(n);
    EXPECT_GE(f.n_step(), 1);
    EXPECT_LT(left, n_ctx);
    EXPECT_TRUE(n < n_ctx ? left == n : left > f.n_kept()) << n << " of " << n_ctx << ", kept " << f.n_kept();
  }
}

TEST(SchedulerEndless, AnAnswerGoesOnBeyondThreeContexts) {
  auto s = make_scheduler({.n_ctx = kContext});
  Watched w(prompt(100), 900);
  std::vector<Forgot> forgot;
  w.request.endless.emplace();
  w.request.events.forgot = [&](const Forgot& f) { forgot.push_back(f); };
  w.into(*s);
  run_out(*s);
  const Answer expected = truth(prompt(100), 900, {});
  EXPECT_EQ(w.result.ids, expected.ids);
  EXPECT_EQ(w.text, expected.text);
  EXPECT_EQ(w.result.reason, FinishReason::length);
  EXPECT_EQ(w.n_tokens, 900);
  // 100 + 900 tokens, of which 255 have room, 48 at a time.
  ASSERT_EQ(forgot.size(), 16u);
  for (size_t i = 0; i < forgot.size(); ++i) {
    EXPECT_EQ(forgot[i].n_now, 48);
    EXPECT_EQ(forgot[i].n_in_all, static_cast<int64_t>(i + 1) * 48);
  }
  const RequestStats& stats = w.result.stats;
  EXPECT_EQ(stats.n_forgotten, 16 * 48);
  EXPECT_EQ(stats.n_left_out, 0);
  EXPECT_EQ(stats.n_prompt, 100) << "as it was asked";
  EXPECT_EQ(stats.n_generated, 900);
  EXPECT_EQ(stats.n_cached, 0) << "its own pages, taken up again, do not count";
  EXPECT_LE(stats.n_reread, 16 * (255 - 48 - 64)) << "all but the page that stays";
  EXPECT_GE(stats.n_reread, 16 * 64);
  EXPECT_EQ(s->stats().n_tokens_most, 1000);
  EXPECT_EQ(s->stats().kv_pages_free + s->stats().kv_pages_cached, s->stats().kv_pages);
}

TEST(SchedulerEndless, WithoutItTheContextIsTheEnd) {
  auto s = make_scheduler({.n_ctx = kContext});
  Watched w(prompt(100), 900);
  w.into(*s);
  run_out(*s);
  EXPECT_EQ(w.n_tokens, kContext - 100);
  EXPECT_EQ(w.result.reason, FinishReason::length);
  EXPECT_EQ(w.result.stats.n_forgotten, 0);
  Request longer{.prompt = prompt(300)};
  EXPECT_EQ(s->submit(std::move(longer)).error().code, "context.overflow");
}

// What the model says next is what it says to a request that asks with just what is left.
TEST(SchedulerEndless, TheStateIsThatOfTheTokensThatAreLeft) {
  struct Told {
    TokenId token;
    std::vector<std::pair<TokenId, double>> all;
    bool operator==(const Told&) const = default;
  };
  for (const bool quantized : {false, true}) {
    const auto types = quantized ? KvTypes(KvType::q8_0, KvType::q4_0) : KvTypes();
    const TalkingModelOptions model{.n_ctx = kContext, .kv_positions = 4 * kContext, .kv_types = types};
    const auto ask = [](Tokens tokens, int64_t n) {
      Request r{.prompt = std::move(tokens), .sampling = {.temperature = 0, .n_probs = kTalkingVocab}};
      r.generate = {.max_tokens = n, .ignore_end = true};
      return r;
    };
    const auto note = [](std::vector<Told>& told) {
      return [&told](const TokenEvent& e) {
        Told& t = told.emplace_back(e.token);
        for (const TokenLogprob& p : e.top) t.all.emplace_back(p.token, p.logprob);
      };
    };
    const auto s = make_scheduler(model);
    Tokens window = prompt(150);
    std::vector<Tokens> windows;
    std::vector<Told> told;
    std::vector<size_t> at;
    Request endless = ask(prompt(150), 700);
    endless.endless = {.n_keep = 70};
    endless.events.token = note(told);
    endless.events.forgot = [&](const Forgot& f) {
      for (size_t i = window.size() - 150; i < told.size(); ++i) window.push_back(told[i].token);
      Tokens left = window;
      left.erase(left.begin() + 70, left.begin() + 70 + f.n_in_all);
      windows.push_back(std::move(left));
      at.push_back(told.size());
    };
    ASSERT_TRUE(s->submit(std::move(endless)));
    run_out(*s);
    ASSERT_GT(windows.size(), 8u);
    for (size_t i = 0; i < windows.size(); ++i) {
      const auto fresh = make_scheduler(model);
      for (Scheduler* who : {fresh.get(), s.get()}) {  // nothing is cached; what the long answer left is cached
        std::vector<Told> alone;
        Request r = ask(windows[i], 3);
        r.events.token = note(alone);
        ASSERT_TRUE(who->submit(std::move(r)));
        run_out(*who);
        ASSERT_EQ(alone.size(), 3u);
        EXPECT_TRUE(std::equal(alone.begin(), alone.end(), told.begin() + static_cast<ptrdiff_t>(at[i])))
            << i << ", quantized " << quantized;
      }
    }
  }
}

TEST(SchedulerEndless, APromptThatIsTooLongLosesItsMiddle) {
  auto s = make_scheduler({.n_ctx = kContext, .kv_positions = 4 * kContext}, {.slice_tokens = 64});
  Watched w(prompt(700), 5);
  w.request.endless = {.n_keep = 100};
  w.request.events.forgot = [&w](const Forgot& f) {
    w.log.push_back(fmt::format("forgot {}/{}", f.n_now, f.n_in_all));
  };
  w.into(*s);
  run_out(*s);
  // 445 too many, in steps of 39: 232 are left.
  EXPECT_EQ(w.log, (std::vector<std::string>{"started 0/700", "forgot 468/468", "reading 532/700", "reading 596/700",
                                             "reading 660/700", "token", "token", "token", "token", "token",
                                             "finished length"}));
  EXPECT_EQ(w.result.stats.n_left_out, 468);
  EXPECT_EQ(w.result.stats.n_forgotten, 468);
  EXPECT_EQ(w.result.stats.n_prompt, 700);
  EXPECT_EQ(s->stats().n_read, 232);

  Tokens left = prompt(700);
  left.erase(left.begin() + 100, left.begin() + 568);
  Watched plain(left, 5);
  plain.into(*s);
  run_out(*s);
  EXPECT_EQ(plain.result.ids, w.result.ids);
  EXPECT_EQ(plain.result.stats.n_cached, 231);

  Watched next(prompt(720), 5);  // the conversation goes on: the same step, so that its beginning is cached
  next.request.endless = {.n_keep = 100};
  next.into(*s);
  run_out(*s);
  EXPECT_EQ(next.result.stats.n_left_out, 468);
  EXPECT_EQ(next.result.stats.n_cached, 232);
}

TEST(SchedulerEndless, AStopStringReachesAcrossWhatIsForgotten) {
  constexpr size_t kFull = kContext - 60;  // tokens that fill the context
  const SamplingParams sampling{.seed = 4, .temperature = 1};
  const LoadedModel model = talking_model();
  int n_found = 0;
  for (TokenId salt = 0; salt < 80 && n_found < 3; ++salt) {
    const Answer whole = truth(prompt(60, salt), 300, {}, {}, sampling);
    std::string stop;  // begins two tokens before the step and ends two behind it
    for (size_t i = kFull - 2; i < kFull + 2; ++i) stop += model.tokenizer->token_bytes(whole.ids[i], true);
    if (!StopMatcher::create(std::vector{stop})) continue;  // half a character
    const Answer expected = truth(prompt(60, salt), 300, {}, {.stop = {stop}}, sampling);
    if (expected.finish != FinishReason::stop || expected.ids.size() != kFull + 2) continue;
    ++n_found;
    Tokens all = prompt(60, salt);
    all.insert(all.end(), whole.ids.begin(), whole.ids.end());
    for (const bool drafts : {false, true}) {
      SchedulerOptions options;
      options.speculation = {.max_nodes = 7, .always = true};
      if (drafts)
        options.make_proposers = [&all](int64_t) {
          std::vector<std::unique_ptr<Proposer>> p;
          p.push_back(std::make_unique<NoisyOracle>(all, 3));
          return p;
        };
      auto s = make_scheduler({.n_ctx = kContext}, options);
      Watched w(prompt(60, salt), 300);
      w.request.sampling = sampling;
      w.request.generate.stop = {stop};
      w.request.endless.emplace();
      w.into(*s);
      run_out(*s);
      EXPECT_EQ(w.result.ids, expected.ids);
      EXPECT_EQ(w.result.reason, FinishReason::stop);
      EXPECT_EQ(w.text, whole.text.substr(0, whole.text.find(stop)));
      EXPECT_GT(w.result.stats.n_forgotten, 0);
      EXPECT_EQ(w.result.stats.speculation.n_accepted > 20, drafts);
    }
  }
  EXPECT_EQ(n_found, 3);
}

TEST(SchedulerEndless, AMaskHoldsAcrossWhatIsForgotten) {
  for (const bool drafts : {false, true}) {
    SchedulerOptions options;
    options.speculation = {.max_nodes = 7, .shape = DraftShape::tree, .always = true};
    if (drafts)
      options.make_proposers = [](int64_t) {
        std::vector<std::unique_ptr<Proposer>> p;
        p.push_back(std::make_unique<RandomProposer>(7));
        return p;
      };
    auto s = make_scheduler({.n_ctx = kContext}, options);
    Watched w(prompt(60), 600);
    w.request.mask = std::make_unique<EveryThird>();
    w.request.sampling = {.seed = 4, .temperature = 1};
    w.request.endless.emplace();
    w.into(*s);
    run_out(*s);
    ASSERT_EQ(w.result.ids.size(), 600u);
    EXPECT_GT(w.result.stats.n_forgotten, 300);
    for (size_t i = 0; i < w.result.ids.size(); ++i) ASSERT_EQ(w.result.ids[i] % 3, static_cast<TokenId>(i % 3)) << i;
  }
}

TEST(SchedulerEndless, PenaltiesSeeWhatIsForgotten) {
  Asked asked{.prompt = prompt(60), .sampling = {.temperature = 0}, .endless = Endless{}};
  asked.generate = {.max_tokens = 700, .ignore_end = true};
  asked.sampling.repeat_penalty = 1.2;
  asked.sampling.repeat_last_n = -1;
  asked.sampling.dry_multiplier = 0.8;
  asked.sampling.dry_penalty_last_n = -1;
  const Answer expected = alone(talking_model({.n_ctx = kContext}), asked);
  auto s = make_scheduler({.n_ctx = kContext});
  Watched w(asked.prompt, 700);
  w.request.sampling = asked.sampling;
  w.request.endless = asked.endless;
  w.into(*s);
  run_out(*s);
  EXPECT_EQ(w.result.ids, expected.ids);
  EXPECT_NE(w.result.ids, truth(prompt(60), 700, {}).ids);
}

TEST(SchedulerEndless, OthersAndMissingPagesChangeNothing) {
  const Answer a_alone = truth(prompt(100), 500, {}), b_alone = truth(prompt(140, 1), 500, {.n_keep = -1});
  auto s = make_scheduler({.n_ctx = kContext, .kv_positions = 512}, {.turn_tokens = 40});
  Watched a(prompt(100), 500), b(prompt(140, 1), 500), c(prompt(90, 2), 150), d(prompt(30, 3), 200, Priority::person);
  a.request.endless.emplace();
  b.request.endless = {.n_keep = -1};
  for (Watched* w : {&a, &b, &c, &d}) w->into(*s);
  run_out(*s);
  EXPECT_EQ(a.result.ids, a_alone.ids);
  EXPECT_EQ(b.result.ids, b_alone.ids);
  EXPECT_GT(s->stats().n_dropped, 0);
  EXPECT_EQ(c.n_tokens, 150);
  EXPECT_EQ(d.n_tokens, 200);
  EXPECT_EQ(s->stats().kv_pages_free + s->stats().kv_pages_cached, s->stats().kv_pages);
}

TEST(SchedulerEndless, HowFarItIsReadAgainIsTold) {
  auto s = make_scheduler({.n_ctx = kContext}, {.slice_tokens = 40});
  Watched w(prompt(100), 200);
  w.request.endless.emplace();
  w.request.events.forgot = [&](const Forgot& f) { w.log.push_back(fmt::format("forgot {}", f.n_now)); };
  w.into(*s);
  run_out(*s);
  // A full context of 256, of which 48 go; the first page is found in the cache.
  const auto forgot = std::ranges::find(w.log, "forgot 48");
  ASSERT_NE(forgot, w.log.end());
  EXPECT_EQ(std::count_if(w.log.begin(), forgot, [](const std::string& e) { return e.starts_with("again"); }), 0);
  const std::vector<std::string> told(forgot + 1, forgot + 5);
  EXPECT_EQ(told, (std::vector<std::string>{"again 104/208", "again 144/208", "again 184/208", "token"}));
  EXPECT_EQ(w.n_log("reading"), 2) << "40 and 80 of 100: the prompt alone";
  EXPECT_EQ(w.n_log("again"), 3 * w.n_log("forgot"));
}

TEST(SchedulerEndless, CancellingWhileItIsReadAgainTakesEffectAtOnce) {
  const Answer whole = truth(prompt(100), 300, {});
  for (const int n_steps : {0, 1, 3}) {
    auto s = make_scheduler({.n_ctx = kContext}, {.slice_tokens = 16});
    Watched w(prompt(100), 300);
    bool forgot = false;
    w.request.endless.emplace();
    w.request.events.forgot = [&](const Forgot&) { forgot = true; };
    w.into(*s);
    for (int i = 0; !forgot; ++i) {
      ASSERT_LT(i, 1000);
      ASSERT_TRUE(s->step());
    }
    for (int i = 0; i < n_steps; ++i) s->step();
    EXPECT_EQ(w.n_tokens, kContext - 100) << "it is being read again";
    w.handle->cancel();
    s->step();
    EXPECT_TRUE(w.handle->finished());
    EXPECT_EQ(w.result.reason, FinishReason::cancelled);
    EXPECT_TRUE(std::equal(w.result.ids.begin(), w.result.ids.end(), whole.ids.begin()));
    EXPECT_EQ(w.result.ids.size(), static_cast<size_t>(kContext) - 100);
    EXPECT_EQ(s->stats().kv_pages_free + s->stats().kv_pages_cached, s->stats().kv_pages);
    Watched again(prompt(100), 300);
    again.request.endless.emplace();
    again.into(*s);
    run_out(*s);
    EXPECT_EQ(again.result.ids, whole.ids);
  }
}

// Every page lies on the disk under the name of what it was read after.
TEST(SchedulerEndless, WhatIsRestoredFromTheDiskIsWhatWasRead) {
  const TestFolder folder;
  TalkingModelOptions model{.n_ctx = kContext, .kv_positions = 1024};
  Tokens window = prompt(150);
  int64_t n_forgotten = 0;
  {
    TalkingModelOptions kept = model;
    kept.kv_store = KvStoreOptions{.folder = folder.path() / "kv", .keep_free_bytes = 0, .min_tokens = 64};
    auto loaded = talking_model(kept);
    const auto budget = loaded.budget;  // the store outlives the model here
    const auto store = loaded.kv_store;
    auto s = Scheduler::create(std::move(loaded));
    ASSERT_TRUE(s);
    Watched w(prompt(150), 600);
    w.request.endless.emplace();
    w.into(**s);
    run_out(**s);
    window.insert(window.end(), w.result.ids.begin(), w.result.ids.end() - 1);
    n_forgotten = w.result.stats.n_forgotten;
    store->drain();
  }
  window.erase(window.begin() + 64, window.begin() + 64 + n_forgotten);
  const auto ask = [&](bool restores) {
    TalkingModelOptions m = model;
    if (restores) m.kv_store = KvStoreOptions{.folder = folder.path() / "kv", .keep_free_bytes = 0, .min_tokens = 64};
    auto s = Scheduler::create(talking_model(m));
    EXPECT_TRUE(s);
    Watched w(window, 40);
    w.into(**s);
    run_out(**s);
    return w.result;
  };
  const Finished restored = ask(true), plain = ask(false);
  EXPECT_GE(restored.stats.n_restored, 128);
  EXPECT_EQ(restored.ids, plain.ids);
}

TEST(SchedulerEndless, WhatCannotBeIsRefused) {
  auto s = make_scheduler({.n_ctx = kContext});
  const auto code = [&](Request r) {
    const auto handle = s->submit(std::move(r));
    return handle ? std::string("taken") : handle.error().code;
  };
  EXPECT_EQ(code({.prompt = prompt(10), .endless = Endless{.n_keep = kContext}}), "engine.bad_parameter");
  EXPECT_EQ(code({.prompt = prompt(10), .endless = Endless{.n_discard = -1}}), "engine.bad_parameter");
  for (const int64_t n : {kContext, kContext + 50}) {
    Request told{.prompt = prompt(n), .endless = Endless{}};
    told.events.prompt_token = [](const PromptToken&) {};
    EXPECT_EQ(code(std::move(told)), "context.overflow") << "what is told of each token must be read";
  }
}

}  // namespace
}  // namespace watra::engine
