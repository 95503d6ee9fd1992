#include "engine/ngram_proposer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

namespace watra::engine {
namespace {

using internal::NgramIndex;
using Tokens = std::vector<TokenId>;

Tokens random_tokens(std::mt19937& rng, size_t n, TokenId n_vocab) {
  Tokens out(n);
  for (TokenId& t : out) t = static_cast<TokenId>(rng() % static_cast<uint32_t>(n_vocab));
  return out;
}

// The longest match by looking everywhere.
int32_t longest(const Tokens& list, const Tokens& text, bool own) {
  int32_t best = 0;
  for (size_t end = 1; end < list.size(); ++end) {
    int32_t n = 0;
    while (n < NgramIndex::kMaxLength && static_cast<size_t>(n) < std::min(end, text.size()) &&
           list[end - 1 - static_cast<size_t>(n)] == text[text.size() - 1 - static_cast<size_t>(n)])
      ++n;
    if (!own || end < list.size()) best = std::max(best, n);
  }
  return best;
}

TEST(NgramIndex, FindsWhatALookEverywhereFinds) {
  std::mt19937 rng(1);
  for (int round = 0; round < 200; ++round) {
    const auto n_vocab = static_cast<TokenId>(2 + rng() % 60);
    NgramIndex index(400);
    Tokens list;
    for (int i = 0; i < 12; ++i) {
      Tokens part = random_tokens(rng, rng() % 40, n_vocab);
      if (list.size() > 30 && rng() % 2) {  // something that was there before
        const size_t from = rng() % (list.size() - 20);
        part.assign(list.begin() + static_cast<ptrdiff_t>(from), list.begin() + static_cast<ptrdiff_t>(from + 20));
      }
      for (const TokenId t : part) index.append(t), list.push_back(t);
      if (rng() % 3 == 0) {
        list.resize(list.size() - rng() % (list.size() / 3 + 1));
        index.truncate(list.size());
      }
    }
    if (list.empty()) continue;
    std::array<NgramIndex::Match, 6> found;
    const size_t n = index.find(list, found);
    const int32_t expected = longest(list, list, true);
    ASSERT_EQ(n > 0, expected > 0);
    for (size_t i = 0; i < n; ++i) {
      const auto [end, length] = found[i];
      ASSERT_LT(static_cast<size_t>(end), list.size());
      for (int32_t k = 0; k < length; ++k)
        ASSERT_EQ(list[static_cast<size_t>(end - 1 - k)], list[list.size() - 1 - static_cast<size_t>(k)]);
      EXPECT_GE(found[i == 0 ? 0 : i - 1].length, length);
    }
    // Among many places of a frequent run only the newest are looked at; with a large vocabulary all are.
    EXPECT_TRUE(n_vocab <= 40 || (n > 0 ? found[0].length : 0) == expected);
  }
}

TEST(NgramIndex, CuttingBackLeavesNoTrace) {
  std::mt19937 rng(2);
  const Tokens kept = random_tokens(rng, 100, 10), gone = random_tokens(rng, 100, 10),
               after = random_tokens(rng, 50, 10);
  NgramIndex once(300), twice(300);
  for (const auto* part : {&kept, &after})
    for (const TokenId t : *part) once.append(t);
  for (const auto* part : {&kept, &gone})
    for (const TokenId t : *part) twice.append(t);
  twice.truncate(kept.size());
  for (const TokenId t : after) twice.append(t);
  for (size_t n = 1; n <= 30; ++n) {
    std::array<NgramIndex::Match, 6> a, b;
    const auto text = once.tokens().first(once.tokens().size() - n);
    const size_t n_a = once.find(text, a), n_b = twice.find(text, b);
    ASSERT_EQ(n_a, n_b);
    for (size_t i = 0; i < n_a; ++i) EXPECT_EQ(a[i], b[i]);
  }
}

Draft propose(NgramProposer& p, const Tokens& tokens, const DraftLimits& limits = {.max_nodes = 8, .max_depth = 8}) {
  Draft d;
  EXPECT_TRUE(p.propose(tokens, limits, d));
  return d;
}

TEST(NgramProposer, ProposesWhatFollowedTheLongestMatch) {
  NgramProposer p(100);
  // 5 6 7 stood twice; behind 4 5 6 7 came 20, behind 9 5 6 7 came 30
  const Draft d = propose(p, {4, 5, 6, 7, 20, 21, 9, 5, 6, 7, 30, 31, 4, 5, 6, 7});
  ASSERT_GE(d.nodes.size(), 3u);
  EXPECT_TRUE(d.is_chain());
  EXPECT_EQ(d.nodes[0].token, 20);
  EXPECT_EQ(d.nodes[1].token, 21);
  EXPECT_EQ(d.nodes[2].token, 9);
}

TEST(NgramProposer, ATextThatRunsInACircleIsDraftedBeyondItsEnd) {
  NgramProposer p(100);
  const Draft d = propose(p, {1, 2, 3, 1, 2, 3, 1, 2});
  ASSERT_EQ(d.nodes.size(), 8u);
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(d.nodes[i].token, static_cast<TokenId>((i + 2) % 3 + 1));
}

TEST(NgramProposer, KeepsItsLimits) {
  NgramProposer p(100);
  const Tokens circle = {1, 2, 3, 1, 2, 3, 1, 2};
  EXPECT_EQ(propose(p, circle, {.max_nodes = 3, .max_depth = 8}).nodes.size(), 3u);
  EXPECT_EQ(propose(p, circle, {.max_nodes = 8, .max_depth = 2}).nodes.size(), 2u);
  EXPECT_TRUE(propose(p, circle, {.max_nodes = 8, .max_depth = 8, .min_path_probability = 0.999f}).nodes.empty());
  EXPECT_TRUE(propose(p, {1, 2, 3, 4}).nodes.empty());
  EXPECT_TRUE(propose(p, {}).nodes.empty());
}

TEST(NgramProposer, BranchesWhereTheTextWentOnDifferently) {
  NgramProposer p(100);
  const Draft d = propose(p, {5, 6, 20, 5, 6, 30, 5, 6, 20, 5, 6}, {.max_nodes = 12, .max_depth = 3, .tree = true});
  std::vector<TokenId> roots;
  float total = 0;
  for (size_t i = 0; i < d.nodes.size(); ++i) {
    ASSERT_LT(d.nodes[i].parent, static_cast<int32_t>(i));
    for (size_t k = 0; k < i; ++k)
      EXPECT_FALSE(d.nodes[k].parent == d.nodes[i].parent && d.nodes[k].token == d.nodes[i].token);
    if (d.nodes[i].parent < 0) roots.push_back(d.nodes[i].token), total += d.nodes[i].probability;
  }
  EXPECT_EQ(roots, (Tokens{30, 20})) << "what followed the longest match comes first";
  EXPECT_LE(total, 1);
}

TEST(NgramProposer, LearnsHowGoodItsGuessesAre) {
  std::mt19937 rng(3);
  const auto after_many = [&](bool repeats) {
    NgramProposer p(20000);
    Tokens tokens = random_tokens(rng, 50, 1000);
    float last = 0;
    for (int i = 0; i < 300; ++i) {
      tokens.insert(tokens.end(), {7, 8, 9});
      const Draft d = propose(p, tokens);
      if (i > 0) {
        EXPECT_FALSE(d.nodes.empty());
        last = d.nodes.empty() ? 0 : d.nodes[0].probability;
      }
      tokens.push_back(repeats ? 10 : static_cast<TokenId>(100 + i));
    }
    return last;
  };
  EXPECT_GT(after_many(true), 0.9f);
  EXPECT_LT(after_many(false), 0.15f);
}

TEST(NgramProposer, GuessesThatWereNotWorthProposingAreWatchedToo) {
  NgramProposer p(20000);
  Tokens tokens = {1, 2, 3, 4};
  const auto n_proposed = [&](int rounds, bool repeats) {
    size_t n = 0;
    for (int i = 0; i < rounds; ++i) {
      tokens.insert(tokens.end(), {7, 8});
      n += propose(p, tokens, {.max_nodes = 1, .max_depth = 1, .min_path_probability = 0.1f}).nodes.size();
      tokens.push_back(repeats ? 10 : static_cast<TokenId>(100 + tokens.size()));
    }
    return n;
  };
  n_proposed(100, false);
  EXPECT_EQ(n_proposed(20, false), 0u);
  n_proposed(60, true);
  EXPECT_EQ(n_proposed(20, true), 20u);
}

TEST(NgramProposer, FollowsASequenceThatWasCutOrChanged) {
  NgramProposer p(200);
  propose(p, {1, 2, 3, 4, 5, 1, 2, 3});
  // Another turn: the end was taken back and something else was said.
  const Draft cut = propose(p, {1, 2, 3, 4, 9, 1, 2, 3, 4});
  ASSERT_FALSE(cut.nodes.empty());
  EXPECT_EQ(cut.nodes[0].token, 9);
  const Draft changed = propose(p, {8, 2, 3, 70, 5, 1, 2, 3});
  ASSERT_FALSE(changed.nodes.empty());
  EXPECT_EQ(changed.nodes[0].token, 70);
  EXPECT_TRUE(propose(p, {50}).nodes.empty());
}

TEST(NgramProposer, TakesMicrosecondsAt32kTokens) {
  std::mt19937 rng(4);
  Tokens tokens = random_tokens(rng, 32768, 500);  // every pair stands there many times
  NgramProposer p(40000);
  propose(p, tokens);
  using Clock = std::chrono::steady_clock;
  double best = 1;
  for (int i = 0; i < 200; ++i) {
    tokens.push_back(static_cast<TokenId>(rng() % 500));
    Draft d;
    d.nodes.reserve(16);
    const auto begin = Clock::now();
    ASSERT_TRUE(p.propose(tokens, {}, d));
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  EXPECT_LT(best, 100e-6);
}

}  // namespace
}  // namespace watra::engine
