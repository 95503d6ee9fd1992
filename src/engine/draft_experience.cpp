#include "engine/draft_experience.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/page_key.h"

namespace watra::engine {
namespace {

using Json = nlohmann::ordered_json;

// Guesses that earlier answers are worth to a new one: it may be of another kind, and then says so after as many.
constexpr float kOfModel = 12, kOfAll = 24;
// An answer counts for so many guesses at most; so many are remembered of the model, and of a beginning.
constexpr float kOfAnswer = 48, kModelMemory = 256, kBeginningMemory = 96;
constexpr size_t kMostBeginnings = 64;
// Tokens of an answer before any was seen, and the weight of the newest. Averaged as logarithms: a few long answers do
// not make short ones look long, which is what costs when they end early.
constexpr double kFirstAnswer = 64, kNewestAnswer = 0.25;
// Answers until half of what they were is forgotten.
constexpr double kAnswersKept = 64;
constexpr int kFormat = 1;

void add_faded(GuessRate& to, const GuessRate& seen, float memory) {
  if (to.tried >= memory) to = to.at_most(memory / 2);
  to += seen.at_most(kOfAnswer);
}

Json to_json(std::span<const GuessRate> rates) {
  Json out = Json::array();
  for (const GuessRate& r : rates) out.push_back({r.tried, r.right});
  while (!out.empty() && out.back()[0] == 0.0f) out.erase(out.size() - 1);
  return out;
}

void read_rates(const Json& json, std::span<GuessRate> rates) {
  for (size_t i = 0; i < std::min(json.size(), rates.size()); ++i) {
    const float tried = json[i].at(0).get<float>(), right = json[i].at(1).get<float>();
    if (tried >= 0 && tried <= 2 * kModelMemory && right >= 0 && right <= tried) rates[i] = {tried, right};
  }
}

// What a file says of itself is only believed as far as it can be.
double sane(const Json& j, const char* key, double most) {
  const double v = j.at(key).get<double>();
  return v >= 0 && v <= most ? v : 0;
}

}  // namespace

void GuessRate::add(bool was_right, float memory) {
  if (tried >= memory) *this = at_most(memory / 2);
  tried += 1;
  right += was_right ? 1 : 0;
}

GuessRate GuessRate::at_most(float n_tried) const {
  if (tried <= n_tried) return *this;
  return {n_tried, right * n_tried / tried};
}

GuessRate& GuessRate::operator+=(const GuessRate& other) {
  tried += other.tried;
  right += other.right;
  return *this;
}

DraftTotals& DraftTotals::operator+=(const DraftTotals& other) {
  n_answers += other.n_answers;
  n_tokens += other.n_tokens;
  n_passes += other.n_passes;
  n_drafted += other.n_drafted;
  n_accepted += other.n_accepted;
  plain_passes += other.plain_passes;
  return *this;
}

uint64_t DraftExperience::beginning_of(std::span<const TokenId> prompt) {
  constexpr auto kPage = static_cast<size_t>(kernels::kKvPage);
  if (prompt.size() < kPage) return 0;
  return std::max<uint64_t>(hash_bytes(std::as_bytes(prompt.first(kPage))).a, 1);
}

const DraftExperience::Place* DraftExperience::find(uint64_t beginning) const {
  if (beginning == 0) return nullptr;
  const auto at = std::ranges::find(beginnings_, beginning, &Place::beginning);
  return at == beginnings_.end() ? nullptr : &*at;
}

ProposerRecord DraftExperience::recall(std::string_view proposer, uint64_t beginning) const {
  const std::lock_guard lock(mutex_);
  ProposerRecord out;
  if (const auto at = model_.proposers.find(proposer); at != model_.proposers.end()) out = at->second;
  for (GuessRate& r : out.by_belief) r = r.at_most(kOfModel);
  for (GuessRate& r : out.by_depth) r = r.at_most(kOfModel);
  const Place* place = find(beginning);
  if (!place) return out;
  const auto at = place->proposers.find(proposer);
  if (at == place->proposers.end()) return out;
  const auto add = [](auto& to, const auto& from) {
    for (size_t i = 0; i < to.size(); ++i) {
      to[i] += from[i];
      to[i] = to[i].at_most(kOfAll);
    }
  };
  add(out.by_belief, at->second.by_belief);
  add(out.by_depth, at->second.by_depth);
  return out;
}

double DraftExperience::usual_answer(uint64_t beginning) const {
  const std::lock_guard lock(mutex_);
  const Place* place = find(beginning);
  if (!place || place->n_answers == 0) place = &model_;
  return place->n_answers > 0 ? std::exp(place->log_answer) : kFirstAnswer;
}

void DraftExperience::learn_at(Place& place, float memory, std::span<const Seen> seen, double n_tokens) {
  for (const Seen& s : seen) {
    ProposerRecord& r = place.proposers[s.proposer];
    for (size_t i = 0; i < kBeliefs; ++i) add_faded(r.by_belief[i], s.record.by_belief[i], memory);
    for (size_t i = 0; i < kDraftDepths; ++i) add_faded(r.by_depth[i], s.record.by_depth[i], memory);
    r.unasked = s.was_asked ? s.record.unasked : r.unasked + s.record.unasked;
    if (s.was_asked) r.patience = s.record.patience;
    r.promises = s.record.promises;
  }
  if (n_tokens < 1) return;
  if (place.n_answers++ == 0 && place.log_answer == 0) place.log_answer = std::log(kFirstAnswer);
  place.log_answer += kNewestAnswer * (std::log(n_tokens) - place.log_answer);
}

void DraftExperience::learn(uint64_t beginning, std::span<const Seen> seen, std::string_view way,
                            const DraftTotals& answer) {
  const std::lock_guard lock(mutex_);
  learn_at(model_, kModelMemory, seen, answer.n_tokens);
  if (beginning != 0) {
    auto at = std::ranges::find(beginnings_, beginning, &Place::beginning);
    if (at == beginnings_.end()) {
      if (beginnings_.size() >= kMostBeginnings) beginnings_.pop_back();
      beginnings_.push_front({.beginning = beginning, .log_answer = model_.log_answer});
    } else {
      beginnings_.splice(beginnings_.begin(), beginnings_, at);
    }
    learn_at(beginnings_.front(), kBeginningMemory, seen, answer.n_tokens);
  }
  if (answer.n_passes < 1) return;
  DraftTotals& sum = totals_[std::string(way)];
  if (sum.n_answers >= kAnswersKept)
    for (double* v : {&sum.n_answers, &sum.n_tokens, &sum.n_passes, &sum.n_drafted, &sum.n_accepted, &sum.plain_passes})
      *v /= 2;
  sum += answer;
}

void DraftExperience::recall_times(PassTimes& times) const {
  const std::lock_guard lock(mutex_);
  if (!times.knows(1)) times.assume(times_);
}

void DraftExperience::learn_times(const PassTimes& times) {
  const std::lock_guard lock(mutex_);
  if (times.knows(1)) times.known(times_);
}

bool DraftExperience::promises(std::string_view proposer) const {
  const std::lock_guard lock(mutex_);
  const auto at = model_.proposers.find(proposer);
  return at == model_.proposers.end() || at->second.promises;
}

std::map<std::string, DraftTotals> DraftExperience::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

std::string DraftExperience::to_text(std::string_view of_passes) const {
  const std::lock_guard lock(mutex_);
  Json proposers = Json::object(), totals = Json::object(), times = Json::array();
  for (const auto& [name, r] : model_.proposers)
    proposers[name] = {{"by_belief", to_json(r.by_belief)},
                       {"by_depth", to_json(r.by_depth)},
                       {"unasked", r.unasked},
                       {"patience", r.patience},
                       {"promises", r.promises}};
  for (const auto& [way, t] : totals_)
    totals[way] = {{"answers", t.n_answers}, {"tokens", t.n_tokens},     {"passes", t.n_passes},
                   {"drafted", t.n_drafted}, {"accepted", t.n_accepted}, {"plain_passes", t.plain_passes}};
  for (const auto& k : times_) times.push_back({k.n_rows, k.seconds});
  return Json{{"format", kFormat},
              {"answers", model_.n_answers},
              {"usual_tokens", model_.n_answers > 0 ? std::exp(model_.log_answer) : 0},
              {"proposers", proposers},
              {"totals", totals},
              {"of_passes", of_passes},
              {"pass_seconds", times}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Status DraftExperience::from_text(std::string_view text, std::string_view of_passes) {
  const std::lock_guard lock(mutex_);
  constexpr double kMost = 1e9;
  try {
    const Json j = Json::parse(text);
    if (j.at("format") != kFormat)
      return fail("experience.unreadable", fmt::format("needs format {}, found {}", kFormat, j.at("format").dump()),
                  "it is learned anew");
    Place model;
    model.n_answers = static_cast<int64_t>(sane(j, "answers", kMost));
    model.log_answer = std::log(std::max(1.0, sane(j, "usual_tokens", kMost)));
    for (const auto& [name, p] : j.at("proposers").items()) {
      ProposerRecord& r = model.proposers[name];
      read_rates(p.at("by_belief"), r.by_belief);
      read_rates(p.at("by_depth"), r.by_depth);
      r.unasked = static_cast<int64_t>(sane(p, "unasked", kMost));
      r.patience = std::clamp(static_cast<int64_t>(sane(p, "patience", kMost)), kFirstPatience, kMostPatience);
      r.promises = p.at("promises").get<bool>();
    }
    std::map<std::string, DraftTotals> totals;
    for (const auto& [way, t] : j.at("totals").items())
      totals[way] = {.n_answers = sane(t, "answers", kMost),
                     .n_tokens = sane(t, "tokens", kMost),
                     .n_passes = sane(t, "passes", kMost),
                     .n_drafted = sane(t, "drafted", kMost),
                     .n_accepted = sane(t, "accepted", kMost),
                     .plain_passes = sane(t, "plain_passes", kMost)};
    std::vector<PassTimes::Known> times;
    if (j.at("of_passes").get<std::string>() == of_passes)
      for (const auto& k : j.at("pass_seconds"))
        if (const double s = k.at(1).get<double>(); s > 0 && s < kMost) times.push_back({k.at(0).get<int64_t>(), s});
    model_ = std::move(model);
    totals_ = std::move(totals);
    times_ = std::move(times);
  } catch (const Json::exception& e) {
    return fail("experience.unreadable", e.what(), "it is learned anew");
  }
  return {};
}

}  // namespace watra::engine
