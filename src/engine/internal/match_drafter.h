// MatchDrafter: a draft from places where the end of the text stood before, and how often such drafts were right.
//
// A node's probability is the share of earlier guesses from matches of that length that came true; it knows three
// cases: one place, several that go on alike, several that do not. With each agreeing token the match is one longer.
// What was proposed is compared with what came, whether or not anybody verified it.
//
// One sequence, one thread. Nothing is allocated after construction.
#pragma once

#include <array>

#include "engine/internal/ngram_index.h"
#include "engine/proposer.h"

namespace watra::engine::internal {

class MatchDrafter {
 public:
  MatchDrafter();

  // Looks at what became of the last proposal: `text` is the sequence now.
  void learn(std::span<const TokenId> text);
  // Proposes what followed the end of `text` in `index`. own: the index is of this very text, and a match near its end
  // goes on into the draft (text that runs in a circle).
  void propose(const NgramIndex& index, std::span<const TokenId> text, bool own, const DraftLimits& limits,
               Draft& draft);

  enum Case : uint8_t { kOnePlace, kAgreeing, kDiffering, kCases };
  double probability(int32_t length, Case c) const;

 private:
  static constexpr size_t kBuckets = 11;
  static size_t bucket(int32_t length);
  struct Rate {
    float tried = 0, came_true = 0;
  };
  struct Guess {
    TokenId token;
    int32_t length;
  };
  void add_chain(const NgramIndex& index, const NgramIndex::Match& match, bool own, const DraftLimits& limits,
                 int32_t n_nodes, bool first, Draft& draft);

  std::array<std::array<Rate, kBuckets>, kCases> rates_{};
  std::vector<Guess> guesses_;  // the first chain of the last proposal
  Case case_ = kOnePlace;
  size_t guessed_at_ = 0;
  TokenId guessed_after_ = text::kNoToken;
};

}  // namespace watra::engine::internal
