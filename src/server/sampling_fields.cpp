#include "server/sampling_fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

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

TokenId token_of(const std::string& place, const Json& id, const ServedModel& model) {
  int64_t token = -1;
  if (id.is_number_integer()) {
    token = id.get<int64_t>();
  } else if (id.is_string()) {
    const auto& text = id.get_ref<const std::string&>();
    if (std::from_chars(text.data(), text.data() + text.size(), token).ptr != text.data() + text.size()) token = -1;
  }
  if (token < 0 || token >= model.n_vocab())
    refuse_value(place, fmt::format("a token id from 0 to {}", model.n_vocab() - 1), id);
  return static_cast<TokenId>(token);
}

// {"15043": 1.5}, [[15043, 1.5], [29, false]]; llama.cpp's may name a text, whose tokens are all meant.
void read_logit_bias(const Fields& f, const ServedModel& model, Ranges ranges, std::vector<engine::LogitBias>& out) {
  const Json* bias = f.find("logit_bias");
  if (!bias) return;
  const auto is_id = [](const std::string& key) {
    return !key.empty() && key.find_first_not_of("-0123456789") == std::string::npos;
  };
  const auto add_text = [&](const std::string& text, float value) {
    for (const TokenId t : model.encode(text, false)) out.push_back({t, value});
  };
  if (bias->is_object()) {
    for (const auto& [key, value] : bias->items()) {
      const bool is_text = ranges == Ranges::llamacpp && !is_id(key);
      const TokenId token = is_text ? text::kNoToken : token_of(f.name("logit_bias"), key, model);
      const std::string at = is_text ? f.name("logit_bias") : fmt::format("{}.{}", f.name("logit_bias"), key);
      const float read = read_bias(at, value, ranges);
      if (is_text)
        add_text(key, read);
      else
        out.push_back({token, read});
    }
  } else if (bias->is_array()) {
    for (size_t i = 0; i < bias->size(); ++i) {
      const Json& entry = (*bias)[i];
      const std::string at = fmt::format("{}[{}]", f.name("logit_bias"), i);
      if (!entry.is_array() || entry.size() != 2) refuse_value(at, "a pair of token id and number", entry);
      const float value = read_bias(at + "[1]", entry[1], ranges);
      if (entry[0].is_string())
        add_text(entry[0].get<std::string>(), value);
      else
        out.push_back({token_of(at + "[0]", entry[0], model), value});
    }
  } else {
    f.refuse("logit_bias", "an object of token ids and numbers");
  }
}

// A list of names, or llama.cpp's letters in one text.
std::vector<std::string> sampler_names(const Fields& f) {
  const auto names = f.texts("samplers");
  if (names.size() != 1 || !f.find("samplers")->is_string() || engine::parse_sampler_order(names)) return names;
  auto out = sampler_names_of_letters(names[0]);
  if (!out) f.refuse("samplers", "names of samplers, or their letters out of edskypmxt");
  return *std::move(out);
}

// The engine names the field as it knows it; the request may have another word for it, inside an object.
template <class T>
T value_of_field(const Fields& f, Result<T> result) {
  if (result) {
    if constexpr (std::is_void_v<T>)
      return;
    else
      return std::move(*result);
  }
  ApiError e = from_error(result.error(), "prompt");
  if (e.param == "repeat_penalty" && !f.has("repeat_penalty")) e.param = "repetition_penalty";
  if (!e.param.empty()) {
    const size_t colon = e.message.find(':');
    e.param = f.name(e.param);
    e.message = e.param + (colon == std::string::npos ? ": " + e.message : e.message.substr(colon));
  }
  throw e;
}

}  // namespace

std::optional<std::vector<std::string>> sampler_names_of_letters(std::string_view letters) {
  static constexpr std::pair<char, const char*> kLetters[] = {
      {'e', "penalties"}, {'d', "dry"},   {'s', "top_n_sigma"}, {'k', "top_k"},      {'y', "typical_p"},
      {'p', "top_p"},     {'m', "min_p"}, {'x', "xtc"},         {'t', "temperature"}};
  std::vector<std::string> out;
  for (const char letter : letters) {
    const auto* it = std::ranges::find(kLetters, letter, &std::pair<char, const char*>::first);
    if (it == std::end(kLetters)) return std::nullopt;
    out.emplace_back(it->second);
  }
  return out;
}

