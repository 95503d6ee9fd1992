#include "engine/suffix_proposer.h"

#include <gtest/gtest.h>

#include <numeric>

namespace watra::engine {
namespace {

using Tokens = std::vector<TokenId>;

Draft propose(SuffixProposer& p, const Tokens& tokens) {
  Draft d;
  EXPECT_TRUE(p.propose(tokens, {.max_nodes = 8, .max_depth = 8}, d));
  return d;
}

TEST(SuffixProposer, ProposesWhatThePersonSaidThen) {
  auto history = std::make_shared<SuffixHistory>(1 << 20);
  history->add(Tokens{1, 2, 3, 4, 5});
  history->add(Tokens{9, 2, 3, 40, 50});
  SuffixProposer p(history);
  const Draft d = propose(p, {100, 1, 2, 3});
  ASSERT_EQ(d.nodes.size(), 2u) << "a conversation's end is no bridge to the next";
  EXPECT_EQ(d.nodes[0].token, 4);
  EXPECT_EQ(d.nodes[1].token, 5);
  EXPECT_EQ(propose(p, {100, 9, 2, 3}).nodes.at(0).token, 40);
  EXPECT_TRUE(propose(p, {100, 101}).nodes.empty());
  EXPECT_TRUE(propose(p, {5}).nodes.empty()) << "nothing came after it";
  history->add(Tokens{100, 101, 102});  // what is added later is found by proposers that exist
  EXPECT_EQ(propose(p, {100, 101}).nodes.at(0).token, 102);
}

TEST(SuffixHistory, ForgetsTheOldestWithinItsMemory) {
  SuffixHistory history(64 * 1024);
  EXPECT_LE(history.memory_bytes(), 64u * 1024);
  const size_t most = history.max_tokens();
  ASSERT_GE(most, 256u);
  auto shared = std::make_shared<SuffixHistory>(64 * 1024);
  for (TokenId text = 0; text < 100; ++text) {
    Tokens tokens(20);
    std::iota(tokens.begin(), tokens.end(), 1000 * (text + 1));
    shared->add(tokens);
    EXPECT_LE(shared->n_tokens(), most);
  }
  SuffixProposer p(shared);
  EXPECT_TRUE(propose(p, {1000, 1001}).nodes.empty()) << "the oldest is gone";
  EXPECT_EQ(propose(p, {100000, 100001}).nodes.at(0).token, 100002);
  Tokens endless(2 * most);
  std::iota(endless.begin(), endless.end(), 500000);
  shared->add(endless);
  EXPECT_LE(shared->n_tokens(), most);
  EXPECT_FALSE(propose(p, {endless[endless.size() - 3], endless[endless.size() - 2]}).nodes.empty());
  shared->clear();
  EXPECT_EQ(shared->n_tokens(), 0u);
  EXPECT_TRUE(propose(p, {100000, 100001}).nodes.empty());
}

}  // namespace
}  // namespace watra::engine
