#include "engine/internal/likely_tokens.h"

#include <algorithm>
#include <cmath>

namespace watra::engine::internal {

void LikelyTokens::reserve(size_t n_vocab) {
  row_.reserve(n_vocab);
  best_.reserve(n_vocab);  // every token may be as likely as the others; pages are the system's until touched
  out_.reserve(64);
}

std::span<const LikelyToken> LikelyTokens::find(std::span<const float> logits, size_t n, double temperature) {
  out_.clear();
  if (!row_.load(logits)) return out_;
  max_ = row_.max();
  if (max_ == LogitRow::kForbidden) return out_;
  inverse_temperature_ = 1 / temperature;
  select_most_probable(row_, n, best_);
  // Floats are enough for a guess, and several times as fast as the sampler's exact sums.
  double total = 0;
  const auto scale = static_cast<float>(inverse_temperature_);
  const auto largest = static_cast<float>(max_);
  row_.visit_at_least(max_ - kReach * temperature, [&](TokenId, float x) { total += std::exp((x - largest) * scale); });
  total_ = total;
  for (const Candidate& c : best_) out_.push_back({c.id, probability_of(c.id)});
  return out_;
}

float LikelyTokens::probability_of(TokenId token) const {
  const double x = row_.values()[static_cast<size_t>(token)];
  return static_cast<float>(std::min(1.0, std::exp((x - max_) * inverse_temperature_) / total_));
}

}  // namespace watra::engine::internal
