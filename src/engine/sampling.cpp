#include "engine/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "engine/rng.h"
#include "engine/sampling_candidates.h"
#include "engine/sampling_penalties.h"

namespace watra::engine {

struct SamplerWorkspace::Parts {
  LogitRow row;
  Candidates candidates;
  TokenTally tally;
  std::vector<uint32_t> match_lengths;
  std::vector<uint32_t> mask_bits;
  std::vector<Candidate> report;
  std::vector<TokenLogprob> top;
  size_t n_vocab;
};

SamplerWorkspace::SamplerWorkspace(size_t n_vocab) : parts_(std::make_unique<Parts>()) {
  parts_->n_vocab = n_vocab;
  parts_->row.reserve(n_vocab);
  parts_->candidates.reserve(n_vocab);
  parts_->tally.reserve(n_vocab);
  parts_->mask_bits.resize(mask_words(n_vocab));
}
SamplerWorkspace::~SamplerWorkspace() = default;
size_t SamplerWorkspace::n_vocab() const { return parts_->n_vocab; }

struct Sampler::Fixed {
  SamplingParams params;
  DryBreakers breakers;
  uint64_t seed;
  size_t n_vocab;
};

struct Sampler::State {
  std::vector<TokenId> history;
  std::vector<double> mu;  // Mirostat only: mu after each token of the history
  std::unique_ptr<LogitMask> mask;
  std::vector<bool> masked;  // per token of the history: the present mask has advanced by it
  // What the last sample() would make of mu, should its token be accepted.
  TokenId sampled = text::kNoToken;
  double sampled_mu = 0;
};

Sampler::Sampler(std::shared_ptr<const Fixed> fixed, std::shared_ptr<SamplerWorkspace> workspace,
                 std::unique_ptr<State> state)
    : fixed_(std::move(fixed)), workspace_(std::move(workspace)), state_(std::move(state)) {}
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;
Sampler::~Sampler() = default;

uint64_t random_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32 | device()) >> 11;
}

uint64_t Sampler::seed() const { return fixed_->seed; }
const SamplingParams& Sampler::params() const { return fixed_->params; }
std::span<const TokenId> Sampler::history() const { return state_->history; }
double Sampler::mirostat_mu() const { return state_->mu.empty() ? 2 * fixed_->params.mirostat_tau : state_->mu.back(); }
bool Sampler::has_mask() const { return state_->mask != nullptr; }

Result<Sampler> Sampler::create(SamplingParams params, size_t n_vocab, std::shared_ptr<SamplerWorkspace> workspace,
                                size_t reserve_tokens) {
  if (n_vocab == 0) return fail("engine.bad_parameter", "n_vocab: needs 1 or more, found 0");
  WATRA_TRY(params.validate(n_vocab));
  if (workspace == nullptr) workspace = std::make_shared<SamplerWorkspace>(n_vocab);
  if (workspace->n_vocab() != n_vocab) {
    return fail("engine.bad_parameter",
                fmt::format("workspace: needs one for {} tokens, found one for {}", n_vocab, workspace->n_vocab()));
  }
  auto& parts = *workspace->parts_;
  const size_t n_report = std::min(n_vocab, static_cast<size_t>(params.n_probs));
  if (n_report > 0) {
    parts.report.reserve(n_vocab);
    parts.top.reserve(n_report);
  }
  if (params.dry_multiplier > 0) parts.match_lengths.reserve(reserve_tokens);

  auto state = std::make_unique<State>();
  state->history.reserve(reserve_tokens);
  state->masked.reserve(reserve_tokens);
  if (params.mirostat == 2) state->mu.reserve(reserve_tokens);

  auto fixed = std::make_shared<Fixed>();
  fixed->seed = params.seed ? *params.seed : random_seed();
  fixed->breakers = DryBreakers(params.dry_breakers, n_vocab);
  fixed->n_vocab = n_vocab;
  fixed->params = std::move(params);
  return Sampler(std::move(fixed), std::move(workspace), std::move(state));
}

Sampler Sampler::fork() const {
  auto state = std::make_unique<State>();
  state->history.reserve(state_->history.capacity());
  state->history = state_->history;
  state->mu.reserve(state_->mu.capacity());
  state->mu = state_->mu;
  state->mask = state_->mask == nullptr ? nullptr : state_->mask->fork();
  state->masked.reserve(state_->masked.capacity());
  state->masked = state_->masked;
  state->sampled = state_->sampled;
  state->sampled_mu = state_->sampled_mu;
  return Sampler(fixed_, workspace_, std::move(state));
}

void Sampler::set_mask(std::unique_ptr<LogitMask> mask) {
  state_->mask = std::move(mask);
  state_->masked.assign(state_->history.size(), false);
}

Status Sampler::accept(TokenId token) {
  State& state = *state_;
  if (token < 0 || static_cast<size_t>(token) >= fixed_->n_vocab) {
    return fail("engine.bad_token",
                fmt::format("accept: needs token ids 0 to {}, found {}", fixed_->n_vocab - 1, token));
  }
  if (state.mask != nullptr) WATRA_TRY(state.mask->advance(token));
  if (fixed_->params.mirostat == 2) state.mu.push_back(token == state.sampled ? state.sampled_mu : mirostat_mu());
  state.masked.push_back(state.mask != nullptr);
  state.history.push_back(token);
  state.sampled = text::kNoToken;
  return {};
}

