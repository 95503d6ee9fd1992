// Perplexity of a model on a text, and KL divergence between two models on it.
//
// The protocol of llama.cpp's tool, so that figures can be put side by side: one final newline is dropped; the whole
// text is tokenized, control tokens as plain text, BOS in front if the model adds one; the tokens are cut into windows
// of n_ctx (the rest is dropped), each with a fresh cache; if the model adds BOS it replaces each window's first token;
// targets n_ctx/2+1 .. n_ctx-1 are scored.
#pragma once

#include <atomic>
#include <functional>
#include <string_view>
#include <vector>

#include "engine/loaded_model.h"

namespace watra::workshop {

using text::TokenId;

struct PerplexityOptions {
  int64_t n_ctx = 512;
  int64_t max_chunks = -1;                                                   // -1 = all
  std::function<void(int64_t done, int64_t total, double so_far)> progress;  // windows; perplexity so far
  const std::atomic<bool>* cancel = nullptr;
};

struct PerplexityReport {
  double perplexity = 0, stderr_ = 0;
  int64_t n_chunks = 0;
  int64_t n_tokens = 0;  // scored
  double seconds = 0;
  double tokens_per_s = 0;  // read
};

// The windows of a text for one model. Errors: "eval.text_too_short" names both counts, "eval.window_too_short".
Result<std::vector<std::vector<TokenId>>> evaluation_windows(const text::Tokenizer& tokenizer, std::string_view text,
                                                             const PerplexityOptions& options);

// The model must be loaded with n_ctx >= options.n_ctx.
Result<PerplexityReport> perplexity(const engine::LoadedModel& model, std::string_view text,
                                    const PerplexityOptions& options);

struct DivergenceReport {
  double mean_kld = 0, stderr_ = 0, median_kld = 0, p99_kld = 0, max_kld = 0;
  double same_top = 0;  // share of positions where both put the same token first
  double perplexity = 0, reference_perplexity = 0;
  int64_t n_tokens = 0;
};

// Both models read the same windows in lockstep: KLD(reference || model) in nats at every scored position. Error
// "eval.other_vocabulary" when their tokenizers differ.
Result<DivergenceReport> divergence(const engine::LoadedModel& model, const engine::LoadedModel& reference,
                                    std::string_view text, const PerplexityOptions& options);

}  // namespace watra::workshop
