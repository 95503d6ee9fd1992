// What penalties need to know about the history: how often each token occurs in a window, and how long a repetition
// each token would extend (DRY). Recomputed from the history at every position, so that nothing has to be rolled back.
//
// TokenTally is a sparse counter over the vocabulary: O(1) per touch, cleared in the number of tokens touched.
// No allocation once reserved. Not thread-safe; DryBreakers is immutable and may be shared.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/vocab_spec.h"

namespace watra::engine {

using text::TokenId;

class TokenTally {
 public:
  void reserve(size_t n_vocab) {
    counts_.resize(n_vocab);
    touched_.reserve(n_vocab);
  }
  void clear() {
    for (const TokenId token : touched_) counts_[token] = 0;
    touched_.clear();
  }
  uint32_t operator[](TokenId token) const { return counts_[token]; }
  // In order of first touch.
  std::span<const TokenId> touched() const { return touched_; }
  void add(TokenId token) { raise_to(token, counts_[token] + 1); }
  // value must not be 0.
  void raise_to(TokenId token, uint32_t value) {
    if (counts_[token] == 0) touched_.push_back(token);
    if (counts_[token] < value) counts_[token] = value;
  }

 private:
  std::vector<uint32_t> counts_;
  std::vector<TokenId> touched_;
};

// The last n tokens of a history; n -1 = all.
inline std::span<const TokenId> last_tokens(std::span<const TokenId> history, int32_t n) {
  return n < 0 || static_cast<size_t>(n) >= history.size() ? history : history.last(static_cast<size_t>(n));
}

// counts := occurrences of each token in the window. Ids below 0 (embedding rows) count as nothing.
void count_tokens(std::span<const TokenId> window, TokenTally& counts);

class DryBreakers {
 public:
  DryBreakers() = default;
  DryBreakers(std::span<const std::vector<TokenId>> sequences, size_t n_vocab);

  bool is_single(TokenId token) const {
    return token < 0 || (!single_.empty() && (single_[token / 32] >> (token % 32) & 1) != 0);
  }
  // Tokens at the end of the window that lie after the last breaker in it: how long a repetition may be.
  size_t tokens_since(std::span<const TokenId> window) const;

 private:
  std::vector<uint32_t> single_;                 // bit per token
  std::vector<std::vector<TokenId>> sequences_;  // of two and more, by last token
};

// lengths[t] := n >= max(1, allowed_length) when t follows an earlier occurrence of the window's last n tokens (the
// longest such n, not reaching across a breaker). Breakers by themselves are left out. Linear in the window
// (Z-algorithm, run backwards). match_lengths is scratch: room for the window.
void repetition_lengths(std::span<const TokenId> window, const DryBreakers& breakers, size_t allowed_length,
                        std::vector<uint32_t>& match_lengths, TokenTally& lengths);

}  // namespace watra::engine
