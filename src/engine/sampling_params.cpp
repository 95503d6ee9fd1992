#include "engine/sampling_params.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace watra::engine {

namespace {

constexpr const char* kBadParameter = "engine.bad_parameter";
constexpr size_t kMaxBreakerTokens = 64;  // keeps the search for breakers linear in the history

struct Named {
  SamplerKind kind;
  std::string_view name;
};
// The first name of a kind is its own; others are spellings of llama.cpp.
constexpr std::array<Named, 12> kNames = {{{SamplerKind::penalties, "penalties"},
                                           {SamplerKind::dry, "dry"},
                                           {SamplerKind::top_n_sigma, "top_n_sigma"},
                                           {SamplerKind::top_k, "top_k"},
                                           {SamplerKind::typical_p, "typical_p"},
                                           {SamplerKind::top_p, "top_p"},
                                           {SamplerKind::min_p, "min_p"},
                                           {SamplerKind::xtc, "xtc"},
                                           {SamplerKind::temperature, "temperature"},
                                           {SamplerKind::typical_p, "typ_p"},
                                           {SamplerKind::typical_p, "typical"},
                                           {SamplerKind::temperature, "temp"}}};

Status in_range(std::string_view field, double value, double low, double high, std::string_view off) {
  if (value >= low && value <= high) return {};  // false for NaN
  const std::string range =
      high >= std::numeric_limits<int32_t>::max() ? fmt::format("{} or more", low) : fmt::format("{} to {}", low, high);
  return fail(kBadParameter, fmt::format("{}: needs {}, found {}", field, range, value), std::string(off));
}

Status token_in_range(std::string_view field, TokenId token, size_t n_vocab) {
  if (token >= 0 && static_cast<size_t>(token) < n_vocab) return {};
  return fail(kBadParameter, fmt::format("{}: needs token ids 0 to {}, found {}", field, n_vocab - 1, token));
}

Status refuse_repeats(std::span<const SamplerKind> order) {
  for (size_t i = 0; i < order.size(); ++i) {
    if (std::find(order.begin(), order.begin() + i, order[i]) != order.begin() + i) {
      return fail(kBadParameter,
                  fmt::format("samplers: needs every name at most once, found \"{}\" twice", sampler_name(order[i])));
    }
  }
  return {};
}

}  // namespace