Status Sampler::accept_prompt(std::span<const TokenId> tokens) {
  State& state = *state_;
  for (const TokenId token : tokens) {
    if (token != text::kNoToken && (token < 0 || static_cast<size_t>(token) >= fixed_->n_vocab)) {
      return fail("engine.bad_token", fmt::format("prompt: needs token ids 0 to {}, or -1 for an embedding, found {}",
                                                  fixed_->n_vocab - 1, token));
    }
  }
  if (fixed_->params.mirostat == 2) state.mu.insert(state.mu.end(), tokens.size(), mirostat_mu());
  state.masked.insert(state.masked.end(), tokens.size(), false);
  state.history.insert(state.history.end(), tokens.begin(), tokens.end());
  state.sampled = text::kNoToken;
  return {};
}

Status Sampler::rollback(size_t n) {
  State& state = *state_;
  if (n > state.history.size()) {
    return fail("engine.bad_rollback",
                fmt::format("rollback: needs at most {} tokens, found {}", state.history.size(), n));
  }
  if (state.mask != nullptr) {
    state.mask->rollback(std::count(state.masked.end() - n, state.masked.end(), true));
  }
  state.history.resize(state.history.size() - n);
  if (!state.mu.empty()) state.mu.resize(state.history.size());
  state.masked.resize(state.history.size());
  state.sampled = text::kNoToken;
  return {};
}

void Sampler::apply_penalties() {
  const SamplingParams& p = fixed_->params;
  if (p.repeat_last_n == 0 || (p.repeat_penalty == 1 && p.frequency_penalty == 0 && p.presence_penalty == 0)) return;
  auto& parts = *workspace_->parts_;
  count_tokens(last_tokens(state_->history, p.repeat_last_n), parts.tally);
  const auto penalized = [&](uint32_t count, double logit) {
    logit = logit > 0 ? logit / p.repeat_penalty : logit * p.repeat_penalty;
    return logit - (count * p.frequency_penalty + p.presence_penalty);
  };
  if (LogitRow* row = parts.candidates.whole_row()) {
    for (const TokenId t : parts.tally.touched()) {
      row->edit(t, [&](double logit) { return penalized(parts.tally[t], logit); });
    }
  } else {
    parts.candidates.edit(
        [&](TokenId t, double logit) { return parts.tally[t] == 0 ? logit : penalized(parts.tally[t], logit); });
  }
}

void Sampler::apply_dry() {
  const SamplingParams& p = fixed_->params;
  if (p.dry_multiplier == 0 || p.dry_penalty_last_n == 0) return;
  auto& parts = *workspace_->parts_;
  repetition_lengths(last_tokens(state_->history, p.dry_penalty_last_n), fixed_->breakers,
                     static_cast<size_t>(p.dry_allowed_length), parts.match_lengths, parts.tally);
  const auto penalized = [&](uint32_t length, double logit) {
    // Long repetitions overflow; a huge finite penalty ranks last without forbidding.
    const double penalty = p.dry_multiplier * std::pow(p.dry_base, static_cast<double>(length) - p.dry_allowed_length);
    return logit - std::min(penalty, 1e30);
  };
  if (LogitRow* row = parts.candidates.whole_row()) {
    for (const TokenId t : parts.tally.touched()) {
      row->edit(t, [&](double logit) { return penalized(parts.tally[t], logit); });
    }
  } else {
    parts.candidates.edit(
        [&](TokenId t, double logit) { return parts.tally[t] == 0 ? logit : penalized(parts.tally[t], logit); });
  }
}

void Sampler::apply(SamplerKind kind, uint64_t position) {
  const SamplingParams& p = fixed_->params;
  Candidates& candidates = workspace_->parts_->candidates;
  const size_t min_keep = static_cast<size_t>(p.min_keep);
  const bool truncate = p.mirostat == 0;
  switch (kind) {
    case SamplerKind::penalties:
      return apply_penalties();
    case SamplerKind::dry:
      return apply_dry();
    case SamplerKind::top_n_sigma:
      if (truncate && p.top_n_sigma > 0) candidates.top_n_sigma(p.top_n_sigma, min_keep);
      return;
    case SamplerKind::top_k:
      if (truncate && p.top_k > 0) candidates.top_k(std::max(static_cast<size_t>(p.top_k), min_keep));
      return;
    case SamplerKind::typical_p:
      if (truncate && p.typical_p < 1) candidates.typical_p(p.typical_p, min_keep);
      return;
    case SamplerKind::top_p:
      if (truncate && p.top_p < 1) candidates.top_p(p.top_p, min_keep);
      return;
    case SamplerKind::min_p:
      if (truncate && p.min_p > 0) candidates.min_p(p.min_p, min_keep);
      return;
    case SamplerKind::xtc:
      if (truncate && p.xtc_probability > 0 && p.xtc_threshold <= 0.5 &&
          uniform(fixed_->seed, position, RngStream::xtc) < p.xtc_probability) {
        candidates.xtc(p.xtc_threshold, min_keep);
      }
      return;
    case SamplerKind::temperature:
      if (p.dynatemp_range > 0) {
        candidates.dynamic_temperature(std::max(0.0, p.temperature - p.dynatemp_range),
                                       p.temperature + p.dynatemp_range, p.dynatemp_exponent);
      } else if (p.temperature != 1) {
        candidates.temperature(p.temperature);
      }
      return;
  }
}

