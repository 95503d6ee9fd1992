#include "engine/kv_cache.h"

#include <gtest/gtest.h>

#include <cstring>

namespace watra::engine {
namespace {

model::HParams two_layers() {
  model::HParams hp;
  hp.n_layers = 2;
  hp.layers = {{.n_heads = 4, .n_kv_heads = 2, .d_head = 8}, {.n_heads = 4, .n_kv_heads = 1, .d_head = 8}};
  return hp;
}

KvCache make(int64_t n_positions) { return std::move(*KvCache::create(two_layers(), {}, n_positions, nullptr)); }

// Marks every row of a slot with a value, as a pass would.
void mark(KvCache& kv, SequenceId s, int64_t slot, int value) {
  for (int layer = 0; layer < 2; ++layer)
    for (int g = 0; g < (layer == 0 ? 2 : 1); ++g) {
      std::memset(kv.slot_page(s, slot) + kv.k_row_offset(layer, g, slot), value, 16);
      std::memset(kv.slot_page(s, slot) + kv.v_row_offset(layer, g, slot), value + 1, 16);
    }
}
int marked(const KvCache& kv, SequenceId s, int64_t slot) {
  const int k = static_cast<int>(kv.slot_page(s, slot)[kv.k_row_offset(1, 0, slot)]);
  const int v = static_cast<int>(kv.slot_page(s, slot)[kv.v_row_offset(1, 0, slot)]);
  EXPECT_EQ(v, k + 1);
  return k;
}
void append(KvCache& kv, SequenceId s, int64_t n, int first_value) {
  ASSERT_TRUE(kv.reserve(s, n));
  for (int64_t i = 0; i < n; ++i) mark(kv, s, kv.length(s) + i, first_value + static_cast<int>(i));
  kv.commit_chain(s, n);
}

TEST(KvCache, PagesAreTakenAndGivenBack) {
  KvCache kv = make(256);
  EXPECT_EQ(kv.total_positions(), 256);
  const SequenceId s = kv.add();
  append(kv, s, 100, 1);
  EXPECT_EQ(kv.free_positions(), 128);
  kv.truncate(s, 64);
  EXPECT_EQ(kv.free_positions(), 192);
  EXPECT_EQ(marked(kv, s, 63), 64);
  kv.remove(s);
  EXPECT_EQ(kv.free_positions(), 256);
}

TEST(KvCache, LayersOfDifferentTypesLieBesideEachOther) {
  const KvTypes types = KvTypes(KvType::q8_0, KvType::f16).with(1, 1, {KvType::f32, KvType::q4_0});
  const auto kv = KvCache::create(two_layers(), types, 64, nullptr);
  ASSERT_TRUE(kv);
  EXPECT_EQ(kv->types(0), (KvPair{KvType::q8_0, KvType::f16}));
  EXPECT_EQ(kv->types(1), (KvPair{KvType::f32, KvType::q4_0}));
  // [layer 0: 2 heads of 34 and of 16 bytes][layer 1: 1 head of 32 and of 18 bytes], 64 positions each
  EXPECT_EQ(kv->v_offset_bytes(0), 64 * 2 * 34);
  EXPECT_EQ(kv->k_offset_bytes(1), 64 * 2 * (34 + 16));
  EXPECT_EQ(kv->v_offset_bytes(1), 64 * (2 * (34 + 16) + 32));
  EXPECT_EQ(kv->page_bytes(), 64u * (2 * (34 + 16) + 32 + 18));
  EXPECT_EQ(types.bytes_per_position(two_layers()) * 64, static_cast<int64_t>(kv->page_bytes()));
  EXPECT_EQ(kv->v_row_offset(0, 1, 3), kv->v_offset_bytes(0) + (64 + 3) * 16);
  EXPECT_EQ(kv->k_row_offset(1, 0, 5), kv->k_offset_bytes(1) + 5 * 32);

  const auto missing = KvCache::create(two_layers(), KvTypes().with(1, 2, {}), 64, nullptr);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, "usage.kv_type");
}

TEST(KvCache, AFullCacheSaysSoAndStaysAsItWas) {
  KvCache kv = make(128);
  const SequenceId s = kv.add();
  append(kv, s, 100, 1);
  const Status full = kv.reserve(s, 29);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, "kv.full");
  EXPECT_EQ(kv.length(s), 100);
  EXPECT_TRUE(kv.reserve(s, 28));
}

