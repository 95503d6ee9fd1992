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

std::vector<float> PooledVector::scaled(int norm, int64_t n_dimensions) const {
  constexpr double kLargest = 32760;  // llama.cpp's, for numbers of 16 bits
  const size_t n = n_dimensions > 0 ? std::min(sum_.size(), static_cast<size_t>(n_dimensions)) : sum_.size();
  const auto values = std::span(sum_).first(n);
  double length = 0;
  if (norm < 0) {
    length = pooling_ == model::Pooling::mean ? static_cast<double>(last_ + 1) : 1;
  } else if (norm == 0) {
    for (const double x : values) length = std::max(length, std::abs(x));
    length /= kLargest;
  } else if (norm == 2) {
    for (const double x : values) length += x * x;
    length = std::sqrt(length);
  } else {
    double largest = 0;  // powers of what is at most 1 stay numbers
    for (const double x : values) largest = std::max(largest, std::abs(x));
    if (largest > 0)
      for (const double x : values) length += std::pow(std::abs(x) / largest, norm);
    length = largest * std::pow(length, 1.0 / norm);
  }
  if (!(length > 0)) length = 1;
  std::vector<float> out;
  out.reserve(n);
  for (const double x : values) out.push_back(static_cast<float>(x / length));
  return out;
}

}  // namespace watra::engine
