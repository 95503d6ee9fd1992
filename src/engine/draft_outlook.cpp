#include "engine/draft_outlook.h"

#include <algorithm>
#include <cmath>

namespace watra::engine {
namespace {

// Acceptance of a draft of so many parameters for a larger target of its family, free conversation. 0.5B: measured here
// with Qwen2.5-Coder 0.5B for 1.5B, chat at 0.8, chains of five: tau 2.91 in English (p = 0.69), 2.30 in Polish (0.58).
// Public figures: 1B for 70B tau 3 at 8 proposed tokens (p = 0.68); 8B for 70B 4.7 of 8 accepted on test prompts
// (p = 0.88) and tau 5 of 16 in planning studies (0.82, taken here); 70B for 405B nobody has published (0.88 assumed).
struct BySize {
  double params, p;
};
constexpr BySize kBySize[] = {{0.135e9, 0.45}, {0.5e9, 0.64}, {1.24e9, 0.68}, {3.2e9, 0.76},
                              {8e9, 0.8},      {32e9, 0.86},  {70e9, 0.88}};
constexpr double kMeasuredParams = 0.75e9, kPublishedParams = 32e9;  // up to here
// Words that were said before, in free conversation: tau 1.11 in English, 1.05 in Polish (medians of 21 answers each).
// On text that repeats itself p is 0.6 to 0.8.
constexpr double kNgram = 0.08;
constexpr double kSmallestRatio = 3;

// A copy of the target in so many bits. Chains of five in chat at 0.8: tau, English and Polish, gives p.
struct ByType {
  tensor::DType type;
  double p;
  Basis basis;
  const char* source;
  double dear_tau, dear_speed_up;  // by the policy, counted, means of the medians of 21 answers in each language
};
constexpr ByType kSelf[] = {{tensor::DType::q4_k, 0.9, Basis::assumed,
                             "assumed: only a four-bit copy that finds its own grid was measured", 1.04, 1.0},
                            {tensor::DType::q3_k, 0.8, Basis::benches,
                             "measured in chat: tau of chains of five 4.3 in English, 3.1 in Polish", 1.04, 0.996},
                            {tensor::DType::q2_k, 0.68, Basis::benches,
                             "measured in chat: tau of chains of five 3.6 in English, 2.2 in Polish", 1.1, 1.016}};
// The same of a small model.
constexpr double kDearModelTau = 1.04, kDearModelSpeedUp = 1.005;

MeasuredDraft where_dear(std::string_view method, double tau, double speed_up) {
  constexpr double kAccepted = 0.35;  // of what the policy drafted there
  return {.method = std::string(method),
          .accept_rate = kAccepted,
          .tau = tau,
          .nodes_per_pass = (tau - 1) / kAccepted,
          .speed_up = speed_up,
          .n_answers = 42};
}

double by_size(double params) {
  if (params <= kBySize[0].params) return kBySize[0].p;
  for (size_t i = 1; i < std::size(kBySize); ++i)
    if (params <= kBySize[i].params) {
      const auto &a = kBySize[i - 1], &b = kBySize[i];
      return a.p + (b.p - a.p) * std::log(params / a.params) / std::log(b.params / a.params);
    }
  return kBySize[std::size(kBySize) - 1].p;
}

}  // namespace

double expected_tau(double p, int n) {
  if (n <= 0 || p <= 0) return 1;
  return p >= 1 ? n + 1 : (1 - std::pow(p, n + 1)) / (1 - p);
}

std::string_view basis_name(Basis basis) {
  switch (basis) {
    case Basis::answers_here:
      return "answers here";
    case Basis::benches:
      return "measured by us";
    case Basis::published:
      return "published";
    case Basis::assumed:
      break;
  }
  return "assumed";
}

Acceptance expected_acceptance(std::string_view method, double draft_params, double target_params,
                               std::string_view draft_name, const std::vector<MeasuredDraft>& measured) {
  for (const MeasuredDraft& m : measured)
    if (m.method == method && m.model == draft_name)
      return {
          .p = std::clamp(m.accept_rate, 0.0, 0.999),
          .source = m.n_answers == 1 ? "from your last answer" : fmt::format("from your last {} answers", m.n_answers),
          .basis = Basis::answers_here,
          .measured = m};
  if (method == "ngram")
    return {.p = kNgram,
            .source = "measured in free chat, 42 answers; text that repeats itself gives far more",
            .basis = Basis::benches};
  if (method == "self")
    for (const ByType& t : kSelf)
      if (tensor::dtype_name(t.type) == draft_name)
        return {.p = t.p,
                .source = t.source,
                .basis = t.basis,
                .where_dear = where_dear(method, t.dear_tau, t.dear_speed_up)};
  if (method == "model") {
    // The closer in size, the fewer surprises; beyond half the size a draft no longer pays and is not asked for.
    const bool is_larger = target_params > 0 && draft_params > target_params;
    const bool is_measured = draft_params <= kMeasuredParams, is_published = draft_params <= kPublishedParams;
    return {.p = is_larger ? kBySize[std::size(kBySize) - 1].p : by_size(draft_params),
            .source = is_measured    ? "measured in chat with 0.5B for 1.5B"
                      : is_published ? "published figures for pairs of this size"
                                     : "assumed: nobody has published it for pairs of this size",
            .basis = is_measured    ? Basis::benches
                     : is_published ? Basis::published
                                    : Basis::assumed,
            .where_dear = where_dear(method, kDearModelTau, kDearModelSpeedUp)};
  }
  return {};
}

std::span<const tensor::DType> self_draft_types() {
  static constexpr tensor::DType types[] = {tensor::DType::q4_k, tensor::DType::q3_k, tensor::DType::q2_k};
  return types;
}

std::vector<DraftOffer> self_drafts(const model::ModelOutline& target) {
  std::vector<DraftOffer> out;
  for (const tensor::DType type : {tensor::DType::q3_k, tensor::DType::q2_k}) {
    model::ModelOutline copy = model::low_bit_copy(target, type);
    if (copy.weight_bytes() < target.weight_bytes())
      out.push_back(
          {.method = "self", .word = fmt::format("self:{}", tensor::dtype_name(type)), .outline = std::move(copy)});
  }
  return out;
}

std::vector<DraftOffer> draft_candidates(const model::ModelOutline& target) {
  std::vector<DraftOffer> out;
  for (const model::KnownShape& s : model::well_known_shapes()) {
    if (s.architecture != target.architecture || s.n_vocab > target.n_vocab || target.n_vocab - s.n_vocab > 256 ||
        s.n_experts > 0)
      continue;
    model::ModelOutline o = model::outline_of(s, model::QuantMix::q4_k_m);
    if (static_cast<double>(o.n_params()) * kSmallestRatio <= static_cast<double>(target.n_params()))
      out.push_back({.method = "model", .word = std::string(s.name), .outline = std::move(o)});
  }
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.outline.n_params() > b.outline.n_params(); });
  return out;
}

}  // namespace watra::engine