TEST(KvCache, ForksShareWholePagesAndWriteToTheirOwn) {
  KvCache kv = make(512);
  const SequenceId a = kv.add();
  append(kv, a, 70, 1);
  const SequenceId b = kv.fork(a, 70).value();
  EXPECT_EQ(kv.free_positions(), 512 - 3 * 64) << "one page shared, the partly filled one copied";
  append(kv, a, 1, 200);
  append(kv, b, 1, 100);
  EXPECT_EQ(marked(kv, a, 70), 200);
  EXPECT_EQ(marked(kv, b, 70), 100);
  EXPECT_EQ(marked(kv, b, 69), marked(kv, a, 69));

  // Rolling back into a shared page and writing must not reach the other.
  kv.truncate(b, 10);
  append(kv, b, 1, 120);
  EXPECT_EQ(marked(kv, b, 10), 120);
  EXPECT_EQ(marked(kv, a, 10), 11);
  kv.remove(a);
  EXPECT_EQ(marked(kv, b, 9), 10);
  kv.remove(b);
  EXPECT_EQ(kv.free_positions(), 512);
}

TEST(KvCache, AKeptPathMovesItsRowsTogether) {
  KvCache kv = make(256);
  const SequenceId s = kv.add();
  append(kv, s, 62, 1);
  ASSERT_TRUE(kv.reserve(s, 8));
  for (int i = 0; i < 8; ++i) mark(kv, s, 62 + i, 100 + i);
  const int32_t path[] = {0, 3, 4, 7};
  kv.keep_path(s, path);
  EXPECT_EQ(kv.length(s), 66);
  EXPECT_EQ(marked(kv, s, 62), 100);
  EXPECT_EQ(marked(kv, s, 63), 103);
  EXPECT_EQ(marked(kv, s, 64), 104);
  EXPECT_EQ(marked(kv, s, 65), 107);
}

TEST(KvCache, PagesOutliveTheirSequenceWhileSomebodyRetainsThem) {
  KvCache kv = make(256);
  const SequenceId a = kv.add();
  append(kv, a, 100, 1);
  const PageId pages[] = {kv.page(a, 0), kv.page(a, 1)};
  for (const PageId p : pages) kv.retain(p);
  EXPECT_EQ(kv.n_references(pages[0]), 2);
  kv.remove(a);
  EXPECT_EQ(kv.free_pages(), 2);

  const SequenceId b = kv.add_on(pages, 90).value();
  EXPECT_EQ(kv.length(b), 90);
  EXPECT_EQ(kv.free_pages(), 1) << "the second page, taken in part, was copied";
  EXPECT_EQ(kv.page(b, 0), pages[0]);
  EXPECT_NE(kv.page(b, 1), pages[1]);
  EXPECT_EQ(marked(kv, b, 89), 90);
  append(kv, b, 1, 200);

  const SequenceId c = kv.add_on(std::span(pages).first(1), 64).value();
  EXPECT_EQ(kv.free_pages(), 1) << "whole pages are shared";
  EXPECT_EQ(kv.add_on(pages, 99).has_value(), true);
  EXPECT_EQ(kv.free_pages(), 0);
  EXPECT_EQ(kv.add_on(pages, 98).error().code, "kv.full") << "no page for the copy";
  kv.remove(b);
  kv.remove(c);
  for (const PageId p : pages) kv.release(p);
  EXPECT_EQ(kv.free_pages(), 2) << "the sequence that is left still has two";
}

TEST(KvCache, GrowthIsCountedBeforehandAsItIsTaken) {
  KvCache kv = make(320);
  const SequenceId a = kv.add();
  EXPECT_EQ(kv.pages_to_grow(a, 0), 0);
  EXPECT_EQ(kv.pages_to_grow(a, 65), 2);
  append(kv, a, 64, 1);
  EXPECT_EQ(kv.pages_to_grow(a, 1), 1);
  ASSERT_TRUE(kv.reserve(a, 1));
  EXPECT_EQ(kv.pages_to_grow(a, 64), 0) << "already taken";
  kv.commit_chain(a, 10);
  const PageId last = kv.page(a, 1);
  kv.retain(last);
  EXPECT_EQ(kv.pages_to_grow(a, 1), 1) << "the last page is shared now: writing copies it";
  ASSERT_TRUE(kv.reserve(a, 1));
  EXPECT_EQ(kv.free_pages(), 2);
  EXPECT_NE(kv.page(a, 1), last);
  kv.release(last);
  EXPECT_EQ(kv.free_pages(), 3);
}

TEST(KvCache, AnEqualPageTakesThePlaceOfAnother) {
  KvCache kv = make(256);
  const SequenceId a = kv.add(), b = kv.add();
  append(kv, a, 64, 1);
  append(kv, b, 64, 1);
  kv.replace_page(b, 0, kv.page(a, 0));
  EXPECT_EQ(kv.free_pages(), 3);
  EXPECT_EQ(kv.page(b, 0), kv.page(a, 0));
  kv.remove(a);
  EXPECT_EQ(marked(kv, b, 63), 64);
  kv.remove(b);
  EXPECT_EQ(kv.free_pages(), 4);
}

}  // namespace
}  // namespace watra::engine
