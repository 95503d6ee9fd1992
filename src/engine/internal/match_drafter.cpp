#include "engine/internal/match_drafter.h"

#include <algorithm>
#include <bit>

namespace watra::engine::internal {
namespace {

// Before anything was seen: how often a match of so many tokens goes on alike. On the low side of text that is neither
// code nor chat; the sequence's own rates take over after a few guesses.
constexpr float kPrior[] = {0.10f, 0.20f, 0.30f, 0.40f, 0.50f, 0.60f, 0.70f, 0.78f, 0.85f, 0.90f, 0.93f};
constexpr float kPriorWeight = 4;
// Guesses that a rate remembers: an answer changes its character within a paragraph.
constexpr float kMemory = 48;
// Places looked at: enough to see whether they agree, and for the branches of a tree.
constexpr size_t kPlaces = 6;
// Chains longer than this are cut anyway.
constexpr size_t kGuesses = 128;

}  // namespace

MatchDrafter::MatchDrafter() { guesses_.reserve(kGuesses); }

// 1, 2, 3, 4, 5-6, 7-8, 9-12, 13-16, 17-24, 25-32, more
size_t MatchDrafter::bucket(int32_t length) {
  if (length <= 4) return static_cast<size_t>(std::max(length, 1) - 1);
  const auto n = static_cast<uint32_t>(std::min(length, NgramIndex::kMaxLength + 1) - 1);
  const int octave = std::bit_width(n) - 1;  // n in [2^octave, 2^(octave + 1))
  return std::min<size_t>(kBuckets - 1, static_cast<size_t>(4 + 2 * (octave - 2) + ((n >> (octave - 1)) & 1)));
}

double MatchDrafter::probability(int32_t length, Case c) const {
  const size_t b = bucket(length);
  const Rate& r = rates_[c][b];
  float prior = kPrior[b];
  if (c == kAgreeing) prior = 1 - 0.7f * (1 - prior);
  if (c == kDiffering) prior *= 0.6f;
  return (r.came_true + kPriorWeight * prior) / (r.tried + kPriorWeight);
}

void MatchDrafter::learn(std::span<const TokenId> text) {
  if (guesses_.empty()) return;
  const bool goes_on = text.size() > guessed_at_ && text[guessed_at_ - 1] == guessed_after_;
  for (size_t i = 0; goes_on && i < guesses_.size() && guessed_at_ + i < text.size(); ++i) {
    Rate& r = rates_[case_][bucket(guesses_[i].length)];
    const bool right = text[guessed_at_ + i] == guesses_[i].token;
    if (r.tried >= kMemory) {
      r.tried *= 0.5f;
      r.came_true *= 0.5f;
    }
    r.tried += 1;
    r.came_true += right ? 1 : 0;
    if (!right) break;
  }
  guesses_.clear();
}

void MatchDrafter::add_chain(const NgramIndex& index, const NgramIndex::Match& match, bool own,
                             const DraftLimits& limits, int32_t n_nodes, bool first, Draft& draft) {
  const auto tokens = index.tokens();
  const auto size = static_cast<int32_t>(tokens.size());
  double path = 1;
  int32_t parent = -1;
  for (int32_t depth = 0; depth < limits.max_depth; ++depth) {
    const int32_t at = match.end + depth;
    // Behind the text's end stands what this chain has drafted: as its first, node i is at depth i.
    if (at >= size && !(own && first)) return;
    const TokenId token =
        at < size ? tokens[static_cast<size_t>(at)] : draft.nodes[static_cast<size_t>(at - size)].token;
    if (token == text::kNoToken) return;
    double free = 1;  // what the siblings leave
    int32_t same = -1;
    for (size_t i = 0; !first && i < draft.nodes.size(); ++i) {
      if (draft.nodes[i].parent != parent) continue;
      free -= draft.nodes[i].probability;
      if (draft.nodes[i].token == token) same = static_cast<int32_t>(i);
    }
    if (same >= 0) {
      path *= draft.nodes[static_cast<size_t>(same)].probability;
      parent = same;
      continue;
    }
    const double p = probability(match.length + depth, case_) * std::max(free, 0.0);
    path *= p;
    // Also a guess that is not worth proposing is compared with what comes: its rate may rise again.
    if (first && guesses_.size() < kGuesses) guesses_.push_back({token, match.length + depth});
    if (path < limits.min_path_probability || static_cast<int32_t>(draft.nodes.size()) >= n_nodes) return;
    draft.nodes.push_back({.token = token, .parent = parent, .probability = static_cast<float>(p)});
    parent = static_cast<int32_t>(draft.nodes.size()) - 1;
  }
}

void MatchDrafter::propose(const NgramIndex& index, std::span<const TokenId> text, bool own, const DraftLimits& limits,
                           Draft& draft) {
  std::array<NgramIndex::Match, kPlaces> places;
  const size_t n = index.find(text, places);
  if (n == 0) return;
  const auto next = [&](const NgramIndex::Match& m) { return index.tokens()[static_cast<size_t>(m.end)]; };
  const auto best = std::span(places).first(n);
  const auto as_long = [&](const NgramIndex::Match& m) { return m.length == best[0].length; };
  const auto n_best = std::ranges::count_if(best, as_long);
  case_ = n_best == 1 ? kOnePlace
          : std::ranges::all_of(best.first(static_cast<size_t>(n_best)),
                                [&](const auto& m) { return next(m) == next(best[0]); })
              ? kAgreeing
              : kDiffering;
  guessed_at_ = text.size();
  guessed_after_ = text.back();
  const int32_t n_branches = limits.tree ? static_cast<int32_t>(n) - 1 : 0;
  // Branches need only a few nodes each: where they part, one of them is right soon or none.
  const int32_t n_first = limits.max_nodes - std::min(3 * n_branches, limits.max_nodes / 3);
  add_chain(index, best[0], own, limits, n_first, true, draft);
  for (int32_t i = 1; i <= n_branches; ++i)
    add_chain(index, best[static_cast<size_t>(i)], own, limits, limits.max_nodes, false, draft);
}

}  // namespace watra::engine::internal
