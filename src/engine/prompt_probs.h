// PromptProbs: what a row of logits says about a token that is known: its log-probability, its rank, the most probable
// ones. For prompts that are scored (echo, perplexity by a client); answers have the Sampler's. One thread; the buffers
// stay.
#pragma once

#include <span>
#include <vector>

#include "engine/sampling.h"

namespace watra::engine {

class PromptProbs {
 public:
  struct Look {
    double logprob;                     // natural log, of the raw logits
    int64_t rank;                       // 1 = the most probable; ties count before a higher id
    std::span<const TokenLogprob> top;  // best first; valid until the next call
  };
  Look look(std::span<const float> logits, TokenId token, int32_t n_top);

 private:
  std::vector<TokenId> ids_;
  std::vector<TokenLogprob> top_;
};

}  // namespace watra::engine
