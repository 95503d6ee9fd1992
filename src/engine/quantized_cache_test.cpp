// Where keys and values are stored quantized, what a row sees depends on positions alone: however a sequence came
// about, its logits are, to the bit, those of a fresh one that is read at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>

#include "engine/session.h"
#include "engine/talking_model_test.h"

namespace watra::engine {
namespace {

using Tokens = std::vector<TokenId>;

class QuantizedCache : public testing::TestWithParam<const char*> {
 protected:
  static constexpr int64_t kContext = 420;
  QuantizedCache()
      : model_(talking_model({.n_ctx = kContext,
                              .kv_positions = 3 * kContext,
                              .max_rows = 150,
                              .max_logit_rows = 8,
                              .kv_types = *KvTypes::parse(GetParam())})),
        f_(*model_.forward),
        rng_(11) {}

  int64_t between(int64_t a, int64_t b) { return std::uniform_int_distribution<int64_t>(a, b)(rng_); }
  TokenId token() { return static_cast<TokenId>(between(3, kTalkingVocab - 1)); }
  static std::vector<float> copy(std::span<const float> row) { return {row.begin(), row.end()}; }

  void read(SequenceId s, std::span<const TokenId> tokens) {
    Batch batch;
    for (size_t at = 0; at < tokens.size();) {
      const size_t n = std::min<size_t>(tokens.size() - at, static_cast<size_t>(f_.options().max_rows));
      batch.clear();
      batch.add_chain(s, tokens.data() + at, static_cast<int64_t>(n), true);
      const Status ran = f_.run(batch);
      ASSERT_TRUE(ran) << ran.error().to_string();
      at += n;
    }
  }
  std::vector<float> fresh(std::span<const TokenId> tokens) {
    const SequenceId s = f_.kv().add();
    read(s, tokens);
    f_.kv().remove(s);
    return copy(f_.logits(0));
  }

  LoadedModel model_;
  Forward& f_;
  std::mt19937 rng_;
};

TEST_P(QuantizedCache, EveryHistoryGivesTheLogitsOfAFreshRun) {
  KvCache& kv = f_.kv();
  SequenceId s = kv.add();
  Tokens tokens;
  int64_t last_pass = 0;
  int n_rounded = 0, n_trees = 0, n_forks = 0;
  for (int step = 0; step < 300; ++step) {
    SCOPED_TRACE(testing::Message() << "step " << step << ", " << tokens.size() << " tokens");
    const auto length = static_cast<int64_t>(tokens.size()), room = kContext - 20 - length;
    const int64_t what = room < 1 ? 4 : between(0, 9);
    if (what <= 3 || tokens.empty()) {  // reads on
      Tokens more(static_cast<size_t>(std::min(room, between(0, 2) ? between(1, 20) : between(1, 150))));
      for (auto& t : more) t = token();
      read(s, more);
      tokens.insert(tokens.end(), more.begin(), more.end());
      last_pass = std::ssize(more);
      const auto got = copy(f_.logits(0));
      ASSERT_EQ(got, fresh(tokens));
    } else if (what == 4) {  // cut back anywhere
      const int64_t n = between(0, length);
      kv.truncate(s, n);
      n_rounded += kv.length(s) != n;
      ASSERT_TRUE(kv.length(s) == n || kv.length(s) == n / kernels::kKvPage * kernels::kKvPage);
      tokens.resize(static_cast<size_t>(kv.length(s)));
      last_pass = 0;
    } else if (what == 5) {  // a draft's end is not accepted
      const int64_t n = length - between(0, std::min<int64_t>(last_pass, kernels::kKvPage));
      if (last_pass > kernels::kKvPage) continue;
      kv.truncate(s, n);
      ASSERT_EQ(kv.length(s), n);
      tokens.resize(static_cast<size_t>(n));
      last_pass = 0;
    } else if (what == 6 && between(0, 1)) {  // a pass is given up
      const std::atomic<bool> cancel{true};
      Tokens more(static_cast<size_t>(std::min(room, between(1, 150))));
      for (auto& t : more) t = token();
      Batch batch;
      batch.add_chain(s, more.data(), std::ssize(more), true);
      ASSERT_FALSE(f_.run(batch, {.cancel = &cancel}));
      last_pass = 0;
    } else if (what == 6) {  // a fork goes on, the other ends
      const auto child = kv.fork(s, between(length / 2, length));
      ASSERT_TRUE(child);
      kv.remove(s);
      s = *child;
      tokens.resize(static_cast<size_t>(kv.length(s)));
      last_pass = 0;
      ++n_forks;
    } else {  // a draft tree
      const auto n = static_cast<int32_t>(between(1, 20));
      Batch batch;
      std::vector<int32_t> parents;
      for (int32_t i = 0; i < n; ++i) {
        parents.push_back(i == 0 ? kFromCache : static_cast<int32_t>(between(between(0, 1) ? i - 1 : 0, i - 1)));
        batch.rows.push_back({.token = token(), .sequence = s, .parent = parents.back()});
      }
      auto leaf = static_cast<int32_t>(between(0, n - 1));
      batch.rows[static_cast<size_t>(leaf)].wants_logits = true;
      const Status ran = f_.run(batch);
      ASSERT_TRUE(ran) << ran.error().to_string();
      const auto got = copy(f_.logits(0));
      std::vector<int32_t> path;
      for (; leaf >= 0; leaf = parents[static_cast<size_t>(leaf)]) path.insert(path.begin(), leaf);
      kv.keep_path(s, path);
      for (const int32_t i : path) tokens.push_back(batch.rows[static_cast<size_t>(i)].token);
      ASSERT_EQ(got, fresh(tokens));
      last_pass = std::ssize(path);
      ++n_trees;
    }
  }
  kv.remove(s);
  EXPECT_GT(n_rounded, 1);
  EXPECT_GT(n_trees, 50);
  EXPECT_GT(n_forks, 10);
}

TEST_P(QuantizedCache, ASessionThatIsCutBackAnswersAsAFreshOne) {
  Session session(model_);
  Tokens prompt;
  for (int i = 0; i < 300; ++i) prompt.push_back(token());
  for (const size_t same : {300u, 290u, 250u, 200u, 130u, 128u, 127u, 40u}) {
    prompt.resize(same);
    for (int i = 0; i < 45; ++i) prompt.push_back(token());
    const auto report = session.prefill(prompt);
    ASSERT_TRUE(report);
    EXPECT_LE(report->n_cached, static_cast<int64_t>(same));
    const auto got = copy(session.logits());
    ASSERT_EQ(got, fresh(prompt)) << same;
  }
}

TEST_P(QuantizedCache, ATreeOverMoreThanTwoPagesIsRefused) {
  const SequenceId s = f_.kv().add();
  Batch batch;
  for (int i = 0; i < 130; ++i) batch.rows.push_back({.token = token(), .sequence = s, .parent = i - 1});
  const Status refused = f_.run(batch);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "forward.bad_batch");
  f_.kv().remove(s);
}

INSTANTIATE_TEST_SUITE_P(Types, QuantizedCache, testing::Values("q4_0", "q8_0", "q8_0,q4_0", "f16,q4_0", "q4_0/1:f16"),
                         [](const auto& type) {
                           std::string name = type.param;
                           std::ranges::replace_if(
                               name, [](char c) { return !std::isalnum(c); }, '_');
                           return name;
                         });

}  // namespace
}  // namespace watra::engine
