#include "apps/sampling_options.h"

#include <charconv>
#include <limits>

namespace watra::apps {

void add_sampling_options(CLI::App& c, SamplingOptions& o) {
  auto& p = o.params;
  const char* group = "Choosing tokens";
  c.add_option("--temp,--temperature", p.temperature, "Temperature; 0 = always the most probable token")
      ->capture_default_str()
      ->group(group);
  c.add_option("--top-k", p.top_k, "Only the K most probable tokens; 0 = off")->capture_default_str()->group(group);
  c.add_option("--top-p", p.top_p, "Smallest set whose probability reaches P; 1 = off")
      ->capture_default_str()
      ->group(group);
  c.add_option("--min-p", p.min_p, "At least P times the most probable token's probability; 0 = off")
      ->capture_default_str()
      ->group(group);
  c.add_option("--typical,--typical-p", p.typical_p, "Locally typical sampling; 1 = off")
      ->capture_default_str()
      ->group(group);
  c.add_option("--top-n-sigma", p.top_n_sigma, "Logits within N standard deviations of the largest; -1 = off")
      ->capture_default_str()
      ->group(group);
  c.add_option("--xtc-probability", p.xtc_probability, "Chance of removing the top choices; 0 = off")
      ->capture_default_str()
      ->group(group);
  c.add_option("--xtc-threshold", p.xtc_threshold, "Probability from which a token is a top choice")
      ->capture_default_str()
      ->group(group);
  c.add_option("--dynatemp-range", p.dynatemp_range, "Temperature moves by this much with the entropy; 0 = off")
      ->capture_default_str()
      ->group(group);
  c.add_option("--dynatemp-exp", p.dynatemp_exponent, "Exponent of the dynamic temperature")
      ->capture_default_str()
      ->group(group);
  c.add_option("--repeat-penalty", p.repeat_penalty, "Penalty on repeated tokens; 1 = off")
      ->capture_default_str()
      ->group(group);
  c.add_option("--repeat-last-n", p.repeat_last_n, "Tokens the penalties look at; -1 = all")
      ->capture_default_str()
      ->group(group);
  c.add_option("--frequency-penalty", p.frequency_penalty, "Penalty for each occurrence")
      ->capture_default_str()
      ->group(group);
  c.add_option("--presence-penalty", p.presence_penalty, "Penalty for having occurred")
      ->capture_default_str()
      ->group(group);
  c.add_option("--dry-multiplier", p.dry_multiplier, "DRY: penalty on repeated phrases; 0 = off")
      ->capture_default_str()
      ->group(group);
  c.add_option("--dry-base", p.dry_base, "DRY: growth with the phrase's length")->capture_default_str()->group(group);
  c.add_option("--dry-allowed-length", p.dry_allowed_length, "DRY: phrases up to this length are free")
      ->capture_default_str()
      ->group(group);
  c.add_option("--dry-penalty-last-n", p.dry_penalty_last_n, "DRY: tokens searched; -1 = all")
      ->capture_default_str()
      ->group(group);
  c.add_option("--dry-sequence-breaker", o.dry_breakers, "DRY: text that ends a phrase (repeatable)")
      ->group(group)
      ->allow_extra_args(false);
  c.add_option("--mirostat", p.mirostat, "2 = Mirostat 2.0; 0 = off")->capture_default_str()->group(group);
  c.add_option("--mirostat-ent", p.mirostat_tau, "Mirostat: surprise to aim at, in bits")
      ->capture_default_str()
      ->group(group);
  c.add_option("--mirostat-lr", p.mirostat_eta, "Mirostat: learning rate")->capture_default_str()->group(group);
  c.add_option("--min-keep", p.min_keep, "No step leaves fewer tokens")->capture_default_str()->group(group);
  c.add_option("--logit-bias", o.logit_bias, "ID=BIAS, -inf forbids (repeatable)")
      ->group(group)
      ->allow_extra_args(false);
  c.add_option("--samplers", o.order, "The steps in their order, e.g. top_k,top_p,temperature")
      ->delimiter(',')
      ->group(group)
      ->allow_extra_args(false);
  c.add_flag("--ignore-eos", o.ignore_eos, "Do not stop where the model would")->group(group);
}

Result<engine::SamplingParams> sampling_params(const Globals& g, const SamplingOptions& o,
                                               const text::Tokenizer& tokenizer) {
  engine::SamplingParams p = o.params;
  if (g.seed && *g.seed >= 0) p.seed = static_cast<uint64_t>(*g.seed);
  if (!o.order.empty()) {
    WATRA_ASSIGN(p.order, engine::parse_sampler_order(o.order));
  }
  for (const std::string& entry : o.logit_bias) {
    engine::LogitBias bias{};
    const size_t eq = entry.find('=');
    const char* end = entry.data() + entry.size();
    const bool id_ok = eq != std::string::npos &&
                       std::from_chars(entry.data(), entry.data() + eq, bias.token).ptr == entry.data() + eq && eq > 0;
    const bool bias_ok =
        id_ok && std::from_chars(entry.data() + eq + 1, end, bias.bias).ptr == end && eq + 1 < entry.size();
    if (!bias_ok)
      return fail("usage.logit_bias", fmt::format("--logit-bias {} is not ID=BIAS", entry), "--logit-bias 42=-inf");
    p.logit_bias.push_back(bias);
  }
  if (o.ignore_eos)
    for (text::TokenId id : tokenizer.spec().end_of_generation)
      p.logit_bias.push_back({id, -std::numeric_limits<float>::infinity()});
  if (p.dry_multiplier > 0) {
    std::vector<std::string> pieces(static_cast<size_t>(tokenizer.n_vocab()));
    for (text::TokenId id = 0; id < tokenizer.n_vocab(); ++id)
      pieces[static_cast<size_t>(id)] = tokenizer.token_bytes(id);
    std::vector<std::string_view> breakers(o.dry_breakers.begin(), o.dry_breakers.end());
    if (breakers.empty())
      breakers.assign(std::begin(engine::kDefaultDryBreakers), std::end(engine::kDefaultDryBreakers));
    p.dry_breakers = engine::resolve_dry_breakers(pieces, breakers);
  }
  return p;
}

}  // namespace watra::apps