void read_seed(const Fields& f, Ranges ranges, std::optional<uint64_t>& seed) {
  const Json* given = f.find("seed");
  if (!given) return;
  if (given->is_number_unsigned() && ranges == Ranges::llamacpp) {
    seed = given->get<uint64_t>();
  } else {
    const int64_t x = *f.integer("seed", -1, std::numeric_limits<int64_t>::max());
    seed = static_cast<uint64_t>(x);
    if (x < 0) seed.reset();
  }
  constexpr uint64_t kRandom = std::numeric_limits<uint32_t>::max();  // how llama.cpp holds its -1
  if (ranges == Ranges::llamacpp && seed == kRandom) seed.reset();
}

float read_bias(const std::string& place, const Json& value, Ranges ranges) {
  if (value.is_boolean() && !value.get<bool>()) return kForbidden;  // llama.cpp's way to forbid
  const double most = ranges == Ranges::openai ? 100 : std::numeric_limits<double>::max();
  if (!value.is_number() || std::abs(value.get<double>()) > most)
    refuse_value(place, ranges == Ranges::openai ? "a number from -100 to 100, or false" : "a number or false", value);
  constexpr double kDecides = 1e30;  // nothing a model says comes near; sums of such are still numbers
  return static_cast<float>(std::clamp(value.get<double>(), -kDecides, kDecides));
}

engine::SamplingParams read_sampling(const Fields& f, const ServedModel& model, Ranges ranges) {
  engine::SamplingParams p = model.manner().sampling;
  read_seed(f, ranges, p.seed);
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
  if (const auto names = sampler_names(f); !names.empty())
    p.order = value_of_field(f, engine::parse_sampler_order(names));
  read_logit_bias(f, model, ranges, p.logit_bias);
  if (f.boolean("ignore_eos").value_or(model.manner().ignore_end))
    for (const TokenId id : model.tokenizer().spec().end_of_generation) p.logit_bias.push_back({id, kForbidden});
  if (const auto given = f.texts("dry_sequence_breakers"); p.dry_multiplier > 0) {
    const auto& own = model.manner().dry_breakers;
    const std::vector<std::string> none;
    const auto& said = f.has("dry_sequence_breakers") ? given : own ? *own : none;
    std::vector<std::string_view> breakers(said.begin(), said.end());
    if (!f.has("dry_sequence_breakers") && !own)
      breakers.assign(std::begin(engine::kDefaultDryBreakers), std::end(engine::kDefaultDryBreakers));
    p.dry_breakers = engine::resolve_dry_breakers(model.pieces(), breakers);
  }
  value_of_field(f, p.validate(static_cast<size_t>(model.model().hparams().n_vocab)));
  return p;
}

WriteOptions read_generate(const Fields& f, std::initializer_list<std::string_view> limit_names,
                           const ServedModel& model) {
  WriteOptions o;
  o.max_tokens = model.manner().max_tokens;
  bool has_limit = false;
  for (const std::string_view name : limit_names)
    if (const auto n = f.integer(name, -1, kMostTokens); n && !std::exchange(has_limit, true)) o.max_tokens = *n;
  f.integer("id_slot", -1, model.n_parallel() - 1);  // every place is as good; one that does not exist is a mistake
  f.integer("n_probs", 0, kMostTokens);
  o.endless = read_endless(f, model);
  o.reuse_prefix = f.boolean("cache_prompt").value_or(model.manner().reuse_prefix);
  if (const auto ms = f.integer("t_max_predict_ms", -1, kMostTokens); ms && *ms > 0)
    o.patience = std::chrono::milliseconds(*ms);
  o.stop = f.has("stop") ? f.texts("stop") : model.manner().stop;
  if (o.stop.size() > kMostStops) f.refuse("stop", fmt::format("at most {} texts", kMostStops));
  std::erase(o.stop, "");
  o.ignore_end = f.boolean("ignore_eos").value_or(model.manner().ignore_end);
  return o;
}

void refuse_unsupported(const Fields& f, std::string_view obeyed) {
  static constexpr std::pair<const char*, const char*> kSwitches[] = {
      {"use_beam_search", "beam search is not done here"},
      {"post_sampling_probs", "probabilities of the draw are told by /completion"},
      {"grammar_lazy", "a grammar holds from the first token on"}};
  for (const auto& [name, why] : kSwitches)
    if (name != obeyed && f.boolean(name).value_or(false))
      throw unsupported(f.name(name), fmt::format("{}: {}", f.name(name), why));
  if (const Json* adapters = f.array("lora"); adapters && !adapters->empty())
    throw unsupported(f.name("lora"), fmt::format("{}: no adapters are loaded here", f.name("lora")));
  for (const char* name : {"n_indent", "t_max_prompt_ms"})
    if (const auto n = f.integer(name, -1, kMostTokens); n && *n > 0)
      throw unsupported(f.name(name), fmt::format("{} is not obeyed here", f.name(name)));
}

}  // namespace watra::server