TokenId Sampler::choose(uint64_t position) {
  const SamplingParams& p = fixed_->params;
  auto& parts = *workspace_->parts_;
  parts.candidates.begin(parts.row);
  if (p.greedy()) {
    for (const SamplerKind kind : p.order) {
      if (kind == SamplerKind::penalties || kind == SamplerKind::dry) apply(kind, position);
    }
    return parts.row.argmax();
  }
  for (const SamplerKind kind : p.order) apply(kind, position);
  if (p.mirostat == 2) parts.candidates.max_surprise(mirostat_mu(), static_cast<size_t>(p.min_keep));
  const auto [token, probability] = parts.candidates.draw(uniform(fixed_->seed, position, RngStream::draw));
  if (p.mirostat == 2) {
    state_->sampled = token;
    state_->sampled_mu = mirostat_mu() - p.mirostat_eta * (-std::log2(probability) - p.mirostat_tau);
  }
  return token;
}

// What the draw chose among, the most probable first. Without temperature one token is certain, and those that it was
// chosen before follow with no probability, as llama.cpp tells them.
void Sampler::report_draw(SampleResult& result) {
  auto& parts = *workspace_->parts_;
  const size_t n = static_cast<size_t>(fixed_->params.n_probs);
  parts.top.clear();
  result.logprob = 0.0;
  if (fixed_->params.greedy()) {
    if (n > 0) {
      parts.top.push_back({result.token, 0.0});
      select_most_probable(parts.row, std::min(n, fixed_->n_vocab), parts.report);
      for (const Candidate& c : parts.report)  // passed over: they had no chance
        if (c.id != result.token && c.logit != LogitRow::kForbidden && parts.top.size() < n)
          parts.top.push_back({c.id, -std::numeric_limits<double>::infinity()});
    }
  } else {
    const auto left = parts.candidates.list();  // with the weights of the draw
    double total = 0;
    for (const Candidate& c : left) total += c.weight;
    const double log_total = std::log(total);
    for (const Candidate& c : left)
      if (c.id == result.token) result.logprob = std::log(c.weight) - log_total;
    if (n > 0) {
      parts.report.assign(left.begin(), left.end());
      const auto end = parts.report.begin() + static_cast<std::ptrdiff_t>(std::min(n, left.size()));
      std::partial_sort(parts.report.begin(), end, parts.report.end(), [](const Candidate& a, const Candidate& b) {
        return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
      });
      for (auto c = parts.report.begin(); c != end && c->weight > 0; ++c)
        parts.top.push_back({c->id, std::log(c->weight) - log_total});
    }
  }
  result.top = parts.top;
}

Result<SampleResult> Sampler::sample(std::span<const float> logits, uint64_t position) {
  const SamplingParams& p = fixed_->params;
  auto& parts = *workspace_->parts_;
  state_->sampled = text::kNoToken;
  if (logits.size() != fixed_->n_vocab) {
    return fail("engine.bad_logits", fmt::format("sample: needs {} logits, found {}", fixed_->n_vocab, logits.size()));
  }
  WATRA_TRY(parts.row.load(logits));

  SampleResult result;
  double log_total = 0;
  const bool report = p.want_logprob || p.n_probs > 0;
  if (report && !p.probs_of_draw && parts.row.max() != LogitRow::kForbidden) {
    log_total = log_sum_exp(parts.row);
    const size_t n = std::min(fixed_->n_vocab, static_cast<size_t>(p.n_probs));
    if (n > 0) {
      select_most_probable(parts.row, n, parts.report);
      parts.top.clear();
      for (const Candidate& c : parts.report) parts.top.push_back({c.id, c.logit - log_total});
      result.top = parts.top;
    }
  }

  if (state_->mask != nullptr && state_->mask->fill(parts.mask_bits)) parts.row.forbid(parts.mask_bits);
  for (const LogitBias& entry : p.logit_bias) parts.row.add_bias(entry.token, entry.bias);
  if (parts.row.max() == LogitRow::kForbidden) {
    return fail("engine.no_token",
                fmt::format("sample: needs a token that may come next, found all {} forbidden by {}the model's own "
                            "logits and {} biases",
                            fixed_->n_vocab, state_->mask != nullptr ? "the grammar, " : "", p.logit_bias.size()),
                "loosen the grammar, or take logit biases of -inf away");
  }
  result.token = choose(position);
  if (report && p.probs_of_draw)
    report_draw(result);
  else if (report)
    result.logprob = double{logits[result.token]} - log_total;
  return result;
}

}  // namespace watra::engine
