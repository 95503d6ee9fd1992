// An answer does not depend on what runs beside it: random schedules against Session, one request alone.
#include <gtest/gtest.h>

#include "engine/random_proposer_test.h"
#include "engine/random_request_test.h"

namespace watra::engine {
namespace {

KvTypes random_types(Random& random) {
  const auto type = [&] { return kernels::kKvTypes[random.between(0, std::ssize(kernels::kKvTypes) - 1)]; };
  KvTypes types(type(), type());
  if (random.chance(0.5)) types.with(1, 1, {type(), type()});
  return types;
}

struct Kind {
  bool speculate = false, endless = false;
};

struct Sum : SchedulerStats {
  int64_t n_forgotten = 0;
};

Sum expect_same_answers(uint32_t seed, Kind kind) {
  Random random(seed);
  const int64_t n_ctx = random.between(2, 5) * 60;
  const KvTypes types = random.chance(0.5) ? KvTypes() : random_types(random);
  const LoadedModel single = talking_model({.n_ctx = n_ctx, .max_rows = 512, .kv_types = types});
  const LoadedModel shared = talking_model({.n_ctx = n_ctx,
                                            .kv_positions = n_ctx * random.between(1, 4),
                                            .max_rows = random.between(1, 80),
                                            .max_logit_rows = random.between(1, 6),
                                            .threads = seed == 0 ? 2 : 1,
                                            .kv_types = types});
  SchedulerOptions options{.slice_tokens = random.chance(0.5) ? random.between(1, 70) : 0,
                           .turn_tokens = seed % 2 ? 1 + seed % 20 : 256,
                           .reuse_prefixes = random.chance(0.85)};
  if (kind.speculate) {
    options.make_proposers = [&random](int64_t) { return random_proposers(random); };
    options.speculation = {.max_nodes = static_cast<int32_t>(random.between(1, 8)),
                           .shape = random.chance(0.5) ? DraftShape::tree : DraftShape::chain,
                           .always = random.chance(0.8)};
  }
  auto scheduler = Scheduler::create(shared, options);
  EXPECT_TRUE(scheduler);
  std::vector<std::vector<TokenId>> beginnings;
  for (int i = 0; i < 3; ++i) beginnings.push_back(random.tokens(random.between(20, n_ctx - 50)));

  constexpr int kRequests = 24;
  std::vector<Asked> asked;
  std::vector<Answer> got(kRequests);
  std::vector<RequestHandle> handles;
  Sum sum;
  std::vector<bool> cancelled(kRequests);
  for (int64_t n_steps = 0;; ++n_steps) {
    if (n_steps > 100000) return ADD_FAILURE() << "schedule " << seed << " does not end", Sum{};
    while (asked.size() < kRequests && random.chance(0.15)) {
      const size_t i = asked.size();
      asked.push_back(kind.endless ? random_endless_request(random, beginnings, n_ctx)
                                   : random_request(random, beginnings, n_ctx));
      Request request{.prompt = asked[i].prompt,
                      .sampling = asked[i].sampling,
                      .generate = asked[i].generate,
                      .priority = asked[i].priority,
                      .endless = asked[i].endless};
      request.events.token = [&got, i](const TokenEvent& t) {
        got[i].text += t.text;
        if (t.token != text::kNoToken) got[i].ids.push_back(t.token);
      };
      request.events.finished = [&got, &sum, i](const Finished& f) {
        EXPECT_EQ(f.ids, got[i].ids);
        EXPECT_FALSE(f.error) << f.error->to_string();
        got[i].finish = f.reason;
        sum.n_forgotten += f.stats.n_forgotten;
      };
      auto handle = (*scheduler)->submit(std::move(request));
      EXPECT_TRUE(handle);
      handles.push_back(std::move(*handle));
    }
    if (!handles.empty() && random.chance(0.01)) {
      const auto i = static_cast<size_t>(random.between(0, static_cast<int64_t>(handles.size()) - 1));
      if (!handles[i].finished()) handles[i].cancel(), cancelled[i] = true;
    }
    const bool more = (*scheduler)->step();
    if (!more && asked.size() == kRequests) break;
  }
  static_cast<SchedulerStats&>(sum) = (*scheduler)->stats();
  EXPECT_EQ(sum.kv_pages_free + sum.kv_pages_cached, sum.kv_pages) << "no page is lost";

  for (size_t i = 0; i < kRequests; ++i) {
    EXPECT_TRUE(handles[i].finished());
    Answer expected = alone(single, asked[i]);
    if (cancelled[i] && got[i].finish == FinishReason::cancelled) {
      expected.ids.resize(std::min(got[i].ids.size(), expected.ids.size()));
      EXPECT_EQ(got[i].ids, expected.ids) << "request " << i << " of schedule " << seed;
    } else {
      EXPECT_EQ(got[i], expected) << "request " << i << " of schedule " << seed;
    }
  }
  return sum;
}

class SchedulerExactness : public testing::TestWithParam<uint32_t> {};

TEST_P(SchedulerExactness, AnswersAreThoseOfASessionAlone) {
  constexpr uint32_t kSchedules = 20;
  SchedulerStats sum;
  for (uint32_t i = 0; i < kSchedules; ++i) {
    const SchedulerStats s = expect_same_answers(GetParam() * kSchedules + i, {});
    sum.n_from_cache += s.n_from_cache;
    sum.n_dropped += s.n_dropped;
    sum.n_evicted += s.n_evicted;
  }
  // What must not matter did happen.
  EXPECT_GT(sum.n_from_cache, 1000);
  EXPECT_GT(sum.n_dropped, 20);
  EXPECT_GT(sum.n_evicted, 100);
}

TEST_P(SchedulerExactness, DraftsChangeNoAnswer) {
  constexpr uint32_t kSchedules = 15;
  SchedulerStats sum;
  for (uint32_t i = 0; i < kSchedules; ++i) {
    const SchedulerStats s = expect_same_answers(1000 + GetParam() * kSchedules + i, {.speculate = true});
    sum.n_dropped += s.n_dropped;
    sum.n_drafted += s.n_drafted;
    sum.n_accepted += s.n_accepted;
  }
  EXPECT_GT(sum.n_dropped, 10);
  EXPECT_GT(sum.n_drafted, 1500);
  EXPECT_GT(sum.n_accepted, 200);
}

// Also where a context is full and a part of the text is forgotten.
TEST_P(SchedulerExactness, AnswersLongerThanTheirContextAreThoseOfARequestAlone) {
  constexpr uint32_t kSchedules = 12;
  Sum sum;
  for (uint32_t i = 0; i < kSchedules; ++i) {
    const Sum s = expect_same_answers(2000 + GetParam() * kSchedules + i, {.speculate = i % 3 != 0, .endless = true});
    sum.n_dropped += s.n_dropped;
    sum.n_accepted += s.n_accepted;
    sum.n_forgotten += s.n_forgotten;
  }
  EXPECT_GT(sum.n_dropped, 10);
  EXPECT_GT(sum.n_accepted, 200);
  EXPECT_GT(sum.n_forgotten, 2000);
}

INSTANTIATE_TEST_SUITE_P(RandomSchedules, SchedulerExactness, testing::Range(0u, 4u));

// The test above would pass with a model that ignores what it read.
TEST(SchedulerExactness, TheModelLooksAtItsWholePrompt) {
  const LoadedModel model = talking_model();
  Random random(1);
  Asked asked{.prompt = random.tokens(150), .sampling = {.temperature = 0}, .generate = {.max_tokens = 20}};
  const Answer plain = alone(model, asked);
  int n_changed = 0;
  for (const size_t at : {0u, 40u, 70u, 100u, 149u}) {
    Asked other = asked;
    other.prompt[at] = other.prompt[at] == 5 ? 6 : 5;
    n_changed += alone(model, other) != plain;
  }
  EXPECT_GE(n_changed, 4);
}

}  // namespace
}  // namespace watra::engine
