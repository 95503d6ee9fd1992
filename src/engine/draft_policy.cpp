#include "engine/draft_policy.h"

#include <algorithm>

namespace watra::engine {
namespace {

// A draft must promise this much more than plain decoding: below it the estimates' own errors decide.
constexpr double kMargin = 1.01;
// Guesses that a rate remembers.
constexpr float kMemory = 64;
// How many guesses a proposer's own belief is worth: little, so that a boaster is found out after a few.
constexpr float kBeliefWeight = 2;
// Of a proposer that never was asked: a guess at how often its next token agrees, and how many tries that is worth.
constexpr float kFirstRate = 0.6f, kFirstWeight = 3;

// Two characters of text: guesses are worth what they were, or as good as nothing. How often one turns into the other.
constexpr double kLost = 0.05, kTurns = 0.02;

// The ledger. Two tokens may be lost before a rest; the first is short, because text changes its character; each next
// one is twice as long. In the worst case 2 tokens in 34, 2 in 66, 2 in 130: under 3 % of an answer of 200 tokens.
constexpr double kAllowance = 2, kCredit = 4;
constexpr int64_t kFirstRest = 32, kLongestRest = 1024;
// So many right guesses in a row while resting: the text repeats itself now.
constexpr int32_t kStreak = 6;
// Passes between two tries of a dear proposer that seems not to pay, at first and at most; and how deep a try goes.
constexpr int64_t kFirstPatience = 64, kMostPatience = 1024;
constexpr int32_t kTryNodes = 4;
// Reading before the first proposal. What may be lost by it, as a share of the answer; how many guesses it takes until
// half of a promise counts as known; how much of what a draft should save its reading may take; and below how many
// tokens a draft knows too little of the text to be asked.
constexpr double kMayLose = 0.03, kDoubt = 8, kShareForReading = 0.5;
constexpr int64_t kLeastWindow = 48;
// Tokens of an answer, before any was seen, and the weight of the newest one.
constexpr double kFirstAnswer = 128, kNewestAnswer = 0.25;
// Where drafts win little, a plain pass now and then keeps the comparison true.
constexpr int64_t kSinglesApart = 64;
constexpr double kWinsMuch = 1.5;
// Branches raise the chance of a token by some tenths at best; rows must cost less.
constexpr double kFlat = 1.25;

}  // namespace

void DraftPolicy::Rate::add(bool was_right) {
  if (tried >= kMemory) {
    tried *= 0.5f;
    right *= 0.5f;
  }
  tried += 1;
  right += was_right ? 1 : 0;
}

DraftPolicy::DraftPolicy(const PassTimes* times, size_t n_proposers, int32_t max_nodes)
    : times_(times), sources_(n_proposers), usual_answer_(kFirstAnswer) {
  const auto n = static_cast<size_t>(std::max(max_nodes, 0));
  order_.reserve(n);
  paths_.reserve(n);
  place_.reserve(n);
  for (Source& s : sources_) {
    s.next_rest = kFirstRest;
    s.patience = kFirstPatience;
  }
}

double DraftPolicy::calibrated(size_t proposer, float probability) const {
  const float p = std::clamp(probability, 0.0f, 1.0f);
  const Rate& r =
      sources_[proposer].by_belief[std::min(kBeliefs - 1, static_cast<size_t>(p * static_cast<float>(kBeliefs)))];
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

void DraftPolicy::begin_answer() {
  if (n_written_ > 0) usual_answer_ += kNewestAnswer * (static_cast<double>(n_written_) - usual_answer_);
  n_written_ = 0;
  for (Source& s : sources_) s.invested = 0;
}

// An answer that is longer than usual goes on for a while.
double DraftPolicy::expected_left(const Reading& reading) const {
  const double usual = std::max(usual_answer_ - static_cast<double>(reading.n_written), usual_answer_ / 4);
  return std::min(usual, static_cast<double>(reading.n_left));
}

// How many of the unread tokens a draft that saves this share of the time may read, the newest; -1 = it is not worth
// it. lost_per_token: tokens that plain decoding gives while one is read.
int64_t DraftPolicy::tokens_to_read(const Source& s, double lost_per_token, double share_saved,
                                    const Reading& reading) const {
  if (reading.n_unread == 0 || lost_per_token <= 0) return reading.n_unread;
  const double left = expected_left(reading), doubt = kDoubt / (kDoubt + s.by_depth[0].tried);
  const double may_lose = kMayLose * (static_cast<double>(reading.n_written) + left) / doubt - s.invested;
  const double affordable = std::min(kShareForReading * share_saved * left, may_lose) / lost_per_token;
  if (static_cast<double>(reading.n_unread) <= affordable) return reading.n_unread;
  return affordable >= static_cast<double>(kLeastWindow) ? static_cast<int64_t>(affordable) : -1;
}

DraftPolicy::Ask DraftPolicy::nodes_to_ask(size_t proposer, const Pass& pass, const Proposer& who, int32_t most,
                                           const Reading& reading) {
  Source& s = sources_[proposer];
  n_written_ = std::max(n_written_, reading.n_written);
  if (most < 1) return {};
  if (who.expected_seconds(1) <= 0) return {most};
  const double one = times_->seconds(1);
  if (s.rest > 0 || !times_->knows(pass.n_rows)) return {};
  const double plain = pass.n_tokens / ratio(pass, 0), lost_per_token = one > 0 ? reading.token_s / one * plain : 0;
  double expected = 0, survives = 1, best = kMargin * pass.n_tokens / ratio(pass, 0);
  int32_t n_best = 0;
  for (int32_t n = 1; n <= most; ++n) {
    const Rate& r = s.by_depth[std::min<size_t>(static_cast<size_t>(n) - 1, kDepths - 1)];
    survives *= (r.right + kFirstWeight * kFirstRate) / (r.tried + kFirstWeight);
    expected += survives;
    const double rate = (pass.n_tokens + expected) / (ratio(pass, n) + who.expected_seconds(n) / one);
    if (rate > best) {
      best = rate;
      n_best = n;
    }
  }
  if (n_best > 0) {
    const int64_t n = tokens_to_read(s, lost_per_token, 1 - plain / best, reading);
    if (n < 0) return {};
    s.unasked = 0;
    s.invested += lost_per_token * static_cast<double>(n);
    return {n_best, n};
  }
  if (++s.unasked < s.patience) return {};
  const int64_t n_read = std::min(reading.n_unread, kLeastWindow);
  const double lost = lost_per_token * static_cast<double>(n_read);
  if (lost > 0 && s.invested + lost > kMayLose * (static_cast<double>(reading.n_written) + expected_left(reading)))
    return {};
  s.invested += lost;
  s.unasked = 0;
  s.patience = std::min(2 * s.patience, kMostPatience);
  return {std::min(kTryNodes, most), n_read};
}

double DraftPolicy::choose(size_t proposer, const Pass& pass, const Draft& proposed, double spent_s, int32_t most,
                           Draft& kept) {
  kept.clear();
  const auto n = static_cast<int32_t>(proposed.nodes.size());
  if (n == 0 || rests(proposer) || !times_->knows(pass.n_rows)) return 1;
  order_.clear();
  paths_.clear();
  for (int32_t i = 0; i < n; ++i) {
    const Draft::Node& node = proposed.nodes[static_cast<size_t>(i)];
    const double p = calibrated(proposer, node.probability);
    paths_.push_back(node.parent < 0 ? first_chance(sources_[proposer], p)
                                     : p * paths_[static_cast<size_t>(node.parent)]);
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
      s.by_belief[std::min(kBeliefs - 1, static_cast<size_t>(p * static_cast<float>(kBeliefs)))].add(right);
      if (right) next = static_cast<int32_t>(i);
    }
    if (!any) {
      if (depth == 0) s.streak = 0;
      return;
    }
    s.by_depth[std::min(depth, kDepths - 1)].add(next >= 0);
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
  const double one = times_->seconds(1);
  const double extra = ratio(pass, n_nodes) - ratio(pass, 0) + (one > 0 ? spent_s / one : 0);
  s.debt = std::max(s.debt + extra * pass.n_tokens / ratio(pass, 0) - n_accepted, -kCredit);
  if (s.debt <= -kCredit / 2) {
    s.next_rest = kFirstRest;
    s.patience = kFirstPatience;
  }
  if (s.debt <= kAllowance) return;
  s.debt = 0;
  s.rest = s.next_rest;
  s.next_rest = std::min(2 * s.next_rest, kLongestRest);
}

}  // namespace watra::engine
