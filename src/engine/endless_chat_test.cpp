// Chats longer than the context: keys that were turned to a new position, text that was dropped, and what must not be
// shared.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/kv_shift.h"
#include "engine/session.h"
#include "engine/tiny_model_test.h"
#include "engine/watched_request_test.h"
#include "tensor/half.h"

namespace watra::engine {
namespace {

using kernels::kKvPage;

// Two layers as unlike as models have them: heads, styles, scalings, a window.
model::HParams two_layers() {
  model::HParams hp;
  model::RopeParams local{.theta = 10'000, .n_rot = 64, .style = kernels::RopeStyle::adjacent};
  model::RopeParams global{.theta = 1e6f,
                           .n_rot = 40,
                           .style = kernels::RopeStyle::halves,
                           .scaling = model::RopeScaling::yarn,
                           .factor = 4,
                           .n_ctx_original = 256};
  hp.ropes = {local, global};
  hp.layers = {{.n_heads = 4, .n_kv_heads = 2, .d_head = 64, .window = 100, .rope = 0},
               {.n_heads = 4, .n_kv_heads = 1, .d_head = 80, .rope = 1}};
  hp.n_layers = 2;
  return hp;
}

struct Turned {
  double worst = 0;  // of the largest key
};

// Keys stored at their positions, a run of them dropped: how far what is left is from keys stored at the new ones.
Turned drop_and_compare(const kernels::Kernels& k, KvType type) {
  const auto hp = two_layers();
  constexpr int64_t n = 10 * kKvPage, first = 2 * kKvPage, dropped = 3 * kKvPage;
  auto kv = *KvCache::create(hp, KvTypes(type, KvType::f32), n, nullptr);
  ThreadTeam team(2);
  const KvShift shift(hp, n, k, team);
  const SequenceId id = kv.add();
  EXPECT_TRUE(kv.reserve(id, n));
  kv.commit_chain(id, n);
  const auto store = [&](int layer, int g, int64_t position, std::byte* to, bool as_floats, int64_t source) {
    const auto& l = hp.layers[static_cast<size_t>(layer)];
    const auto& rope = hp.ropes[static_cast<size_t>(l.rope)];
    const auto table = rope.table(n);
    std::vector<float> key(static_cast<size_t>(l.d_head)), cos, sin;
    std::mt19937 rng(static_cast<unsigned>(source * 100 + g * 10 + layer));
    for (float& x : key) x = std::normal_distribution<float>()(rng);
    for (const double f : table.inv_freq) {
      cos.push_back(static_cast<float>(std::cos(static_cast<double>(position) * f) * table.magnitude));
      sin.push_back(static_cast<float>(std::sin(static_cast<double>(position) * f) * table.magnitude));
    }
    k.rope(key.data(), 1, l.d_head, rope.n_rot, rope.style, cos.data(), sin.data());
    k.store_kv(as_floats ? KvType::f32 : type, key.data(), to, l.d_head);
  };
  for (int layer = 0; layer < 2; ++layer)
    for (int g = 0; g < hp.layers[static_cast<size_t>(layer)].n_kv_heads; ++g)
      for (int64_t p = 0; p < n; ++p) store(layer, g, p, kv.slot_page(id, p) + kv.k_row_offset(layer, g, p), false, p);

  EXPECT_TRUE(shift.drop(kv, id, first, dropped));
  EXPECT_EQ(kv.length(id), n - dropped);
  EXPECT_EQ(kv.free_pages(), dropped / kKvPage);
  Turned t;
  const auto read = [&](const std::byte* row, int64_t i) {
    if (type == KvType::f32) return reinterpret_cast<const float*>(row)[i];
    return tensor::f16_to_f32(reinterpret_cast<const uint16_t*>(row)[i]);
  };
  for (int layer = 0; layer < 2; ++layer)
    for (int g = 0; g < hp.layers[static_cast<size_t>(layer)].n_kv_heads; ++g)
      for (int64_t p = 0; p < n - dropped; ++p) {
        const int64_t d_head = hp.layers[static_cast<size_t>(layer)].d_head;
        std::vector<float> wanted(static_cast<size_t>(d_head));
        store(layer, g, p, reinterpret_cast<std::byte*>(wanted.data()), true, p < first ? p : p + dropped);
        const std::byte* row = kv.slot_page(id, p) + kv.k_row_offset(layer, g, p);
        for (int64_t i = 0; i < d_head; ++i)
          t.worst = std::max(t.worst, std::abs(static_cast<double>(read(row, i)) - wanted[static_cast<size_t>(i)]));
      }
  return t;
}

TEST(EndlessChat, ATurnedKeyIsTheKeyOfItsNewPosition) {
  for (const kernels::Kernels* k : kernels::available()) {
    EXPECT_LT(drop_and_compare(*k, KvType::f32).worst, 2e-5) << k->isa;
    EXPECT_LT(drop_and_compare(*k, KvType::f16).worst, 5e-3) << k->isa << ": two roundings of numbers up to 5";
  }
}

TEST(EndlessChat, DroppedPagesLeaveSharedOnesAlone) {
  const auto hp = two_layers();
  auto kv = *KvCache::create(hp, KvTypes(KvType::f32, KvType::f32), 12 * kKvPage, nullptr);
  ThreadTeam team(1);
  const kernels::Kernels& k = *kernels::available()[0];
  const KvShift shift(hp, 12 * kKvPage, k, team);
  const SequenceId a = kv.add();
  ASSERT_TRUE(kv.reserve(a, 8 * kKvPage));
  kv.commit_chain(a, 8 * kKvPage);
  const SequenceId b = *kv.fork(a, 4 * kKvPage);
  const std::byte* shared = kv.slot_page(b, 3 * kKvPage);
  ASSERT_TRUE(shift.drop(kv, a, kKvPage, 2 * kKvPage));
  EXPECT_EQ(kv.slot_page(b, 3 * kKvPage), shared);
  EXPECT_NE(kv.slot_page(a, kKvPage), shared) << "turned in a copy";
  EXPECT_EQ(kv.slot_page(a, 0), kv.slot_page(b, 0)) << "what stays in its place stays shared";
  EXPECT_EQ(kv.length(a), 6 * kKvPage);

  const SequenceId c = *kv.fork(b, 4 * kKvPage);
  ASSERT_TRUE(kv.reserve(a, kv.free_positions()));
  EXPECT_EQ(shift.drop(kv, b, kKvPage, kKvPage).error().code, "kv.full");
  EXPECT_EQ(kv.length(b), 4 * kKvPage);
  EXPECT_EQ(kv.length(c), 4 * kKvPage);
}

constexpr int64_t kContext = 512;

TalkingModelOptions small(const std::optional<KvStoreOptions>& store = {}) {
  return {.n_ctx = kContext, .kv_types = KvTypes(KvType::f32, KvType::f32), .kv_store = store};
}

Result<GenerateReport> go_on(Session& s, int64_t n) {
  auto sampler = *Sampler::create({.seed = 3, .temperature = 0.7}, kTalkingVocab);
  return s.generate(sampler, {.max_tokens = n, .ignore_end = true});
}

TEST(EndlessChat, AnAnswerGoesOnBeyondTheContext) {
  Session s(talking_model(small()));
  ASSERT_TRUE(s.go_endless());
  EXPECT_TRUE(s.endless());
  ASSERT_TRUE(s.prefill(prompt(300)));
  const auto told = go_on(s, 1000);
  ASSERT_TRUE(told) << told.error().to_string();
  EXPECT_EQ(told->ids.size(), 1000u);
  EXPECT_EQ(told->finish, FinishReason::length);
  for (const float x : s.logits()) ASSERT_TRUE(std::isfinite(x));
  const Tokens all = s.tokens();
  EXPECT_LE(static_cast<int64_t>(all.size()), kContext);
  EXPECT_TRUE(std::ranges::equal(std::span(all).first(kKvPage), prompt(kKvPage)));
  EXPECT_TRUE(std::equal(all.end() - 200, all.end(), told->ids.end() - 201)) << "the newest are there";

  // The first layer's keys know nothing but their token and their position: as if just this had been read.
  Session fresh(talking_model(small()));
  ASSERT_TRUE(fresh.prefill(all));
  const KvCache &a = s.forward().kv(), &b = fresh.forward().kv();
  double worst = 0;
  for (int64_t p = 0; p < static_cast<int64_t>(all.size()); ++p)
    for (int g = 0; g < 2; ++g) {
      const auto* x = reinterpret_cast<const float*>(a.slot_page(1, p) + a.k_row_offset(0, g, p));
      const auto* y = reinterpret_cast<const float*>(b.slot_page(1, p) + b.k_row_offset(0, g, p));
      for (int i = 0; i < 16; ++i) worst = std::max(worst, std::abs(static_cast<double>(x[i]) - y[i]));
    }
  EXPECT_LT(worst, 1e-4);
}

TEST(EndlessChat, WithoutItTheContextIsTheEnd) {
  Session s(talking_model(small()));
  EXPECT_EQ(s.prefill(prompt(600)).error().code, "context.overflow");
  ASSERT_TRUE(s.prefill(prompt(300)));
  EXPECT_EQ(go_on(s, 1000)->ids.size(), static_cast<size_t>(kContext) - 300);
}

TEST(EndlessChat, AContextWithoutPlaceForAWindowIsRefused) {
  Session s(talking_model(small()));
  const auto refused = s.go_endless(400);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "context.too_small");
  EXPECT_EQ(refused.error().hint, "--ctx 704");
  EXPECT_FALSE(s.endless());
}

TEST(EndlessChat, AConversationGoesOnTurnByTurn) {
  Session s(talking_model(small()));
  ASSERT_TRUE(s.go_endless());
  Tokens text = prompt(400);
  for (TokenId turn = 0; turn < 12; ++turn) {
    const auto read = s.prefill(text);
    ASSERT_TRUE(read) << read.error().to_string();
    if (turn > 0) {
      EXPECT_EQ(read->n_prompt - read->n_cached, 30 + 1) << "what is new, and the last token of the answer";
    }
    const auto told = go_on(s, 50);
    ASSERT_TRUE(told);
    text.insert(text.end(), told->ids.begin(), told->ids.end());
    const Tokens more = prompt(30, turn);
    text.insert(text.end(), more.begin(), more.end());
  }
  EXPECT_GT(text.size(), 1300u);

  Tokens edited = text;  // something that was dropped long ago: all is read anew, but its middle
  edited[200] = edited[200] == 9 ? 10 : 9;
  const auto read = s.prefill(edited);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->n_cached, kKvPage);
  EXPECT_GT(read->n_dropped, 0);
  EXPECT_EQ(static_cast<int64_t>(s.tokens().size()), read->n_prompt - read->n_dropped);
  Session fresh(talking_model(small()));
  ASSERT_TRUE(fresh.go_endless());
  ASSERT_TRUE(fresh.prefill(edited));
  EXPECT_TRUE(std::ranges::equal(s.logits(), fresh.logits()));

  text.resize(500);  // begun anew from an early turn: it fits
  ASSERT_TRUE(s.prefill(text));
  Session plain(talking_model(small()));
  ASSERT_TRUE(plain.prefill(text));
  EXPECT_TRUE(std::ranges::equal(s.logits(), plain.logits()));
}

TEST(EndlessChat, WhatDependsOnDroppedTextIsNeverKept) {
  const TestFolder folder;
  const KvStoreOptions store{.folder = folder.path() / "kv", .keep_free_bytes = 0, .min_tokens = 64};
  Tokens window;
  {
    Session s(talking_model(small(store)));
    ASSERT_TRUE(s.go_endless(100));
    ASSERT_TRUE(s.prefill(prompt(450)));
    ASSERT_TRUE(go_on(s, 700));
    window = s.tokens();
  }
  // Just the text in the window, as a conversation of its own: only what was kept from the beginning is the same.
  Session s(talking_model(small(store))), plain(talking_model(small()));
  const auto read = s.prefill(window);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->n_restored, 128);
  ASSERT_TRUE(plain.prefill(window));
  EXPECT_TRUE(std::ranges::equal(s.logits(), plain.logits()));
}

}  // namespace
}  // namespace watra::engine
