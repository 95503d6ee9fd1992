#include "engine/recent_rows.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "engine/kv_cache.h"

namespace watra::engine {
namespace {

using kernels::kKvPage;

// q4_0 keys and f16 values in the first layer, all q8_0 in the second.
model::HParams two_layers() {
  model::HParams hp;
  hp.n_layers = 2;
  hp.layers = {{.n_heads = 4, .n_kv_heads = 2, .d_head = 8}, {.n_heads = 4, .n_kv_heads = 1, .d_head = 32}};
  return hp;
}
const KvTypes kTypes = KvTypes(KvType::q8_0, KvType::q8_0).with(0, 0, {KvType::q4_0, KvType::f16});

RecentRows make(int64_t n_sequences = 2, int64_t max_rows = 512) {
  return std::move(*RecentRows::create(two_layers(), kTypes, n_sequences, max_rows, 20, nullptr));
}

TEST(RecentRows, OnlyQuantizedLayersAreKept) {
  const auto none = RecentRows::create(two_layers(), KvTypes(KvType::f16, KvType::f32), 2, 64, 20, nullptr);
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->needed());
  MemoryBudget budget;
  const auto some = RecentRows::create(two_layers(), kTypes, 3, 130, 20, &budget);
  ASSERT_TRUE(some);
  EXPECT_TRUE(some->needed());
  EXPECT_EQ(some->v_offset_bytes(0), kKvPage * 2 * 16) << "behind the keys";
  EXPECT_EQ(some->v_offset_bytes(1), kKvPage * 64);
  // A page of all layers is 2 heads of keys, then keys and values of one; of one layer at most the latter.
  constexpr int64_t kLayer1 = 2 * kKvPage * 64, kPage = kKvPage * 2 * 16 + kLayer1;
  EXPECT_EQ(budget.used_bytes(), static_cast<uint64_t>(3 * 2 * kPage + 130 / kKvPage * kLayer1));
}

TEST(RecentRows, SeatsAreTakenAndGivenBack) {
  RecentRows r = make();
  RecentRows::Seat a, b, c;
  r.sit(a), r.sit(b), r.sit(c);
  EXPECT_EQ(r.free_seats(), 0);
  EXPECT_GE(a.number, 0);
  EXPECT_GE(b.number, 0);
  EXPECT_NE(a.number, b.number);
  EXPECT_EQ(c.number, -1);
  r.leave(c);
  EXPECT_EQ(r.free_seats(), 0);
  r.leave(a);
  EXPECT_EQ(r.free_seats(), 1);
}

// Passes of any length, cut back within the last one or further: whatever is kept is where it was, and no two pages of
// a pass share a place.
TEST(RecentRows, AnOpenPageStaysWhateverComesAndGoes) {
  RecentRows r = make(3, 512);
  std::mt19937 rng(7);
  const auto between = [&](int64_t a, int64_t b) { return std::uniform_int_distribution<int64_t>(a, b)(rng); };
  struct Mirror {
    RecentRows::Seat seat;
    std::vector<std::byte> rows;  // what was written, by position
  };
  std::vector<Mirror> all(3);
  for (auto& m : all) r.sit(m.seat);
  const auto first_byte = [&](const Mirror& m, int layer, int64_t slot) {
    return r.k_row(layer, m.seat.place_of[static_cast<size_t>(slot / kKvPage)], 0, slot);
  };
  for (int step = 0; step < 3000; ++step) {
    r.begin_pass();
    std::set<int32_t> places;
    int64_t left = 512;
    std::vector<std::pair<Mirror*, int64_t>> pass;
    for (auto& m : all) {
      const auto length = static_cast<int64_t>(m.rows.size());
      const int64_t n = std::min({left, between(0, 3) ? between(0, 20) : between(0, 300), 20 * kKvPage - length});
      if (n <= 0) continue;
      left -= n;
      r.open(m.seat, length, n);
      for (int64_t page = length / kKvPage; page <= (length + n - 1) / kKvPage; ++page)
        ASSERT_TRUE(places.insert(m.seat.place_of[static_cast<size_t>(page)]).second) << "step " << step;
      pass.push_back({&m, length});
      for (int64_t i = length; i < length + n; ++i) m.rows.push_back(static_cast<std::byte>(rng()));
    }
    for (int layer = 0; layer < 2; ++layer) {
      for (auto& [m, begin] : pass)
        for (auto i = begin; i < static_cast<int64_t>(m->rows.size()); ++i)
          *first_byte(*m, layer, i) = m->rows[static_cast<size_t>(i)];
      for (auto& [m, begin] : pass)  // what the rows of this pass read
        for (auto i = begin / kKvPage * kKvPage; i < static_cast<int64_t>(m->rows.size()); ++i)
          ASSERT_EQ(*first_byte(*m, layer, i), m->rows[static_cast<size_t>(i)]) << "step " << step << ", slot " << i;
    }
    for (auto& [m, begin] : pass) {
      const auto length = static_cast<int64_t>(m->rows.size());
      const int64_t wanted =
          between(0, 2) ? length - between(0, std::min<int64_t>(length - begin, kKvPage)) : between(0, length);
      const int64_t kept = r.kept(m->seat, wanted);
      EXPECT_TRUE(kept == wanted || kept == wanted / kKvPage * kKvPage);
      if (length - begin <= kKvPage && wanted >= begin) {
        ASSERT_EQ(kept, wanted) << "rows of a short pass can be taken back";
      }
      m->rows.resize(static_cast<size_t>(kept));
      r.truncate(m->seat, kept);
    }
  }
}

TEST(KvCacheOfQuantizedRows, APageInPartIsKeptOnlyWhileItIsOpen) {
  KvCache kv = std::move(*KvCache::create(two_layers(), kTypes, 1000, nullptr, 3, 64));
  const auto run = [&](SequenceId s, int64_t n) {
    ASSERT_TRUE(kv.reserve(s, n));
    kv.begin_pass();
    kv.open_recent(s, n);
    kv.commit_chain(s, n);
  };
  EXPECT_TRUE(kv.shares_whole_pages_only());
  const SequenceId s = kv.add();
  run(s, 64);
  run(s, 64);
  run(s, 20);
  kv.truncate(s, 140);
  EXPECT_EQ(kv.length(s), 140);
  kv.truncate(s, 100);
  EXPECT_EQ(kv.length(s), 100) << "the page before the open one is still there";
  kv.truncate(s, 50);
  EXPECT_EQ(kv.length(s), 0) << "an earlier one is not";
  run(s, 64);
  run(s, 36);

  auto child = kv.fork(s, 90);
  ASSERT_TRUE(child);
  EXPECT_EQ(kv.length(*child), 90) << "of an open page";
  auto again = kv.fork(*child, 30);
  ASSERT_TRUE(again);
  EXPECT_EQ(kv.length(*again), 0) << "of one that was closed";
  EXPECT_EQ(kv.free_sequences(), 0);
  const auto more = kv.fork(s, 64);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, "kv.full");
  kv.remove(*again);
  const PageId pages[] = {kv.page(s, 0), kv.page(s, 1)};
  const auto shared = kv.add_on(pages, 100);
  ASSERT_TRUE(shared);
  EXPECT_EQ(kv.length(*shared), 64) << "pages alone hold no open page";
}

}  // namespace
}  // namespace watra::engine