Status SamplingParams::validate(size_t n_vocab) const {
  constexpr double kAny = std::numeric_limits<int32_t>::max();
  WATRA_TRY(in_range("temperature", temperature, 0, 5, "0 is greedy"));
  WATRA_TRY(in_range("dynatemp_range", dynatemp_range, 0, 5, "0 turns it off"));
  WATRA_TRY(in_range("dynatemp_exponent", dynatemp_exponent, 0, 10, "1 is the usual value"));
  WATRA_TRY(in_range("top_k", top_k, -1, kAny, "0 or -1 turns it off"));
  WATRA_TRY(in_range("top_p", top_p, 0, 1, "1 turns it off"));
  WATRA_TRY(in_range("min_p", min_p, 0, 1, "0 turns it off"));
  WATRA_TRY(in_range("typical_p", typical_p, 0, 1, "1 turns it off"));
  WATRA_TRY(in_range("top_n_sigma", top_n_sigma, -1, 100, "0 or -1 turns it off"));
  WATRA_TRY(in_range("xtc_probability", xtc_probability, 0, 1, "0 turns it off"));
  WATRA_TRY(in_range("xtc_threshold", xtc_threshold, 0, 1, "above 0.5 turns it off"));
  WATRA_TRY(in_range("min_keep", min_keep, 0, kAny, "0 is the usual value"));
  WATRA_TRY(in_range("repeat_last_n", repeat_last_n, -1, kAny, "0 turns it off, -1 looks at everything"));
  if (repeat_penalty == 0) {
    return fail(kBadParameter, "repeat_penalty: needs more than 0, at most 10, found 0", "1 turns it off");
  }
  WATRA_TRY(in_range("repeat_penalty", repeat_penalty, 0, 10, "1 turns it off"));
  WATRA_TRY(in_range("frequency_penalty", frequency_penalty, -2, 2, "0 turns it off"));
  WATRA_TRY(in_range("presence_penalty", presence_penalty, -2, 2, "0 turns it off"));
  WATRA_TRY(in_range("dry_multiplier", dry_multiplier, 0, 100, "0 turns it off"));
  WATRA_TRY(in_range("dry_base", dry_base, 1, 10, "1.75 is the usual value"));
  WATRA_TRY(in_range("dry_allowed_length", dry_allowed_length, 0, 65536, "2 is the usual value"));
  WATRA_TRY(in_range("dry_penalty_last_n", dry_penalty_last_n, -1, kAny, "0 turns it off, -1 looks at everything"));
  for (const auto& breaker : dry_breakers) {
    if (breaker.empty() || breaker.size() > kMaxBreakerTokens) {
      return fail(kBadParameter, fmt::format("dry_sequence_breakers: needs sequences of 1 to {} tokens, found {}",
                                             kMaxBreakerTokens, breaker.size()));
    }
    for (const TokenId token : breaker) WATRA_TRY(token_in_range("dry_sequence_breakers", token, n_vocab));
  }
  if (mirostat != 0 && mirostat != 2) {
    return fail(kBadParameter, fmt::format("mirostat: needs 0 (off) or 2 (Mirostat 2.0), found {}", mirostat),
                mirostat == 1 ? "2 aims at the same target without estimating Zipf's exponent" : "");
  }
  WATRA_TRY(in_range("mirostat_tau", mirostat_tau, 0, 100, "5 is the usual value"));
  WATRA_TRY(in_range("mirostat_eta", mirostat_eta, 0, 1, "0.1 is the usual value"));
  for (const LogitBias& entry : logit_bias) {
    WATRA_TRY(token_in_range("logit_bias", entry.token, n_vocab));
    if (std::isnan(entry.bias) || entry.bias == std::numeric_limits<float>::infinity()) {
      return fail(kBadParameter, fmt::format("logit_bias: needs a finite number or -inf, found {} for token {}",
                                             entry.bias, entry.token));
    }
  }
  WATRA_TRY(in_range("n_probs", n_probs, 0, kAny, "0 reports none"));
  return refuse_repeats(order);
}

std::string_view sampler_name(SamplerKind kind) {
  for (const Named& named : kNames) {
    if (named.kind == kind) return named.name;
  }
  return "unknown";
}

Result<std::vector<SamplerKind>> parse_sampler_order(std::span<const std::string> names) {
  std::vector<SamplerKind> order;
  for (const std::string& given : names) {
    std::string name = given;
    std::replace(name.begin(), name.end(), '-', '_');
    const auto* found = std::find_if(kNames.begin(), kNames.end(), [&](const Named& n) { return n.name == name; });
    if (found == kNames.end()) {
      return fail(kBadParameter, fmt::format("samplers: needs names of samplers, found \"{}\"", given),
                  "known are penalties, dry, top_n_sigma, top_k, typical_p, top_p, min_p, xtc, temperature");
    }
    order.push_back(found->kind);
  }
  WATRA_TRY(refuse_repeats(order));
  return order;
}

std::vector<std::vector<TokenId>> resolve_dry_breakers(std::span<const std::string> pieces,
                                                       std::span<const std::string_view> breakers) {
  std::vector<std::vector<TokenId>> resolved;
  for (size_t id = 0; id < pieces.size(); ++id) {
    const bool holds_one = std::any_of(breakers.begin(), breakers.end(), [&](std::string_view breaker) {
      return !breaker.empty() && pieces[id].find(breaker) != std::string::npos;
    });
    if (holds_one) resolved.push_back({static_cast<TokenId>(id)});
  }
  return resolved;
}

}  // namespace watra::engine
