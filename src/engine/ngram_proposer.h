// NgramProposer: what followed the last time these words stood here. Finds the end of the sequence earlier in the
// sequence itself (prompt lookup) and proposes what came next there. Costs microseconds at any length, so it is always
// asked; how much its guesses are worth it learns while the answer is written (internal/match_drafter.h).
#pragma once

#include "engine/internal/match_drafter.h"

namespace watra::engine {

class NgramProposer : public Proposer {
 public:
  // reserve_tokens: the longest sequence that needs no allocation (n_ctx, as a rule).
  explicit NgramProposer(size_t reserve_tokens) : index_(reserve_tokens) {}

  static uint64_t memory_bytes(size_t reserve_tokens) { return internal::NgramIndex::bytes_for(reserve_tokens); }

  std::string_view method() const override { return "ngram"; }
  Status propose(std::span<const TokenId> tokens, const DraftLimits& limits, Draft& draft) override;

 private:
  internal::NgramIndex index_;
  internal::MatchDrafter drafter_;
};

}  // namespace watra::engine
