// PooledVector: one vector of a text, from the hidden states of its tokens as they are told
// (RequestEvents::prompt_hidden).
//
// The mean of all, the first (BERT's [CLS]) or the last, as the model says; told as a vector of length 1, so that a dot
// product of two is their cosine. One thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/hparams.h"

namespace watra::engine {

class PooledVector {
 public:
  PooledVector(model::Pooling pooling, int64_t n_tokens) : pooling_(pooling), last_(n_tokens - 1) {}

  void add(int64_t position, std::span<const float> hidden);
  // Of length 1; zeros stay zeros. n_dimensions: the first so many components alone, for models that were trained to be
  // cut (Matryoshka); 0 = all.
  std::vector<float> normalized(int64_t n_dimensions = 0) const { return scaled(2, n_dimensions); }
  // The same by another measure of length, in llama.cpp's numbers: -1 leaves the vector as it is, 0 makes its largest
  // component 32760, 1 the sum of all 1, p the p-norm 1.
  std::vector<float> scaled(int norm, int64_t n_dimensions = 0) const;

 private:
  model::Pooling pooling_;
  int64_t last_;
  std::vector<double> sum_;  // the mean's direction: length does not count
};

}  // namespace watra::engine
