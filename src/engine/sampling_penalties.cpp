#include "engine/sampling_penalties.h"

#include <algorithm>

namespace watra::engine {

void count_tokens(std::span<const TokenId> window, TokenTally& counts) {
  counts.clear();
  for (const TokenId token : window) {
    if (token >= 0) counts.add(token);
  }
}

DryBreakers::DryBreakers(std::span<const std::vector<TokenId>> sequences, size_t n_vocab) {
  if (sequences.empty()) return;
  single_.resize((n_vocab + 31) / 32);
  for (const auto& sequence : sequences) {
    if (sequence.size() == 1) {
      single_[sequence[0] / 32] |= uint32_t{1} << (sequence[0] % 32);
    } else {
      sequences_.push_back(sequence);
    }
  }
  std::sort(sequences_.begin(), sequences_.end(), [](const auto& a, const auto& b) { return a.back() < b.back(); });
}

size_t DryBreakers::tokens_since(std::span<const TokenId> window) const {
  const auto ends_with = [](std::span<const TokenId> tokens, const std::vector<TokenId>& tail) {
    return tokens.size() >= tail.size() && std::equal(tail.rbegin(), tail.rend(), tokens.rbegin());
  };
  for (size_t after = 0; after < window.size(); ++after) {
    const auto upto = window.first(window.size() - after);
    if (is_single(upto.back())) return after;
    auto it = std::lower_bound(sequences_.begin(), sequences_.end(), upto.back(),
                               [](const auto& sequence, TokenId token) { return sequence.back() < token; });
    for (; it != sequences_.end() && it->back() == upto.back(); ++it) {
      if (ends_with(upto, *it)) return after;
    }
  }
  return window.size();
}

void repetition_lengths(std::span<const TokenId> window, const DryBreakers& breakers, size_t allowed_length,
                        std::vector<uint32_t>& match_lengths, TokenTally& lengths) {
  lengths.clear();
  const size_t n = window.size();
  const size_t shortest = std::max<size_t>(1, allowed_length);
  const size_t limit = breakers.tokens_since(window);
  if (limit < shortest || n < 2) return;

  // Read backwards, r[0] the newest token. match[i] = length of the common prefix of r and r[i..]: the last match[i]
  // tokens of the window also end i tokens earlier, and what followed them there is r[i - 1].
  const auto r = [&](size_t i) { return window[n - 1 - i]; };
  match_lengths.assign(n, 0);
  size_t box_begin = 0, box_end = 0;  // r[box_begin, box_end) equals a prefix of r, box_end as far right as known
  for (size_t i = 1; i < n; ++i) {
    size_t length = i < box_end ? std::min<size_t>(box_end - i, match_lengths[i - box_begin]) : 0;
    while (i + length < n && r(length) == r(i + length)) ++length;
    match_lengths[i] = static_cast<uint32_t>(length);
    if (i + length > box_end) {
      box_begin = i;
      box_end = i + length;
    }
    const size_t repeated = std::min(length, limit);
    const TokenId next = r(i - 1);
    if (repeated >= shortest && !breakers.is_single(next)) lengths.raise_to(next, static_cast<uint32_t>(repeated));
  }
}

}  // namespace watra::engine
