// Pages: shared, kept, short, and nothing else allocated.
#include <gtest/gtest.h>

#include "engine/allocation_count_test.h"
#include "engine/scheduler.h"
#include "engine/watched_request_test.h"

namespace watra::engine {
namespace {

TEST(SchedulerPages, ConcurrentRequestsShareALongPromptWhileItIsRead) {
  auto s = make_scheduler({.n_ctx = 512, .kv_positions = 2048}, {.slice_tokens = 64});
  Watched a(prompt(400), 5), b(prompt(400), 5);
  a.into(*s), b.into(*s);
  run_out(*s);
  EXPECT_EQ(a.result.ids, b.result.ids);
  EXPECT_LE(s->stats().n_read, 400 + 2 * 16) << "all but the last, partly filled page was read once";
  EXPECT_GE(s->stats().n_from_cache, 384);
}

TEST(SchedulerPages, AConversationGoesOnWhereItEnded) {
  auto s = make_scheduler({});
  Watched first(prompt(100), 20);
  first.into(*s);
  run_out(*s);
  Tokens next = prompt(100);
  next.insert(next.end(), first.result.ids.begin(), first.result.ids.end());
  const Tokens more = prompt(10, 5);
  next.insert(next.end(), more.begin(), more.end());
  Watched second(next, 5);
  second.into(*s);
  run_out(*s);
  EXPECT_EQ(second.log[0], "started 119/130") << "the answer's last token was never run";
  EXPECT_EQ(second.result.stats.n_cached, 119);

  auto without = make_scheduler({}, {.reuse_prefixes = false});
  Watched again(next, 5);
  again.into(*without);
  run_out(*without);
  EXPECT_EQ(again.result.ids, second.result.ids);
  EXPECT_EQ(without->stats().kv_pages_free, without->stats().kv_pages);
}

TEST(SchedulerPages, WhenPagesRunOutTheLeastUrgentReadsAgainAndWritesTheSame) {
  const auto answers = [](int64_t kv_positions, int64_t& n_dropped, int64_t& n_reread) {
    auto s = make_scheduler({.n_ctx = 256, .kv_positions = kv_positions});
    Watched a(prompt(60), 150, Priority::person), b(prompt(90, 1), 150), c(prompt(40, 2), 150),
        d(prompt(50, 3), 100, Priority::job);
    for (Watched* w : {&a, &b, &c, &d}) w->into(*s);
    run_out(*s);
    n_dropped = s->stats().n_dropped;
    n_reread = c.result.stats.n_reread;
    EXPECT_EQ(a.result.stats.n_reread, 0);
    EXPECT_EQ(s->stats().kv_pages_free + s->stats().kv_pages_cached, s->stats().kv_pages);
    return std::vector{a.result.ids, b.result.ids, c.result.ids, d.result.ids};
  };
  int64_t n_dropped = 0, n_reread = 0;
  const auto roomy = answers(2048, n_dropped, n_reread);
  EXPECT_EQ(n_dropped, 0);
  const auto tight = answers(512, n_dropped, n_reread);
  EXPECT_GT(n_dropped, 0);
  EXPECT_GT(n_reread, 0) << "of one class the newest gives way";
  EXPECT_EQ(tight, roomy);
}

TEST(SchedulerPages, CachedPrefixesMakeRoomFirst) {
  auto s = make_scheduler({.n_ctx = 256, .kv_positions = 512});
  for (TokenId i = 0; i < 10; ++i) {
    Watched w(prompt(120, i), 20);
    w.into(*s);
    run_out(*s);
  }
  EXPECT_GT(s->stats().n_evicted, 5);
  EXPECT_EQ(s->stats().n_dropped, 0);
  Watched newest(prompt(120, 9), 1), oldest(prompt(120, 0), 1);
  newest.into(*s);
  run_out(*s);
  oldest.into(*s);
  run_out(*s);
  EXPECT_EQ(newest.result.stats.n_cached, 119);
  EXPECT_EQ(oldest.result.stats.n_cached, 0);
}

TEST(SchedulerPages, DecodingAllocatesNothing) {
  auto s = make_scheduler({.n_ctx = 512, .kv_positions = 2048});
  int64_t n_bytes = 0;
  std::vector<RequestHandle> handles;
  for (TokenId i = 0; i < 6; ++i) {
    Request r{.prompt = prompt(20 + 10 * i, i), .priority = static_cast<Priority>(i % 2)};
    r.generate = {.max_tokens = 400, .stop = {"no such text", "\n\n\n\n"}, .ignore_end = true};
    r.sampling.seed = i;
    r.sampling.temperature = i % 2 ? 1.0 : 0.0;
    r.sampling.repeat_penalty = 1.1;
    r.sampling.dry_multiplier = i == 3 ? 0.8 : 0;
    r.sampling.n_probs = i == 4 ? 5 : 0;
    if (i == 5) r.mask = std::make_unique<EveryThird>();
    r.events.token = [&n_bytes](const TokenEvent& t) { n_bytes += static_cast<int64_t>(t.text.size()); };
    handles.push_back(*s->submit(std::move(r)));
  }
  for (int i = 0; i < 60; ++i) s->step();
  const int64_t n_before = s->stats().n_decoded, n_pages = s->stats().kv_pages_cached, text_before = n_bytes;
  const long before = allocation_count();
  for (int i = 0; i < 200; ++i) s->step();
  EXPECT_EQ(allocation_count(), before);
  EXPECT_EQ(s->stats().n_decoded - n_before, 6 * 200) << "all of them were decoding";
  EXPECT_GE(s->stats().kv_pages_cached - n_pages, 6 * 3) << "pages filled up and were kept";
  EXPECT_GT(n_bytes, text_before);
}

}  // namespace
}  // namespace watra::engine
