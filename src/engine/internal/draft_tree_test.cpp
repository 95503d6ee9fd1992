#include "engine/internal/draft_tree.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/internal/likely_tokens.h"

namespace watra::engine::internal {
namespace {

TEST(DraftTree, TheBestPathsComeFirst) {
  DraftTree tree;
  tree.reserve(16);
  tree.add(-1, 10, 0.6f);
  tree.add(-1, 11, 0.3f);
  std::vector<int32_t> chosen;
  EXPECT_FLOAT_EQ(static_cast<float>(tree.choose(2, 4, 8, chosen)), 0.9f);
  EXPECT_EQ(chosen, (std::vector<int32_t>{0, 1}));
  tree.set_slot(0, 0);
  tree.set_slot(1, 1);
  tree.add(0, 20, 0.9f);         // 0.54
  tree.add(0, 21, 0.1f);         // 0.06
  tree.add(1, 22, 0.8f);         // 0.24
  tree.choose(8, 4, 8, chosen);  // 21 is not among the best four, 22 is the worst of them
  EXPECT_EQ(chosen, (std::vector<int32_t>{2}));
  tree.choose(8, 4, 2, chosen);
  EXPECT_TRUE(chosen.empty());  // depth 2 is the last

  Draft draft;
  tree.emit(4, draft);
  ASSERT_EQ(draft.nodes.size(), 4u);
  EXPECT_EQ(draft.nodes[0].token, 10);
  EXPECT_EQ(draft.nodes[1].token, 20);
  EXPECT_EQ(draft.nodes[1].parent, 0);
  EXPECT_EQ(draft.nodes[2].token, 11);
  EXPECT_EQ(draft.nodes[2].parent, -1);
  EXPECT_EQ(draft.nodes[3].token, 22);
  EXPECT_EQ(draft.nodes[3].parent, 2);
  EXPECT_FLOAT_EQ(draft.nodes[3].probability, 0.8f);
}

TEST(DraftTree, FollowsOnlyWhatWasRun) {
  DraftTree tree;
  tree.add(-1, 5, 0.5f);
  tree.add(-1, 6, 0.4f);
  tree.set_slot(1, 0);
  tree.add(1, 7, 0.5f);
  tree.set_slot(2, 1);
  tree.add(2, 8, 0.5f);
  std::vector<int32_t> slots;
  tree.follow(std::vector<TokenId>{6, 7, 8}, slots);
  EXPECT_EQ(slots, (std::vector<int32_t>{0, 1}));
  tree.follow(std::vector<TokenId>{5}, slots);
  EXPECT_TRUE(slots.empty());
  tree.follow(std::vector<TokenId>{6, 9}, slots);
  EXPECT_EQ(slots, (std::vector<int32_t>{0}));
  slots.clear();
  tree.path_slots(2, slots);
  EXPECT_EQ(slots, (std::vector<int32_t>{0, 1}));
}

TEST(DraftTree, ParentsStandBeforeChildrenWhateverIsKept) {
  std::mt19937 rng(3);
  for (int round = 0; round < 200; ++round) {
    DraftTree tree;
    const int n = 1 + static_cast<int>(rng() % 60);
    for (int i = 0; i < n; ++i)  // probability 1 makes ties
      tree.add(static_cast<int32_t>(rng() % static_cast<uint32_t>(i + 1)) - 1, i,
               rng() % 3 ? 1.0f : static_cast<float>(rng() % 100) / 100);
    Draft draft;
    const auto most = static_cast<int32_t>(1 + rng() % 70);
    tree.emit(most, draft);
    EXPECT_EQ(static_cast<int32_t>(draft.nodes.size()), std::min(n, most));
    for (size_t i = 0; i < draft.nodes.size(); ++i) {
      EXPECT_LT(draft.nodes[i].parent, static_cast<int32_t>(i));
      const int32_t up = tree.node(draft.nodes[i].token).parent;  // tokens are indices here
      EXPECT_EQ(draft.nodes[i].parent < 0 ? -1 : draft.nodes[static_cast<size_t>(draft.nodes[i].parent)].token, up);
    }
  }
}

TEST(LikelyTokens, AgreesWithTheWholeSoftmax) {
  std::mt19937 rng(1);
  std::normal_distribution<float> gauss(0, 4);
  LikelyTokens likely;
  likely.reserve(5000);
  for (const double temperature : {1.0, 0.5, 1.7}) {
    std::vector<float> logits(5000);
    for (float& x : logits) x = gauss(rng);
    logits[77] = logits[4000];  // a tie
    double total = 0;
    for (const float x : logits) total += std::exp(x / temperature);
    const auto found = likely.find(logits, 10, temperature);
    ASSERT_EQ(found.size(), 10u);
    std::vector<int> order(5000);
    for (int i = 0; i < 5000; ++i) order[static_cast<size_t>(i)] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)]; });
    for (size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(found[i].token, order[i]);
      const double exact = std::exp(logits[static_cast<size_t>(order[i])] / temperature) / total;
      EXPECT_NEAR(found[i].probability, exact, 2e-3 * exact);
    }
    EXPECT_NEAR(likely.probability_of(123), std::exp(logits[123] / temperature) / total, 1e-4);
  }
  std::vector<float> bad(5000, 0.0f);
  bad[3] = NAN;
  EXPECT_TRUE(likely.find(bad, 4, 1).empty());
}

}  // namespace
}  // namespace watra::engine::internal
