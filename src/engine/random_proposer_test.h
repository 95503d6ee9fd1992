// Proposers that guess at random, for tests: what they say must never show in an answer.
#pragma once

#include "engine/ngram_proposer.h"
#include "engine/random_request_test.h"

namespace watra::engine {

// Trees of tokens that stood in the text before (so that some come true), of any token, and of nonsense: ids outside
// the vocabulary, the same child twice, parents that do not exist, more nodes than asked for, probabilities that are
// none.
class RandomProposer : public Proposer {
 public:
  explicit RandomProposer(uint32_t seed) : random_(seed) {}
  std::string_view method() const override { return "random"; }

  Status propose(std::span<const TokenId> tokens, const DraftLimits& limits, Draft& draft) override {
    draft.clear();
    const auto n_text = static_cast<int64_t>(tokens.size());
    const int64_t n = random_.between(0, limits.max_nodes + 3);
    const bool chain = random_.chance(0.4);
    for (int64_t i = 0; i < n; ++i) {
      TokenId token = tokens[static_cast<size_t>(random_.between(std::max<int64_t>(0, n_text - 6), n_text - 1))];
      if (random_.chance(0.2)) token = static_cast<TokenId>(random_.between(0, kTalkingVocab - 1));
      if (random_.chance(0.02)) token = static_cast<TokenId>(random_.between(-5, 1000000));
      auto parent = static_cast<int32_t>(chain ? i - 1 : random_.between(-1, i - 1));
      if (random_.chance(0.02)) parent = static_cast<int32_t>(random_.between(-5, 30));
      const float probability = random_.chance(0.02) ? std::nanf("") : static_cast<float>(random_.between(-1, 12)) / 10;
      draft.nodes.push_back({token, parent, probability});
    }
    return {};
  }

 private:
  Random random_;
};

// Knows how the answer goes on, and says so with wrong branches around it.
class NoisyOracle : public Proposer {
 public:
  NoisyOracle(std::vector<TokenId> whole, uint32_t seed) : whole_(std::move(whole)), random_(seed) {}
  std::string_view method() const override { return "oracle"; }

  Status propose(std::span<const TokenId> tokens, const DraftLimits& limits, Draft& draft) override {
    draft.clear();
    int32_t right = -1;
    for (size_t i = tokens.size(); i < whole_.size() && static_cast<int32_t>(draft.nodes.size()) < limits.max_nodes;
         ++i) {
      if (random_.chance(0.15)) break;
      const int32_t parent = right;
      const int64_t n_wrong = limits.tree ? random_.between(0, 2) : 0;
      for (int64_t k = 0; k < n_wrong; ++k)
        draft.nodes.push_back({static_cast<TokenId>(random_.between(3, kTalkingVocab - 1)),
                               random_.chance(0.5) ? parent : static_cast<int32_t>(draft.nodes.size()) - 1, 0.2f});
      right = static_cast<int32_t>(draft.nodes.size());
      draft.nodes.push_back({whole_[i], parent, 0.7f});
    }
    return {};
  }

 private:
  std::vector<TokenId> whole_;
  Random random_;
};

inline std::vector<std::unique_ptr<Proposer>> random_proposers(Random& random) {
  std::vector<std::unique_ptr<Proposer>> out;
  if (random.chance(0.7)) out.push_back(std::make_unique<NgramProposer>(512));
  if (random.chance(0.7))
    out.push_back(std::make_unique<RandomProposer>(static_cast<uint32_t>(random.between(0, 1 << 30))));
  return out;
}

}  // namespace watra::engine
