#include "engine/draft_outlook.h"

#include <algorithm>
#include <cmath>

namespace watra::engine {
namespace {

// Acceptance of a draft of so many parameters for a large target of its family, free conversation. Public figures: 1B
// for 70B tau 3 at 8 proposed tokens (p = 0.68); 8B for 70B 4.7 of 8 accepted on test prompts (p = 0.88) and tau 5 of
// 16 in planning studies (0.82, taken here); 70B for 405B nobody has published (0.88 assumed).
struct BySize {
  double params, p;
};
constexpr BySize kBySize[] = {{0.135e9, 0.45}, {0.5e9, 0.62}, {1.24e9, 0.68}, {3.2e9, 0.76},
                              {8e9, 0.8},      {32e9, 0.86},  {70e9, 0.88}};
// Words that were said before: rare in free conversation. On text that repeats itself it is 0.6 to 0.8.
constexpr double kNgram = 0.12;
// A copy of the target in two to three bits. Nobody has published one; a four-bit copy of an eight-bit model reaches
// 0.95.
constexpr double kSelf = 0.8;
constexpr double kSmallestRatio = 3;

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

Acceptance expected_acceptance(std::string_view method, double draft_params, double target_params,
                               std::string_view draft_name, const std::vector<MeasuredDraft>& measured) {
  for (const MeasuredDraft& m : measured)
    if (m.method == method && m.model == draft_name)
      return {std::clamp(m.accept_rate, 0.0, 0.999),
              m.n_answers == 1 ? "from your last answer" : fmt::format("from your last {} answers", m.n_answers), m};
  if (method == "ngram") return {kNgram, "assumed for free conversation; text that repeats itself gives far more", {}};
  if (method == "self") return {kSelf, "assumed: nobody has published it for copies of two to three bits", {}};
  if (method == "model") {
    // The closer in size, the fewer surprises; beyond half the size a draft no longer pays and is not asked for.
    const double p =
        target_params > 0 && draft_params > target_params ? kBySize[std::size(kBySize) - 1].p : by_size(draft_params);
    return {p, "published figures for pairs of this size", {}};
  }
  return {};
}

std::vector<model::ModelOutline> draft_candidates(const model::ModelOutline& target) {
  std::vector<model::ModelOutline> out;
  for (const model::KnownShape& s : model::well_known_shapes()) {
    if (s.architecture != target.architecture || s.n_vocab > target.n_vocab || target.n_vocab - s.n_vocab > 256 ||
        s.n_experts > 0)
      continue;
    model::ModelOutline o = model::outline_of(s, model::QuantMix::q4_k_m);
    if (static_cast<double>(o.n_params()) * kSmallestRatio <= static_cast<double>(target.n_params()))
      out.push_back(std::move(o));
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.n_params() > b.n_params(); });
  return out;
}

}  // namespace watra::engine
