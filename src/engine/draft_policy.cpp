#include "engine/draft_policy.h"

#include <algorithm>

namespace watra::engine {
namespace {

// A draft must promise this much more than plain decoding: below it the estimates' own errors decide.
constexpr double kMargin = 1.01;
// Guesses that a rate remembers while an answer is written; what is handed in at its end is all of them.
constexpr float kMemory = 64, kWholeAnswer = 1e9;
// How many guesses a proposer's own belief is worth: little, so that a boaster is found out after a few.
constexpr float kBeliefWeight = 2;
// Of a proposer that never was asked: a guess at how often its next token agrees, and how many tries that is worth.
constexpr float kFirstRate = 0.6f, kFirstWeight = 3;

// Two characters of text: guesses are worth what they were, or as good as nothing. How often one turns into the other.
constexpr double kLost = 0.05, kTurns = 0.02;

// The ledger. Two tokens may be lost before a rest; the first is short, because text changes its character; each next
// one is twice as long.
constexpr double kAllowance = 2, kCredit = 4;
constexpr int64_t kFirstRest = 32, kLongestRest = 1024;
// So many right guesses in a row while resting: the text repeats itself now.
constexpr int32_t kStreak = 6;
// How deep a proposer is tried that seems not to pay.
constexpr int32_t kTryNodes = 4;
// Reading before the first proposal. How many guesses it takes until half of a promise counts as known; how much of
// what a draft should save its reading may take; and below how many tokens a draft knows too little of the text to be
// asked.
constexpr double kDoubt = 8, kShareForReading = 0.5;
constexpr int64_t kLeastWindow = 48;
// Where drafts win little, a plain pass now and then keeps the comparison true.
constexpr int64_t kSinglesApart = 64;
constexpr double kWinsMuch = 1.5;
// Branches raise the chance of a token by some tenths at best; rows must cost less.
constexpr double kFlat = 1.25;

size_t belief_of(float probability) {
  return std::min(kBeliefs - 1, static_cast<size_t>(probability * static_cast<float>(kBeliefs)));
}

bool is_dear(std::string_view proposer) { return proposer.starts_with("model") || proposer.starts_with("self"); }

}  // namespace

DraftPolicy::DraftPolicy(const PassTimes* times, std::vector<std::string> proposers, int32_t max_nodes,
                         std::shared_ptr<DraftExperience> experience)
    : times_(times),
      sources_(proposers.size()),
      experience_(experience ? std::move(experience) : std::make_shared<DraftExperience>()),
      usual_answer_(experience_->usual_answer(0)),
      n_left_(std::numeric_limits<int64_t>::max()) {
  const auto n = static_cast<size_t>(std::max(max_nodes, 0));
  order_.reserve(n);
  paths_.reserve(n);
  place_.reserve(n);
  seen_.resize(proposers.size());
  for (size_t i = 0; i < proposers.size(); ++i) {
    sources_[i].name = seen_[i].proposer = std::move(proposers[i]);
    sources_[i].next_rest = kFirstRest;
  }
}

void DraftPolicy::begin_answer(uint64_t beginning) {
  end_answer();
  answers_ = !sources_.empty();
  beginning_ = beginning;
  usual_answer_ = experience_->usual_answer(beginning);
  begin_pass(0);
  lost_ = invested_ = 0;
  totals_ = {.n_answers = 1};
  for (Source& s : sources_) {
    s.known = experience_->recall(s.name, beginning);
    s.seen = {};
    s.was_asked = false;
    s.debt = 0;
    s.rest = 0;
    s.next_rest = kFirstRest;
    s.streak = 0;
    s.trust = 1;
  }
}

void DraftPolicy::end_answer() {
  if (!answers_) return;
  answers_ = false;
  totals_.plain_passes += invested_;
  for (size_t i = 0; i < sources_.size(); ++i) {
    Source& s = sources_[i];
    s.seen.patience = s.known.patience;
    s.seen.promises = s.known.promises;
    seen_[i].record = s.seen;
    seen_[i].was_asked = s.was_asked;
  }
  experience_->learn(beginning_, seen_, is_dear(sources_.back().name) ? sources_.back().name : "ngram", totals_);
  experience_->learn_times(*times_);
}

void DraftPolicy::begin_pass(int64_t n_written, int64_t n_left) {
  n_written_ = n_written;
  n_left_ = n_left;
}

double DraftPolicy::calibrated(size_t proposer, float probability) const {
  const float p = std::clamp(probability, 0.0f, 1.0f);
  const GuessRate& r = sources_[proposer].known.by_belief[belief_of(p)];
  return (r.right + kBeliefWeight * p) / (r.tried + kBeliefWeight);
}

// Of a node that continues the sequence itself: once it agrees, the text has its old character.
double DraftPolicy::first_chance(const Source& s, double probability) const {
  return s.trust * probability + (1 - s.trust) * std::min(probability, kLost);
}

double DraftPolicy::token_seconds(const Pass& pass) const { return times_->seconds(pass.n_rows) / pass.n_tokens; }

bool DraftPolicy::wants_tree(const Pass& pass, int32_t most) const {
  return ratio(pass, most) < kFlat * ratio(pass, 0);
}

float DraftPolicy::min_path_probability(const Pass& pass, int32_t most) const {
  if (most < 1) return 0;
  const double per_row = (ratio(pass, most) - ratio(pass, 0)) / most;
  return static_cast<float>(std::clamp(0.5 * per_row * pass.n_tokens / ratio(pass, 0), 0.0, 0.5));
}

// An answer that is longer than usual goes on for a while.
double DraftPolicy::expected_left() const {
  const double usual = std::max(usual_answer_ - static_cast<double>(n_written_), usual_answer_ / 4);
  return std::min(usual, static_cast<double>(n_left_));
}

double DraftPolicy::reading_budget(const Source& s) const {
  const double known = s.known.by_depth[0].tried / (kDoubt + s.known.by_depth[0].tried);
  return kMayLose * (1 + known) * likely_tokens() - invested_;
}

double DraftPolicy::cost(const Pass& pass, int32_t n_nodes, double spent_s) const {
  const double one = times_->seconds(1);
  const double extra = ratio(pass, n_nodes) - ratio(pass, 0) + (one > 0 ? spent_s / one : 0);
  return extra * pass.n_tokens / ratio(pass, 0);
}

// How many of the unread tokens a draft that saves this share of the time may read, the newest; -1 = it is not worth
// it. lost_per_token: tokens that plain decoding gives while one is read.
int64_t DraftPolicy::tokens_to_read(const Source& s, double lost_per_token, double share_saved,
                                    const Reading& reading) const {
  if (reading.n_unread == 0 || lost_per_token <= 0) return reading.n_unread;
  const double saved = kShareForReading * share_saved * expected_left();
  const double affordable = std::min(saved, reading_budget(s)) / lost_per_token;
  if (static_cast<double>(reading.n_unread) <= affordable) return reading.n_unread;
  return affordable >= static_cast<double>(kLeastWindow) ? static_cast<int64_t>(affordable) : -1;
}

DraftPolicy::Ask DraftPolicy::nodes_to_ask(size_t proposer, const Pass& pass, const Proposer& who, int32_t most,
                                           const Reading& reading) {
  Source& s = sources_[proposer];
  if (most < 1) return {};
  if (who.expected_seconds(1) <= 0) return {most};
  if (s.rest > 0 || !times_->knows(pass.n_rows)) return {};
  const double one = times_->seconds(1), plain = pass.n_tokens / ratio(pass, 0);
  const double lost_per_token = one > 0 ? reading.token_s / one * plain : 0;
  double expected = 0, survives = 1, miss = 1, best = kMargin * plain;
  int32_t n_best = 0, n_affordable = 0;
  s.known.promises = false;
  for (int32_t n = 1; n <= most; ++n) {
    const GuessRate& r = s.known.by_depth[std::min<size_t>(static_cast<size_t>(n) - 1, kDraftDepths - 1)];
    survives *= (r.right + kFirstWeight * kFirstRate) / (r.tried + kFirstWeight);
    expected += survives;
    if (n == 1) miss = 1 - survives;
    const double spent = who.expected_seconds(n), rate = (pass.n_tokens + expected) / (ratio(pass, n) + spent / one);
    s.known.promises |= rate > kMargin * plain;
    if (s.streak < kStreak && cost(pass, n, spent) * miss > budget()) break;
    n_affordable = n;
    if (rate > best) {
      best = rate;
      n_best = n;
    }
  }
  if (n_best > 0) {
    const int64_t n = tokens_to_read(s, lost_per_token, 1 - plain / best, reading);
    if (n < 0) return {};
    s.was_asked = true;
    s.known.unasked = s.seen.unasked = 0;
    invested_ += lost_per_token * static_cast<double>(n);
    return {n_best, n};
  }
  ++s.seen.unasked;
  if (++s.known.unasked < s.known.patience || n_affordable < 1) return {};
  const int64_t n_read = std::min(reading.n_unread, kLeastWindow);
  const double lost = lost_per_token * static_cast<double>(n_read);
  if (lost > reading_budget(s)) return {};
  invested_ += lost;
  s.was_asked = true;
  s.known.unasked = s.seen.unasked = 0;
  s.known.patience = std::min(2 * s.known.patience, kMostPatience);
  return {std::min(kTryNodes, n_affordable), n_read};
}

double DraftPolicy::choose(size_t proposer, const Pass& pass, const Draft& proposed, double spent_s, int32_t most,
                           Draft& kept) {
  kept.clear();
  const auto n = static_cast<int32_t>(proposed.nodes.size());
  if (n == 0 || rests(proposer) || !times_->knows(pass.n_rows)) return 1;
  const Source& s = sources_[proposer];
  order_.clear();
  paths_.clear();
  for (int32_t i = 0; i < n; ++i) {
    const Draft::Node& node = proposed.nodes[static_cast<size_t>(i)];
    const double p = calibrated(proposer, node.probability);
    paths_.push_back(node.parent < 0 ? first_chance(s, p) : p * paths_[static_cast<size_t>(node.parent)]);
    order_.push_back({paths_.back(), i});
  }
  // A child's path is no likelier than its parent's, and it comes later: any beginning of this order is a tree.
  std::sort(order_.begin(), order_.end(),
            [](const Weighed& a, const Weighed& b) { return a.path != b.path ? a.path > b.path : a.node < b.node; });

  const double one = times_->seconds(1), spent = one > 0 ? spent_s / one : 0;
  const double plain = pass.n_tokens / ratio(pass, 0);
  double tokens = pass.n_tokens, best = 0;
  int32_t n_best = 0;
  const auto trusted = static_cast<int32_t>(std::max<int64_t>(times_->trusted_rows() - pass.n_rows, 0));
  for (int32_t k = 1; k <= std::min({n, most, trusted}); ++k) {
    if (s.streak < kStreak && cost(pass, k, 0) * (1 - order_[0].path) > budget()) break;
    tokens += order_[static_cast<size_t>(k) - 1].path;
    const double rate = tokens / ratio(pass, k);
    if (rate > best) {
      best = rate;
      n_best = k;
    }
  }
  // What the proposal took is spent either way: it counts in what is reported, not in what is chosen.
  if (best < kMargin * plain) return 1;
  if (best < kWinsMuch * plain && pass.n_rows == 1 && times_->since_single() >= kSinglesApart) return 1;

  place_.assign(static_cast<size_t>(n), -1);
  for (int32_t k = 0; k < n_best; ++k) place_[static_cast<size_t>(order_[static_cast<size_t>(k)].node)] = 0;
  double expected = pass.n_tokens;
  for (int32_t i = 0; i < n; ++i) {
    if (place_[static_cast<size_t>(i)] < 0) continue;
    Draft::Node node = proposed.nodes[static_cast<size_t>(i)];
    if (node.parent >= 0) node.parent = place_[static_cast<size_t>(node.parent)];
    place_[static_cast<size_t>(i)] = static_cast<int32_t>(kept.nodes.size());
    kept.nodes.push_back(node);
    expected += paths_[static_cast<size_t>(i)];
  }
  return expected / (ratio(pass, n_best) + spent) / plain;
}

void DraftPolicy::observe(size_t proposer, const Draft& proposed, std::span<const TokenId> emitted) {
  Source& s = sources_[proposer];
  if (s.rest > 0) --s.rest;
  int32_t at = -1;
  for (size_t depth = 0; depth < emitted.size(); ++depth) {
    int32_t next = -1;
    bool any = false;
    double believed = 0;
    for (size_t i = static_cast<size_t>(at + 1); i < proposed.nodes.size(); ++i) {
      const Draft::Node& node = proposed.nodes[i];
      if (node.parent != at) continue;
      any = true;
      const bool right = next < 0 && node.token == emitted[depth];
      const float p = std::clamp(node.probability, 0.0f, 1.0f);
      believed = std::min(believed + calibrated(proposer, p), 0.98);
      s.known.by_belief[belief_of(p)].add(right, kMemory);
      s.seen.by_belief[belief_of(p)].add(right, kWholeAnswer);
      if (right) next = static_cast<int32_t>(i);
    }
    if (!any) {
      if (depth == 0) s.streak = 0;
      return;
    }
    s.known.by_depth[std::min(depth, kDraftDepths - 1)].add(next >= 0, kMemory);
    s.seen.by_depth[std::min(depth, kDraftDepths - 1)].add(next >= 0, kWholeAnswer);
    s.streak = next >= 0 ? s.streak + 1 : 0;
    if (depth == 0) {
      const bool hit = next >= 0;
      const double as_before = s.trust * (hit ? believed : 1 - believed);
      const double lost = (1 - s.trust) * (hit ? kLost : 1 - kLost);
      s.trust = as_before + lost > 0 ? as_before / (as_before + lost) : 0;
      s.trust = s.trust * (1 - kTurns) + (1 - s.trust) * kTurns;
    }
    if (next < 0) return;
    if (s.streak >= kStreak) s.rest = 0;
    at = next;
  }
}

void DraftPolicy::settle(size_t proposer, const Pass& pass, int32_t n_nodes, int32_t n_accepted, double spent_s) {
  Source& s = sources_[proposer];
  const double lost = cost(pass, n_nodes, spent_s) - n_accepted;
  lost_ = std::max(lost_ + lost, -kCredit);
  s.debt = std::max(s.debt + lost, -kCredit);
  if (s.debt <= -kCredit / 2) {
    s.next_rest = kFirstRest;
    s.known.patience = kFirstPatience;
  }
  if (s.debt <= kAllowance) return;
  s.debt = 0;
  s.rest = s.next_rest;
  s.next_rest = std::min(2 * s.next_rest, kLongestRest);
}

void DraftPolicy::count(const Pass& pass, int32_t n_nodes, int32_t n_accepted, double spent_s) {
  totals_ += {.n_tokens = 1.0 + n_accepted,
              .n_passes = 1,
              .n_drafted = static_cast<double>(n_nodes),
              .n_accepted = static_cast<double>(n_accepted),
              .plain_passes = 1 + cost(pass, n_nodes, spent_s) / pass.n_tokens};
}

}  // namespace watra::engine
