#include "engine/prompt_probs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace watra::engine {

PromptProbs::Look PromptProbs::look(std::span<const float> logits, TokenId token, int32_t n_top) {
  const float most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float l : logits) sum += std::exp(static_cast<double>(l) - static_cast<double>(most));
  const double log_sum = static_cast<double>(most) + std::log(sum);
  const auto at = static_cast<size_t>(token);
  const auto before = [&](TokenId a, TokenId b) {
    const float la = logits[static_cast<size_t>(a)], lb = logits[static_cast<size_t>(b)];
    return la != lb ? la > lb : a < b;
  };
  int64_t rank = 1;
  for (size_t i = 0; i < logits.size(); ++i) rank += i != at && before(static_cast<TokenId>(i), token);
  top_.clear();
  const auto n = std::min(static_cast<size_t>(std::max(n_top, 0)), logits.size());
  if (n > 0) {
    ids_.resize(logits.size());
    std::iota(ids_.begin(), ids_.end(), 0);
    std::partial_sort(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(n), ids_.end(), before);
    for (size_t i = 0; i < n; ++i)
      top_.push_back({ids_[i], static_cast<double>(logits[static_cast<size_t>(ids_[i])]) - log_sum});
  }
  return {static_cast<double>(logits[at]) - log_sum, rank, top_};
}

}  // namespace watra::engine
