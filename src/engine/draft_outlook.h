// DraftOutlook: how many tokens a pass will yield with a way of drafting, tried or not; pure.
//
// A draft proposes n tokens; each is accepted with probability p given that those before it were. The pass yields the
// accepted ones and one more of its own:  tau = 1 + p + ... + p^n = (1 - p^(n+1)) / (1 - p).
// p depends on the text: here it is that of free conversation, sampled. Constants stand in draft_outlook.cpp with their
// source. Where answers were written here with this pair, what came of them takes the place of all this arithmetic
// (kept_experience.h): on the texts this person reads, by the policy that decides how much is drafted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/outline.h"

namespace watra::engine {

// What came of answers that were written with drafts, however little was drafted.
struct MeasuredDraft {
  std::string method;      // "ngram", "model", "self"
  std::string model;       // of a draft model: its name; otherwise empty
  double accept_rate = 0;  // accepted / verified
  double tau = 1;
  double nodes_per_pass = 0;
  double speed_up = 1;  // times as fast as passes of these rows without drafts, drafting and reading included
  int64_t n_answers = 0;
};

struct Acceptance {
  double p = 0;
  std::string source;
  std::optional<MeasuredDraft> measured;
};

double expected_tau(double p, int n);

// `draft_params`: of the draft model, for "model".
Acceptance expected_acceptance(std::string_view method, double draft_params, double target_params,
                               std::string_view draft_name, const std::vector<MeasuredDraft>& measured);

// Well-known models that share the vocabulary of this one, smaller than a third of it, largest first: who may draft.
std::vector<model::ModelOutline> draft_candidates(const model::ModelOutline& target);

}  // namespace watra::engine
