// LikelyTokens: the few likeliest tokens of a row of raw logits with their probabilities, for drafts.
//
// Nothing is sorted as a whole: the maxima of runs of 128 logits (sampling_row.h) say where the largest can be, and the
// normalizing sum takes only what lies within kReach of the largest (the rest of 152,000 tokens weighs less than 2 % of
// one of them at worst). Nothing is allocated after reserve(). One thread.
#pragma once

#include <span>
#include <vector>

#include "engine/sampling_candidates.h"

namespace watra::engine::internal {

struct LikelyToken {
  TokenId token;
  float probability;
};

class LikelyTokens {
 public:
  static constexpr double kReach = 16;  // nats below the largest logit, after temperature

  void reserve(size_t n_vocab);
  // The n likeliest of the logits (n >= 1), likeliest first, ties to the lowest id; softmax at `temperature` (above 0).
  // Empty when the logits are not numbers. Valid until the next call.
  std::span<const LikelyToken> find(std::span<const float> logits, size_t n, double temperature);
  // Softmax probability of one token of the last row.
  float probability_of(TokenId token) const;

 private:
  LogitRow row_;
  std::vector<Candidate> best_;
  std::vector<LikelyToken> out_;
  double max_ = 0, inverse_temperature_ = 1, total_ = 1;
};

}  // namespace watra::engine::internal
