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
  // Two open pages a sequence; of first pages three and one for every 64 pages of the cache.
  EXPECT_EQ(budget.used_bytes(), static_cast<uint64_t>((3 * 2 + 3 + 1) * kPage + 130 / kKvPage * kLayer1));
  EXPECT_EQ(some->free_first_places(), 4);
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
  for (auto& m : all) {
    r.sit(m.seat);
    m.seat.place_of[0] = r.take_first_place();
  }
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
      if (wanted < kKvPage) {
        ASSERT_EQ(kept, wanted) << "the first page is always there";
      }
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
  run(s, 100);
  kv.truncate(s, 140);
  EXPECT_EQ(kv.length(s), 128) << "one that began and ended in a pass is not";
  kv.truncate(s, 100);
  EXPECT_EQ(kv.length(s), 100);

  auto child = kv.fork(s, 90);
  ASSERT_TRUE(child);
  EXPECT_EQ(kv.length(*child), 90) << "of an open page";
  auto again = kv.fork(*child, 30);
  ASSERT_TRUE(again);
  EXPECT_EQ(kv.length(*again), 30) << "of the first one";
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

// The exact rows of a first page go where the page goes: shared with it, copied with it, given back with it.
TEST(KvCacheOfQuantizedRows, TheExactRowsOfAFirstPageGoWithIt) {
  KvCache kv = std::move(*KvCache::create(two_layers(), kTypes, 640, nullptr, 3, 64));
  const int64_t n_first = kv.free_first_pages();
  EXPECT_EQ(n_first, 3 + 1);
  const auto grow = [&](SequenceId s, int64_t n) {
    ASSERT_TRUE(kv.reserve(s, n));
    kv.begin_pass();
    kv.open_recent(s, n);
    kv.commit_chain(s, n);
  };
  const auto exact = [&](SequenceId s) { return kv.first_page_exact(s); };
  EXPECT_EQ(kv.first_page_exact_bytes(), static_cast<uint64_t>(kKvPage * (2 * 16 + 2 * 64)));
  const SequenceId a = kv.add();
  grow(a, 40);
  EXPECT_EQ(kv.free_first_pages(), n_first - 1);
  std::ranges::fill(exact(a), std::byte{7});
  const SequenceId b = *kv.fork(a, 30);
  EXPECT_EQ(kv.free_first_pages(), n_first - 2) << "shared in part: copied";
  EXPECT_NE(exact(b).data(), exact(a).data());
  EXPECT_TRUE(std::ranges::equal(exact(b), exact(a)));
  kv.remove(b);
  EXPECT_EQ(kv.free_first_pages(), n_first - 1);

  grow(a, 60);
  const SequenceId c = *kv.fork(a, 64);
  EXPECT_EQ(exact(c).data(), exact(a).data()) << "shared as it is";
  EXPECT_EQ(kv.free_first_pages(), n_first - 1);
  const PageId kept = kv.page(a, 0);
  kv.retain(kept);
  kv.remove(a), kv.remove(c);
  EXPECT_EQ(kv.free_first_pages(), n_first - 1) << "a prefix keeps them";
  const SequenceId d = *kv.add_on(std::span(&kept, 1), 64);
  EXPECT_EQ(exact(d)[0], std::byte{7});

  const SequenceId e = kv.add();
  grow(e, 64);
  EXPECT_NE(exact(e).data(), exact(d).data());
  kv.replace_page(e, 0, kept);
  EXPECT_EQ(exact(e).data(), exact(d).data());
  EXPECT_EQ(kv.free_first_pages(), n_first - 1);
  kv.remove(d), kv.remove(e);
  kv.release(kept);
  EXPECT_EQ(kv.free_first_pages(), n_first);

  // As many as there are, kept by nobody's sequence: the next one finds no place, and says so.
  std::vector<PageId> prefixes;
  for (int64_t i = 0; i < n_first; ++i) {
    const SequenceId s = kv.add();
    grow(s, 64);
    prefixes.push_back(kv.page(s, 0));
    kv.retain(prefixes.back());
    kv.remove(s);
  }
  const SequenceId late = kv.add();
  const Status full = kv.reserve(late, 1);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, "kv.full");
  kv.release(prefixes[0]);
  EXPECT_TRUE(kv.reserve(late, 1));
}

}  // namespace
}  // namespace watra::engine
