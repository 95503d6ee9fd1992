// SuffixProposer: how the person's earlier conversations went on after these words. SuffixHistory is the index over
// them, handed in as tokens (where they are kept is the store's business); any number of proposers read one history.
#pragma once

#include <deque>
#include <memory>

#include "engine/internal/match_drafter.h"

namespace watra::engine {

// One thread: whoever decodes also adds, between passes.
class SuffixHistory {
 public:
  // Holds as many tokens as the memory allows (64 bytes each, taken at once); older conversations make room for newer.
  explicit SuffixHistory(uint64_t memory_bytes);

  // A conversation, or a text, of one vocabulary. One longer than the history leaves its end.
  void add(std::span<const TokenId> tokens);
  void clear();

  size_t n_tokens() const { return index_.tokens().size(); }  // separators included
  size_t max_tokens() const { return max_tokens_; }
  uint64_t memory_bytes() const { return internal::NgramIndex::bytes_for(max_tokens_); }
  const internal::NgramIndex& index() const { return index_; }

 private:
  size_t max_tokens_;
  std::deque<size_t> lengths_;  // of the texts held, oldest first, each with its separator
  internal::NgramIndex index_;
};

class SuffixProposer : public Proposer {
 public:
  explicit SuffixProposer(std::shared_ptr<const SuffixHistory> history) : history_(std::move(history)) {}

  std::string_view method() const override { return "suffix"; }
  Status propose(std::span<const TokenId> tokens, const DraftLimits& limits, Draft& draft) override;

 private:
  std::shared_ptr<const SuffixHistory> history_;
  internal::MatchDrafter drafter_;
};

}  // namespace watra::engine
