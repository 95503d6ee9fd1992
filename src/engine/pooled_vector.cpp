#include "engine/pooled_vector.h"

#include <algorithm>
#include <cmath>

namespace watra::engine {

void PooledVector::add(int64_t position, std::span<const float> hidden) {
  if (pooling_ == model::Pooling::first && position != 0) return;
  if (pooling_ == model::Pooling::last && position != last_) return;
  sum_.resize(hidden.size());
  for (size_t i = 0; i < hidden.size(); ++i) sum_[i] += static_cast<double>(hidden[i]);
}

std::vector<float> PooledVector::normalized(int64_t n_dimensions) const {
  const size_t n = n_dimensions > 0 ? std::min(sum_.size(), static_cast<size_t>(n_dimensions)) : sum_.size();
  double square = 0;
  for (size_t i = 0; i < n; ++i) square += sum_[i] * sum_[i];
  const double length = square > 0 ? std::sqrt(square) : 1;
  std::vector<float> out;
  out.reserve(n);
  for (size_t i = 0; i < n; ++i) out.push_back(static_cast<float>(sum_[i] / length));
  return out;
}

}  // namespace watra::engine
