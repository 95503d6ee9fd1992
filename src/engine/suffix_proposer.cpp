#include "engine/suffix_proposer.h"

#include <algorithm>
#include <bit>

namespace watra::engine {
namespace {

// The most tokens whose index fits, a power of two: the index's tables are.
size_t tokens_for(uint64_t memory_bytes) {
  size_t n = 64;
  while (internal::NgramIndex::bytes_for(2 * n) <= memory_bytes) n *= 2;
  return n;
}

}  // namespace

SuffixHistory::SuffixHistory(uint64_t memory_bytes) : max_tokens_(tokens_for(memory_bytes)), index_(max_tokens_) {}

void SuffixHistory::clear() {
  index_.truncate(0);
  lengths_.clear();
}

void SuffixHistory::add(std::span<const TokenId> tokens) {
  if (tokens.empty()) return;
  tokens = tokens.last(std::min(tokens.size(), max_tokens_ - 1));
  if (n_tokens() + tokens.size() + 1 > max_tokens_) {
    // Down to half, so that the index is made anew once in a while and not for each text.
    size_t first = 0;
    while (!lengths_.empty() && n_tokens() - first + tokens.size() + 1 > max_tokens_ / 2) {
      first += lengths_.front();
      lengths_.pop_front();
    }
    const std::vector<TokenId> kept(index_.tokens().begin() + static_cast<ptrdiff_t>(first), index_.tokens().end());
    index_.truncate(0);
    for (const TokenId t : kept) index_.append(t);
  }
  for (const TokenId t : tokens) index_.append(t);
  index_.append(text::kNoToken);
  lengths_.push_back(tokens.size() + 1);
}

Status SuffixProposer::propose(std::span<const TokenId> tokens, const DraftLimits& limits, Draft& draft) {
  draft.clear();
  drafter_.learn(tokens);
  if (!tokens.empty()) drafter_.propose(history_->index(), tokens, false, limits, draft);
  return {};
}

}  // namespace watra::engine
