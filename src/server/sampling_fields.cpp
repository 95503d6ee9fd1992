#include "server/sampling_fields.h"

#include <charconv>
#include <cmath>
#include <limits>

namespace watra::server {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 40;
constexpr size_t kMostStops = 64;
constexpr float kForbidden = -std::numeric_limits<float>::infinity();

// The engine says what the range is; here only the kind of value is looked at, and that it fits.
void set(const Fields& f, std::string_view name, double& to) {
  if (const auto x = f.number(name)) to = *x;
}
void set(const Fields& f, std::string_view name, int32_t& to) {
  constexpr int64_t kLeast = std::numeric_limits<int32_t>::min(), kMost = std::numeric_limits<int32_t>::max();
  if (const auto x = f.integer(name, kLeast, kMost)) to = static_cast<int32_t>(*x);
}

TokenId token_of(const Fields& f, const Json& id, const ServedModel& model) {
  int64_t token = -1;
  if (id.is_number_integer()) {
    token = id.get<int64_t>();
  } else if (id.is_string()) {
    const auto& text = id.get_ref<const std::string&>();
    if (std::from_chars(text.data(), text.data() + text.size(), token).ptr != text.data() + text.size()) token = -1;
  }
  if (token < 0 || token >= model.n_vocab())
    f.refuse("logit_bias", fmt::format("token ids from 0 to {}", model.n_vocab() - 1));
  return static_cast<TokenId>(token);
}

float bias_of(const Fields& f, const Json& value) {
  if (value.is_boolean() && !value.get<bool>()) return kForbidden;  // llama.cpp's way to forbid
  constexpr double kMost = 1e6;
  if (!value.is_number() || std::abs(value.get<double>()) > kMost) f.refuse("logit_bias", "a number for each token");
  return static_cast<float>(value.get<double>());
}

// {"15043": 1.5}, [[15043, 1.5], [29, false]] or [{"id": .., "bias": ..}].
void read_logit_bias(const Fields& f, const ServedModel& model, std::vector<engine::LogitBias>& out) {
  const Json* bias = f.find("logit_bias");
  if (!bias) return;
  if (bias->is_object()) {
    for (const auto& [id, value] : bias->items()) out.push_back({token_of(f, id, model), bias_of(f, value)});
  } else if (bias->is_array()) {
    for (const Json& entry : *bias) {
      if (!entry.is_array() || entry.size() != 2) f.refuse("logit_bias", "pairs of token id and number");
      const float value = bias_of(f, entry[1]);
      if (entry[0].is_string())
        for (const TokenId t : model.encode(entry[0].get<std::string>(), false)) out.push_back({t, value});
      else
        out.push_back({token_of(f, entry[0], model), value});
    }
  } else {
    f.refuse("logit_bias", "an object of token ids and numbers");
  }
}

}  // namespace

engine::SamplingParams read_sampling(const Fields& f, const ServedModel& model) {
  engine::SamplingParams p;
  if (const auto seed = f.integer("seed")) {
    if (*seed < -1) f.refuse("seed", "-1 (random) or a whole number from 0 on");
    p.seed = *seed;
  }
  set(f, "temperature", p.temperature);
  set(f, "dynatemp_range", p.dynatemp_range);
  set(f, "dynatemp_exponent", p.dynatemp_exponent);
  set(f, "top_k", p.top_k);
  set(f, "top_p", p.top_p);
  set(f, "min_p", p.min_p);
  set(f, "typical_p", p.typical_p);
  set(f, "top_n_sigma", p.top_n_sigma);
  set(f, "xtc_probability", p.xtc_probability);
  set(f, "xtc_threshold", p.xtc_threshold);
  set(f, "min_keep", p.min_keep);
  set(f, "repeat_last_n", p.repeat_last_n);
  set(f, "repetition_penalty", p.repeat_penalty);
  set(f, "repeat_penalty", p.repeat_penalty);
  set(f, "frequency_penalty", p.frequency_penalty);
  set(f, "presence_penalty", p.presence_penalty);
  set(f, "dry_multiplier", p.dry_multiplier);
  set(f, "dry_base", p.dry_base);
  set(f, "dry_allowed_length", p.dry_allowed_length);
  set(f, "dry_penalty_last_n", p.dry_penalty_last_n);
  set(f, "mirostat", p.mirostat);
  set(f, "mirostat_tau", p.mirostat_tau);
  set(f, "mirostat_eta", p.mirostat_eta);
  if (const auto names = f.texts("samplers"); !names.empty())
    p.order = value_or_throw(engine::parse_sampler_order(names));
  read_logit_bias(f, model, p.logit_bias);
  if (f.boolean("ignore_eos").value_or(false))
    for (const TokenId id : model.tokenizer().spec().end_of_generation) p.logit_bias.push_back({id, kForbidden});
  if (p.dry_multiplier > 0) {
    const auto given = f.texts("dry_sequence_breakers");
    std::vector<std::string_view> breakers(given.begin(), given.end());
    if (!f.has("dry_sequence_breakers"))
      breakers.assign(std::begin(engine::kDefaultDryBreakers), std::end(engine::kDefaultDryBreakers));
    p.dry_breakers = engine::resolve_dry_breakers(model.pieces(), breakers);
  }
  if (const Status valid = p.validate(static_cast<size_t>(model.model().hparams().n_vocab)); !valid)
    throw from_error(valid.error(), "prompt");
  return p;
}

engine::GenerateOptions read_generate(const Fields& f, std::initializer_list<std::string_view> limit_names) {
  engine::GenerateOptions o;
  for (const std::string_view name : limit_names) {
    if (const auto n = f.integer(name, -1, kMostTokens)) {
      o.max_tokens = *n;
      break;
    }
  }
  o.stop = f.texts("stop");
  if (o.stop.size() > kMostStops) f.refuse("stop", fmt::format("at most {} texts", kMostStops));
  std::erase(o.stop, "");
  o.ignore_end = f.boolean("ignore_eos").value_or(false);
  return o;
}

void refuse_unsupported(const Fields& f) {
  if (f.boolean("use_beam_search").value_or(false))
    throw unsupported(f.name("use_beam_search"), "beam search is not done here");
}

}  // namespace watra::server
