// NgramIndex: where in a list of tokens a given end of text stood before.
//
// The list grows at its end and can be cut back; both keep the index exact. For runs of 1, 2, 4, 8 and 16 tokens a hash
// table knows the newest place, and every place knows the one before it with the same hash; what a table offers is
// compared token by token, so a collision costs time and nothing else. append() and truncate() take a constant time a
// token, find() a constant time whatever the length (microseconds). No allocations up to the reserve.
//
// Memory: about 64 bytes for each token of the reserve. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "text/vocab_spec.h"

namespace watra::engine::internal {

using text::TokenId;

class NgramIndex {
 public:
  explicit NgramIndex(size_t reserve_tokens);

  // kNoToken separates texts: no match reaches across it.
  void append(TokenId token);
  void truncate(size_t n_tokens);
  std::span<const TokenId> tokens() const { return tokens_; }
  static uint64_t bytes_for(size_t reserve_tokens);

  static constexpr int32_t kMaxLength = 32;  // of a match; longer ones are as sure
  struct Match {
    int32_t end = 0;     // tokens()[end - length, end) are the last `length` tokens of the text looked for;
    int32_t length = 0;  // tokens()[end] exists
    bool operator==(const Match&) const = default;
  };
  // Up to out.size() places, the longest first, among equals the newest. `text` may be tokens() itself: its own end is
  // then no match.
  size_t find(std::span<const TokenId> text, std::span<Match> out) const;

 private:
  static constexpr std::array<int32_t, 5> kRuns = {1, 2, 4, 8, 16};
  struct Level {
    std::vector<int32_t> newest;    // by hash: end of the newest such run; 0 = none
    std::vector<int32_t> previous;  // by end - 1: the one before it with the same hash
  };
  size_t slot(std::span<const TokenId> run) const;
  bool whole(int32_t run) const;  // the last `run` tokens are of one text
  int32_t match_length(std::span<const TokenId> text, int32_t end) const;

  std::vector<TokenId> tokens_;
  std::array<Level, kRuns.size()> levels_;
  int shift_ = 0;
};

}  // namespace watra::engine::internal
