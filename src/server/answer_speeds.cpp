#include "server/answer_speeds.h"

#include <algorithm>
#include <set>
#include <utility>

namespace watra::server {
namespace {

constexpr size_t kRun = 6;           // tokens; shorter ones come back in any text
constexpr size_t kMostRepeated = 4;  // one in so many
constexpr size_t kLooked = 4096;     // tokens of an answer that are looked at, the newest: bounded work
constexpr size_t kKept = 64;         // that nobody has taken
constexpr double kUnplannedTau = 1.5, kFar = 2;

}  // namespace

bool repeats_itself(std::span<const text::TokenId> ids) {
  if (ids.size() > kLooked) ids = ids.last(kLooked);
  if (ids.size() <= kRun) return false;
  const auto before = [](std::span<const text::TokenId> a, std::span<const text::TokenId> b) {
    return std::ranges::lexicographical_compare(a, b);
  };
  std::set<std::span<const text::TokenId>, decltype(before)> seen(before);
  const size_t n_runs = ids.size() - kRun + 1;
  for (size_t i = 0; i < n_runs; ++i) seen.insert(ids.subspan(i, kRun));
  return (n_runs - seen.size()) * kMostRepeated > n_runs;
}

std::optional<AnswerSpeed> speed_of_answer(const engine::Finished& answer) {
  const engine::RequestStats& s = answer.stats;
  if (answer.reason == engine::FinishReason::error || s.n_generated < kFewestTimedTokens) return std::nullopt;
  if (s.n_beside > 0 || s.n_reread > 0 || s.n_forgotten > s.n_left_out) return std::nullopt;
  const double tokens_per_s = s.decode_tokens_per_s();
  if (tokens_per_s <= 0 || repeats_itself(answer.ids)) return std::nullopt;
  return AnswerSpeed{tokens_per_s, s.speculation.tau()};
}

bool is_of_ordinary_text(const AnswerSpeed& speed, std::optional<double> planned_tau) {
  return speed.tau <= kFar * std::max(planned_tau.value_or(kUnplannedTau), kUnplannedTau);
}

void AnswerSpeeds::note(const engine::Finished& answer) {
  const auto speed = speed_of_answer(answer);
  if (!speed) return;
  const std::lock_guard lock(mutex_);
  if (speeds_.size() < kKept) speeds_.push_back(*speed);
}

std::vector<AnswerSpeed> AnswerSpeeds::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(speeds_, {});
}

}  // namespace watra::server
