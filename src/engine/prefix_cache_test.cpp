#include "engine/prefix_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/talking_model_test.h"

namespace watra::engine {
namespace {

using Tokens = std::vector<TokenId>;
constexpr int64_t kPage = kernels::kKvPage;

Tokens counted(TokenId from, int64_t n) {
  Tokens out(static_cast<size_t>(n));
  for (auto& t : out) t = from++;
  return out;
}
Tokens operator+(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Sequences without a model behind them: only lengths and pages matter here.
class PrefixCacheTest : public testing::Test {
 protected:
  explicit PrefixCacheTest(int64_t n_pages = 16)
      : kv_(std::move(*KvCache::create(hparams(), {}, n_pages * kPage, nullptr))), cache_(kv_, {1, 2}) {}
  static model::HParams hparams() {
    model::HParams hp;
    hp.n_layers = 1;
    hp.layers = {{.n_heads = 1, .n_kv_heads = 1, .d_head = 8}};
    return hp;
  }

  // A conversation that is read and ends.
  void live(const Tokens& tokens) {
    PrefixCache::Match match;
    cache_.find(tokens, match);
    const SequenceId s = kv_.add_on(match.pages, match.n_tokens).value();
    const int64_t more = static_cast<int64_t>(tokens.size()) - match.n_tokens;
    ASSERT_TRUE(kv_.reserve(s, more));
    kv_.commit_chain(s, more);
    PrefixCache::Anchor anchor;
    cache_.store_end(s, tokens, anchor);
    kv_.remove(s);
  }
  int64_t found(const Tokens& tokens) {
    PrefixCache::Match match;
    cache_.find(tokens, match);
    EXPECT_EQ(static_cast<int64_t>(match.pages.size()), KvCache::pages_for(match.n_tokens));
    return match.n_tokens;
  }

  KvCache kv_;
  PrefixCache cache_;
};

TEST_F(PrefixCacheTest, TheLongestBeginningIsFoundToTheToken) {
  EXPECT_EQ(found(counted(0, 10)), 0);
  live(counted(0, 150));
  EXPECT_EQ(cache_.n_pages(), 3);
  EXPECT_EQ(found(counted(0, 200)), 150);
  EXPECT_EQ(found(counted(0, 149)), 149);
  EXPECT_EQ(found(counted(0, 100) + Tokens{7}), 100);
  EXPECT_EQ(found(counted(0, 64) + Tokens{7}), 64);
  EXPECT_EQ(found(Tokens{0, 1, 2, 7}), 3);
  EXPECT_EQ(found(counted(1, 100)), 0);
}

TEST_F(PrefixCacheTest, ConversationsShareWhatTheyHaveInCommon) {
  live(counted(0, 128) + counted(1000, 30));
  const int64_t free = kv_.free_pages();
  live(counted(0, 128) + counted(2000, 30));
  EXPECT_EQ(kv_.free_pages(), free - 1) << "one page for what is new";
  EXPECT_EQ(found(counted(0, 128) + counted(1000, 30)), 158);
  EXPECT_EQ(found(counted(0, 128) + counted(2000, 30)), 158);
}

TEST_F(PrefixCacheTest, AnEndThatGoesOnTakesThePlaceOfTheShorterOne) {
  live(counted(0, 70));
  live(counted(0, 90));
  EXPECT_EQ(cache_.n_pages(), 2);
  live(counted(0, 80));
  EXPECT_EQ(cache_.n_pages(), 2) << "known already";
  EXPECT_EQ(found(counted(0, 128)), 90);
  live(counted(0, 130));
  EXPECT_EQ(cache_.n_pages(), 3);
  EXPECT_EQ(kv_.free_pages(), 13);
}

TEST_F(PrefixCacheTest, TwoThatReadTheSameKeepOnePage) {
  const Tokens tokens = counted(0, 64);
  SequenceId s[2];
  PrefixCache::Anchor anchor[2];
  for (int i : {0, 1}) {
    s[i] = kv_.add();
    ASSERT_TRUE(kv_.reserve(s[i], 64));
    kv_.commit_chain(s[i], 64);
  }
  EXPECT_EQ(kv_.free_pages(), 14);
  for (int i : {0, 1}) cache_.store_pages(s[i], tokens, anchor[i]);
  EXPECT_EQ(kv_.free_pages(), 15);
  EXPECT_EQ(kv_.page(s[0], 0), kv_.page(s[1], 0));
  EXPECT_EQ(cache_.n_evictable(), 0);
  EXPECT_EQ(cache_.evict(5), 0) << "in use";
}

TEST_F(PrefixCacheTest, ASequenceTakesOverWhatAnotherHasReadMeanwhile) {
  const Tokens tokens = counted(0, 200);
  const SequenceId slow = kv_.add();
  ASSERT_TRUE(kv_.reserve(slow, 200));
  kv_.commit_chain(slow, 64);
  PrefixCache::Anchor anchor;
  cache_.store_pages(slow, std::span(tokens).first(64), anchor);
  live(counted(0, 190));
  PrefixCache::Match match;
  cache_.find(tokens, match);
  EXPECT_EQ(match.n_tokens, 190);
  const int64_t free = kv_.free_pages();
  cache_.extend(slow, match, anchor);
  EXPECT_EQ(kv_.length(slow), 128) << "whole pages only";
  EXPECT_EQ(anchor.n_pages, 2);
  EXPECT_EQ(kv_.free_pages(), free + 1);
  kv_.commit_chain(slow, 72);
  cache_.store_end(slow, tokens, anchor);
  kv_.remove(slow);
  EXPECT_EQ(found(tokens), 200);
}

TEST_F(PrefixCacheTest, TheLongestUnusedGoesFirstFromItsEnd) {
  live(counted(0, 130));
  live(counted(1000, 130));
  EXPECT_EQ(found(counted(0, 100)), 100);  // used again, but not its last page
  EXPECT_EQ(cache_.evict(1), 1);
  EXPECT_EQ(found(counted(0, 130)), 128);
  EXPECT_EQ(cache_.evict(2), 2);
  EXPECT_EQ(found(counted(1000, 130)), 64);
  EXPECT_EQ(found(counted(0, 130)), 128);
  EXPECT_EQ(cache_.evict(100), 3);
  EXPECT_EQ(kv_.free_pages(), 16);
  EXPECT_EQ(cache_.n_evicted(), 6);
}

TEST_F(PrefixCacheTest, ABeginningGoesWithAllBehindIt) {
  live(counted(0, 130));
  live(counted(1000, 70));
  live(counted(0, 64) + counted(500, 70));
  live(counted(2000, 64));
  EXPECT_EQ(cache_.evict_beginning(), 2) << "the longest unused";
  EXPECT_EQ(found(counted(1000, 70)), 0);
  EXPECT_EQ(found(counted(0, 130)), 130);
  const SequenceId s = kv_.add();
  ASSERT_TRUE(kv_.reserve(s, 64));
  kv_.commit_chain(s, 64);
  PrefixCache::Anchor anchor;
  cache_.store_pages(s, counted(2000, 64), anchor);
  EXPECT_EQ(cache_.evict_beginning(), 5) << "both ends of it";
  EXPECT_EQ(cache_.evict_beginning(), 0) << "in use";
  EXPECT_EQ(cache_.n_evicted(), 7);
  EXPECT_EQ(found(counted(2000, 64)), 64);
  kv_.remove(s);
}

TEST_F(PrefixCacheTest, KeysChainAndDependOnTheRoot) {
  live(counted(0, 100));
  PrefixCache::Match match;
  cache_.find(counted(0, 100), match);
  const PageKey first = page_key({1, 2}, counted(0, 64));
  EXPECT_EQ(cache_.key(match.pages[0]), first);
  EXPECT_EQ(cache_.key(match.pages[1]), page_key(first, counted(64, 36)));
  EXPECT_NE(page_key({1, 3}, counted(0, 64)), first);
  EXPECT_NE(page_key({1, 2}, counted(0, 63)), first);
  EXPECT_NE(page_key({1, 2}, Tokens{0}), page_key({1, 2}, (Tokens{0, 0})));
}

// Against a plain list of all conversations: what is found is never wrong and, while nothing is evicted, the longest.
TEST_F(PrefixCacheTest, RandomConversations) {
  std::mt19937 rng(3);
  const auto number = [&](int n) { return static_cast<int>(rng() % static_cast<unsigned>(n)); };
  std::vector<Tokens> all;
  for (int i = 0; i < 3000; ++i) {
    Tokens t;
    if (!all.empty() && number(3)) {
      t = all[all.size() - 1 - static_cast<size_t>(number(std::min(8, static_cast<int>(all.size()))))];
      t.resize(static_cast<size_t>(number(static_cast<int>(t.size()) + 1)));
    }
    for (int n = number(100); n >= 0; --n) t.push_back(number(3));
    if (t.size() > 300) t.resize(300);
    int64_t longest = 0;
    for (const Tokens& other : all) {
      const auto n = std::mismatch(t.begin(), t.end(), other.begin(), other.end()).first - t.begin();
      longest = std::max<int64_t>(longest, n);
    }
    const int64_t n = found(t);
    if (cache_.n_evicted() == 0) {
      EXPECT_EQ(n, longest);
    }
    EXPECT_LE(n, longest);
    while (kv_.free_pages() < KvCache::pages_for(static_cast<int64_t>(t.size()))) ASSERT_GT(cache_.evict(1), 0);
    live(t);
    EXPECT_EQ(found(t), static_cast<int64_t>(t.size()));
    EXPECT_EQ(kv_.free_pages() + cache_.n_pages(), kv_.total_pages());
    all.push_back(std::move(t));
  }
  EXPECT_GT(cache_.n_evicted(), 1000);
  cache_.clear();
  EXPECT_EQ(kv_.free_pages(), kv_.total_pages());
}

TEST(PageKey, HashIsMurmur3) {
  // MurmurHash3_x64_128 with seed 0, as the reference implementation gives it.
  const std::string_view text = "The quick brown fox jumps over the lazy dog";
  const PageKey k = hash_bytes(std::as_bytes(std::span(text)));
  EXPECT_EQ(k.a, 0xe34bbc7bbc071b6cu);
  EXPECT_EQ(k.b, 0x7a433ca9c49a9347u);
  EXPECT_EQ(hash_bytes({}), PageKey{});
}

TEST(PageKey, RootTellsWhatPagesDependOn) {
  const LoadedModel a = talking_model(), other = talking_model({.n_layers = 3});
  const PageKey key = root_key(*a.model, {}, 256, "avx2").value();
  EXPECT_EQ(root_key(*talking_model().model, {}, 256, "avx2").value(), key);
  EXPECT_EQ(root_key(*a.model, {}, 512, "avx2").value(), key) << "its rope does not depend on it";
  EXPECT_NE(root_key(*a.model, {KvType::f16, KvType::f32}, 256, "avx2").value(), key);
  const KvPair small{KvType::q4_0, KvType::q4_0};
  const PageKey first = root_key(*a.model, KvTypes().with(0, 0, small), 256, "avx2").value();
  EXPECT_NE(first, key);
  EXPECT_NE(root_key(*a.model, KvTypes().with(1, 1, small), 256, "avx2").value(), first);
  EXPECT_EQ(root_key(*a.model, KvTypes(small.k, small.v).with(1, 1, {}), 256, "avx2").value(), first)
      << "however the same types were written";
  EXPECT_NE(root_key(*a.model, {}, 256, "generic").value(), key);
  EXPECT_NE(root_key(*other.model, {}, 256, "avx2").value(), key);
}

}  // namespace
}  // namespace watra::engine
