// Sampler: one sequence's choice of the next token. One pipeline, in this order:
//
//   raw logits -> log-probabilities to report -> LogitMask -> logit bias -> the steps of SamplingParams::order -> draw
//                 (or, with probs_of_draw, reported from what the draw chose among)
//
// With temperature 0 the steps are the penalties alone and the draw is the argmax, ties to the lowest id. What each
// step does stands in sampling_params.h, how in sampling_candidates.cpp and sampling_penalties.cpp.
//
// sample() changes nothing that later tokens depend on: the outcome is a function of (parameters, seed, accepted
// tokens, logits, position). accept() and rollback() move the history; everything else (counts, repetitions, Mirostat's
// mu, the mask) follows it exactly. So drafts can be tried and taken back, and output is what plain decoding gives.
//
// Memory: a SamplerWorkspace (about 80 bytes per vocabulary entry, 110 with n_probs, touched as needed) is reserved
// once and can be shared by samplers that run on one thread; a sampler of its own holds its history. Nothing is
// allocated per token until the history outgrows its reserve.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/logit_mask.h"
#include "engine/sampling_params.h"

namespace watra::engine {

struct TokenLogprob {
  TokenId token;
  double logprob;  // natural log, from the raw logits: before mask, bias, penalties and temperature; or of the draw
};

struct SampleResult {
  TokenId token = text::kNoToken;
  std::optional<double> logprob;           // when want_logprob or n_probs asked for it; -inf possible
  std::span<const TokenLogprob> top = {};  // n_probs most probable, best first; valid until the workspace's next use
};

// Of 53 bits, which every reader of JSON keeps: to be asked for again.
uint64_t random_seed();

class SamplerWorkspace {
 public:
  explicit SamplerWorkspace(size_t n_vocab);
  ~SamplerWorkspace();
  SamplerWorkspace(const SamplerWorkspace&) = delete;
  SamplerWorkspace& operator=(const SamplerWorkspace&) = delete;
  size_t n_vocab() const;

 private:
  friend class Sampler;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

class Sampler {
 public:
  // Error "engine.bad_parameter" (see SamplingParams::validate). workspace null = one of its own; it must be of
  // n_vocab. reserve_tokens: history that fits without allocating (n_ctx, as a rule).
  static Result<Sampler> create(SamplingParams params, size_t n_vocab,
                                std::shared_ptr<SamplerWorkspace> workspace = nullptr, size_t reserve_tokens = 4096);
  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;
  ~Sampler();

  // Chooses from logits [n_vocab] for output position `position` (0 for the first token of the answer). Errors:
  // engine.bad_logits (NaN, +inf, wrong length), engine.no_token (mask and biases forbid every token).
  Result<SampleResult> sample(std::span<const float> logits, uint64_t position);

  // The next token of the sequence, sampled or forced. An error (mask refuses it, id outside the vocabulary) changes
  // nothing. Mirostat's mu moves when it is the token the last sample() returned, and stays for forced ones.
  Status accept(TokenId token);
  // Tokens that penalties see but the mask does not: the prompt. kNoToken stands for an embedding row.
  Status accept_prompt(std::span<const TokenId> tokens);
  // Takes back the last n tokens, prompt included. Error engine.bad_rollback when there are fewer.
  Status rollback(size_t n);

  // The same state for another branch; runs on the thread of this one (shared workspace).
  Sampler fork() const;

  // From here on accepted tokens advance the mask; null takes it away. Rolling back past this point leaves the mask in
  // place, in the state it came in.
  void set_mask(std::unique_ptr<LogitMask> mask);
  bool has_mask() const;

  uint64_t seed() const;  // the one in use, also when none was asked for
  const SamplingParams& params() const;
  std::span<const TokenId> history() const;
  double mirostat_mu() const;

 private:
  struct Fixed;
  struct State;
  Sampler(std::shared_ptr<const Fixed> fixed, std::shared_ptr<SamplerWorkspace> workspace,
          std::unique_ptr<State> state);

  void apply_penalties();
  void apply_dry();
  void apply(SamplerKind kind, uint64_t position);
  void report_draw(SampleResult& result);
  TokenId choose(uint64_t position);

  std::shared_ptr<const Fixed> fixed_;  // parameters as given, seed drawn, breakers resolved: shared by forks
  std::shared_ptr<SamplerWorkspace> workspace_;
  std::unique_ptr<State> state_;
};

}  // namespace watra::engine
