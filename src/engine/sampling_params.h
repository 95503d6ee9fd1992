// SamplingParams: everything a person or a request can say about how tokens are chosen, with its defaults and ranges.
//
// Plain data. What each method does, and where it was published, stands beside its fields; sampling.cpp carries it out.
// Defaults are llama.cpp's (common.h) where it has them, so that the same words give the same kind of text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/vocab_spec.h"

namespace watra::engine {

using text::TokenId;

// One step of the pipeline. Names as people write them: sampler_name().
enum class SamplerKind : uint8_t { penalties, dry, top_n_sigma, top_k, typical_p, top_p, min_p, xtc, temperature };

struct LogitBias {
  TokenId token;
  float bias;  // added to the logit; -inf forbids the token. Several entries for one token add up
};

struct SamplingParams {
  // None = a random one, drawn when the Sampler is made (Sampler::seed() tells).
  std::optional<uint64_t> seed;

  // Temperature divides the logits. 0 (or below 1e-6) = greedy. Range 0 .. 5. Default llama.cpp.
  double temperature = 0.8;
  // Dynamic temperature (kalomaze 2023; llama.cpp): T = lo + (hi - lo) * (H / ln n)^exponent, lo/hi = temperature -/+
  // range (lo at least 0), H the entropy of the n candidates. range 0 = off.
  double dynatemp_range = 0;     // 0 .. 5
  double dynatemp_exponent = 1;  // 0 .. 10

  // The k largest logits (Fan et al. 2018). 0 or -1 = off. Default llama.cpp.
  int32_t top_k = 40;
  // Nucleus: the smallest set of most probable tokens whose mass is >= p (Holtzman et al. 2019). 1 = off. Default
  // llama.cpp.
  double top_p = 0.95;
  // Probability >= min_p times that of the most probable token (Nguyen et al. 2024). 0 = off. Default llama.cpp.
  double min_p = 0.05;
  // Locally typical: the smallest set, by | -ln p - H | ascending, whose mass is >= p (Meister et al. 2022). 1 = off.
  double typical_p = 1;
  // Logits >= max - n * standard deviation of the finite logits (Tang et al. 2024). 0 or -1 = off. Range -1 .. 100.
  double top_n_sigma = -1;
  // With the given probability all tokens of probability >= threshold go, except the least probable of them (p-e-w
  // 2024). probability 0 or threshold > 0.5 = off. Defaults of the author and llama.cpp.
  double xtc_probability = 0;
  double xtc_threshold = 0.1;
  // No truncating step leaves fewer tokens than this (or than there were). 0 = one.
  int32_t min_keep = 0;

  // Penalties look at the last n tokens of the sequence, prompt included. 0 = none, -1 = all. Default llama.cpp.
  int32_t repeat_last_n = 64;
  // A token seen there: its logit is divided by the penalty if positive, multiplied if not (CTRL, Keskar et al. 2019).
  double repeat_penalty = 1;  // above 0 .. 10, 1 = off
  // logit -= count * frequency + (count > 0) * presence (OpenAI's API). Both -2 .. 2 as there, 0 = off.
  double frequency_penalty = 0;
  double presence_penalty = 0;

  // DRY (p-e-w 2024): a token that would extend a repetition of the last n >= allowed_length tokens loses
  // multiplier * base^(n - allowed_length). multiplier 0 = off. Repetitions do not reach across a breaker, and a token
  // that is a breaker by itself is never penalized. Defaults of the author and llama.cpp.
  double dry_multiplier = 0;                       // 0 .. 100
  double dry_base = 1.75;                          // 1 .. 10
  int32_t dry_allowed_length = 2;                  // 0 .. 65536
  int32_t dry_penalty_last_n = 64;                 // tokens searched; 0 = none, -1 = all
  std::vector<std::vector<TokenId>> dry_breakers;  // token sequences of 1 to 64; resolve_dry_breakers() makes them

  // Mirostat 2.0 (Basu et al. 2020): tokens more surprising than mu bits go; after each token mu -= eta * (surprise -
  // tau). 0 = off, 2 = on. It stands in place of every truncating step (top_*, min_p, typical_p, xtc), as in llama.cpp;
  // penalties, DRY and temperature act as always. mu starts at 2 tau. Defaults of the paper's authors and llama.cpp.
  int32_t mirostat = 0;
  double mirostat_tau = 5;    // 0 .. 100 bits
  double mirostat_eta = 0.1;  // 0 .. 1

  std::vector<LogitBias> logit_bias;

  // Report the chosen token's log-probability, and the n most probable tokens with theirs: all from the raw logits.
  bool want_logprob = false;
  int32_t n_probs = 0;  // > 0 includes want_logprob
  // Instead: as they stood when the token was drawn, after every step; fewer where fewer were left.
  bool probs_of_draw = false;

  // Order of the steps, after the mask and the biases. A step not listed is not taken (temperature 0 is greedy all the
  // same). Default llama.cpp's.
  std::vector<SamplerKind> order = {SamplerKind::penalties, SamplerKind::dry,       SamplerKind::top_n_sigma,
                                    SamplerKind::top_k,     SamplerKind::typical_p, SamplerKind::top_p,
                                    SamplerKind::min_p,     SamplerKind::xtc,       SamplerKind::temperature};

  bool greedy() const { return temperature < 1e-6; }

  // Error "engine.bad_parameter"; the message begins with the field's name and a colon: "top_p: needs 0 to 1,
  // found 1.5". Token ids (biases, breakers) are checked against n_vocab.
  Status validate(size_t n_vocab) const;
};

std::string_view sampler_name(SamplerKind kind);

// "penalties", "dry", "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature"; also llama.cpp's
// "typ_p" and "temp", and '-' for '_'. An unknown or repeated name is an error of the field "samplers".
Result<std::vector<SamplerKind>> parse_sampler_order(std::span<const std::string> names);

// DRY's usual breakers, as text (author and llama.cpp).
inline constexpr std::string_view kDefaultDryBreakers[] = {"\n", ":", "\"", "*"};

// Every token whose text contains one of the strings is a breaker by itself. pieces: the text of each token, by id, as
// it is detokenized. A string that no single token can hold is the caller's to tokenize and add as a sequence.
std::vector<std::vector<TokenId>> resolve_dry_breakers(std::span<const std::string> pieces,
                                                       std::span<const std::string_view> breakers);

}  // namespace watra::engine
