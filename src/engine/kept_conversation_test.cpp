// Conversations that go on from the disk: the same bits and the same answers as without it.
#include <gtest/gtest.h>

#include "base/fault.h"
#include "engine/session.h"
#include "engine/tiny_model_test.h"
#include "engine/watched_request_test.h"

namespace watra::engine {
namespace {

KvStoreOptions kept_in(const TestFolder& folder) { return {.folder = folder.path() / "kv", .keep_free_bytes = 0}; }

TalkingModelOptions model_with(const std::optional<KvStoreOptions>& store) {
  return {.n_ctx = 1024, .kv_positions = 2048, .kv_store = store};
}

struct Told {
  PrefillReport read;
  std::vector<float> logits;
  std::vector<std::byte> cached;  // every page of the prompt
  Tokens ids;
};

Told tell(const TalkingModelOptions& o, const Tokens& prompt, int64_t n) {
  Session session(talking_model(o));
  Told told;
  auto read = session.prefill(prompt);
  EXPECT_TRUE(read) << read.error().to_string();
  told.read = *read;
  told.logits.assign(session.logits().begin(), session.logits().end());
  const KvCache& kv = session.forward().kv();
  for (int64_t at = 0; at + kernels::kKvPage <= kv.length(1); at += kernels::kKvPage) {
    const std::byte* page = kv.slot_page(1, at);
    told.cached.insert(told.cached.end(), page, page + kv.page_bytes());
    if (at > 0) continue;
    const auto exact = kv.first_page_exact(1);
    told.cached.insert(told.cached.end(), exact.begin(), exact.end());
  }
  auto sampler = *Sampler::create({.seed = 5, .temperature = 0.8}, kTalkingVocab);
  EXPECT_TRUE(sampler.accept_prompt(prompt));
  auto generated = session.generate(sampler, {.max_tokens = n, .ignore_end = true});
  EXPECT_TRUE(generated) << generated.error().to_string();
  told.ids = generated->ids;
  if (const auto& store = session.model().kv_store) {
    EXPECT_FALSE(store->trouble()) << store->trouble()->to_string();
  }
  return told;
}

void expect_same(const Told& a, const Told& b) {
  EXPECT_EQ(a.logits, b.logits);
  EXPECT_EQ(a.cached, b.cached);
  EXPECT_EQ(a.ids, b.ids);
}

TEST(KeptConversation, GoesOnAfterARestartWithTheSameBits) {
  for (const KvType type : kernels::kKvTypes) {
    const TestFolder folder;
    auto with = model_with(kept_in(folder)), without = model_with({});
    with.kv_types = without.kv_types = KvTypes(type, type);
    const Told first = tell(with, prompt(500), 150);
    EXPECT_EQ(first.read.n_restored, 0);
    expect_same(first, tell(without, prompt(500), 150));

    Tokens next = prompt(500);  // what was said, and something new
    next.insert(next.end(), first.ids.begin(), first.ids.end());
    const Tokens more = prompt(30, 5);
    next.insert(next.end(), more.begin(), more.end());
    const Told second = tell(with, next, 20);
    EXPECT_EQ(second.read.n_restored, 649 / 64 * 64);
    EXPECT_EQ(second.read.n_cached, second.read.n_restored);
    expect_same(second, tell(without, next, 20));
  }
}

TEST(KeptConversation, TheLastTokenIsRunInAnyCase) {
  const TestFolder folder;
  tell(model_with(kept_in(folder)), prompt(512), 1);
  const Told again = tell(model_with(kept_in(folder)), prompt(512), 1);
  EXPECT_EQ(again.read.n_restored, 448);
  expect_same(again, tell(model_with({}), prompt(512), 1));
}

TEST(KeptConversation, ShortTextsAreNeitherKeptNorLookedFor) {
  const TestFolder folder;
  tell(model_with(kept_in(folder)), prompt(200), 20);
  EXPECT_FALSE(fs::exists(folder.path() / "kv"));
  tell(model_with(kept_in(folder)), prompt(200), 80);  // grows beyond
  EXPECT_TRUE(fs::exists(folder.path() / "kv"));
  EXPECT_EQ(tell(model_with(kept_in(folder)), prompt(255), 1).read.n_restored, 0);
  EXPECT_EQ(tell(model_with(kept_in(folder)), prompt(257), 1).read.n_restored, 192);
}

TEST(KeptConversation, OtherKernelsTypesAndModelsFindNothing) {
  const TestFolder folder;
  auto base = model_with(kept_in(folder));
  base.isa = "generic";
  tell(base, prompt(500), 1);
  EXPECT_GT(tell(base, prompt(500), 1).read.n_restored, 0);
  auto type = base;
  type.kv_types = KvTypes(KvType::q8_0, KvType::f16);
  EXPECT_EQ(tell(type, prompt(500), 1).read.n_restored, 0);
  auto model = base;
  model.n_layers = 3;
  EXPECT_EQ(tell(model, prompt(500), 1).read.n_restored, 0);
  for (const kernels::Kernels* k : kernels::available()) {
    if (k->isa == "generic") continue;
    auto isa = base;
    isa.isa = k->isa;
    EXPECT_EQ(tell(isa, prompt(500), 1).read.n_restored, 0) << k->isa;
  }
}

TEST(KeptConversation, AnEditedOneSharesItsBeginning) {
  const TestFolder folder;
  tell(model_with(kept_in(folder)), prompt(600), 1);
  Tokens edited = prompt(600);
  edited[300] = edited[300] == 9 ? 10 : 9;
  const Told told = tell(model_with(kept_in(folder)), edited, 30);
  EXPECT_EQ(told.read.n_restored, 256);
  expect_same(told, tell(model_with({}), edited, 30));
}

// In one process: what RAM holds is not fetched, what it lost is.
TEST(KeptConversation, TheDiskBeginsWhereRamEnds) {
  const TestFolder folder;
  Session session(talking_model(model_with(kept_in(folder))));
  ASSERT_TRUE(session.prefill(prompt(600)));
  session.model().kv_store->drain();
  const Tokens cut = prompt(330);
  ASSERT_TRUE(session.prefill(cut));
  session.model().kv_store->drain();
  const auto again = session.prefill(prompt(600));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->n_restored, 576 - 330);
  EXPECT_EQ(again->n_cached, 576);
  Session plain(talking_model(model_with({})));
  ASSERT_TRUE(plain.prefill(prompt(600)));
  EXPECT_TRUE(std::ranges::equal(session.logits(), plain.logits()));
}

TEST(KeptConversation, AFullDiskDoesNotTouchTheAnswer) {
  const TestFolder folder;
  const Told plain = tell(model_with({}), prompt(500), 40);
  for (const char* point : {"file.write", "file.rename", "file.open"}) {
    auto o = model_with(kept_in(folder));
    o.kv_store->folder /= point;
    Session session(talking_model(o));
    const fault::Arm arm(point, 3);
    ASSERT_TRUE(session.prefill(prompt(500)));
    EXPECT_TRUE(std::ranges::equal(session.logits(), plain.logits));
    session.model().kv_store->drain();
    EXPECT_TRUE(arm.fired());
    ASSERT_TRUE(session.model().kv_store->trouble()) << point;
  }
}

TEST(KeptConversation, OnePageAStepKeepsUpWithDecoding) {
  const TestFolder folder;
  Session session(talking_model(model_with(kept_in(folder))));
  ASSERT_TRUE(session.prefill(prompt(500)));
  auto sampler = *Sampler::create({.temperature = 0}, kTalkingVocab);
  ASSERT_TRUE(sampler.accept_prompt(prompt(500)));
  ASSERT_TRUE(session.generate(sampler, {.max_tokens = 400, .ignore_end = true}));
  session.model().kv_store->drain();
  EXPECT_EQ(session.model().kv_store->counts().n_stored, 899 / 64);
}

// ---- the scheduler ----

TEST(KeptConversation, TheSchedulerRestoresBeforeItReads) {
  const TestFolder folder;
  const Told plain = tell(model_with({}), prompt(600), 0);
  Tokens greedy;
  {
    auto s = make_scheduler(model_with(kept_in(folder)));
    Watched w(prompt(600), 100);
    w.into(*s);
    run_out(*s);
    EXPECT_EQ(w.result.stats.n_restored, 0);
    greedy = w.result.ids;
  }
  auto s = make_scheduler(model_with(kept_in(folder)));
  Watched w(prompt(600), 100);
  w.into(*s);
  run_out(*s);
  EXPECT_EQ(w.result.ids, greedy);
  EXPECT_EQ(w.result.stats.n_restored, 576);
  EXPECT_EQ(w.result.stats.n_cached, 576);
  EXPECT_EQ(s->stats().n_restored, 576);
  EXPECT_EQ(s->stats().n_read, 600 - 576);
  Watched again(prompt(600), 100);  // from RAM now
  again.into(*s);
  run_out(*s);
  EXPECT_EQ(again.result.ids, greedy);
  EXPECT_EQ(again.result.stats.n_restored, 0);
  EXPECT_EQ(again.result.stats.n_cached, 599);
}

TEST(KeptConversation, SessionAndSchedulerShareOneStore) {
  const TestFolder folder;
  tell(model_with(kept_in(folder)), prompt(400), 1);
  auto s = make_scheduler(model_with(kept_in(folder)));
  Watched w(prompt(400), 5);
  w.into(*s);
  run_out(*s);
  EXPECT_EQ(w.result.stats.n_restored, 384);
}

TEST(KeptConversation, ManyAtOnceWithShortRoomAnswerAsWithoutADisk) {
  const TestFolder folder;
  const auto answers = [](const std::optional<KvStoreOptions>& store, SchedulerOptions options = {}) {
    auto o = model_with(store);
    o.kv_positions = 1024;  // sequences rob each other, prefixes are evicted
    auto s = make_scheduler(o, options);
    std::vector<std::unique_ptr<Watched>> all;
    for (TokenId i = 0; i < 8; ++i)
      all.push_back(
          std::make_unique<Watched>(prompt(300 + 20 * i, i % 3), 60, i % 2 ? Priority::person : Priority::api));
    EXPECT_TRUE(s->start());
    for (auto& w : all) w->into(*s);
    std::vector<Tokens> out;
    for (auto& w : all) out.push_back(w->handle->wait().ids);
    return out;
  };
  const auto plain = answers({});
  EXPECT_EQ(answers(kept_in(folder)), plain) << "while it is written";
  EXPECT_EQ(answers(kept_in(folder)), plain) << "from the disk";
  // Time is up after each page.
  EXPECT_EQ(answers(kept_in(folder), {.decode_gap_s = 1e-9, .read_pass_s = 1e-9, .slice_tokens = 64}), plain);
}

TEST(KeptConversation, WithoutPrefixesTheSchedulerKeepsNothing) {
  const TestFolder folder;
  auto s = make_scheduler(model_with(kept_in(folder)), {.reuse_prefixes = false});
  Watched w(prompt(600), 5);
  w.into(*s);
  run_out(*s);
  EXPECT_FALSE(fs::exists(folder.path() / "kv"));
}

}  // namespace
}  // namespace watra::engine
