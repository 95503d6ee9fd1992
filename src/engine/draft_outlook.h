// DraftOutlook: how many tokens a pass will yield with a way of drafting, before anybody has tried it; pure.
//
// A draft proposes n tokens; each is accepted with probability p given that those before it were. The pass yields the
// accepted ones and one more of its own:  tau = 1 + p + ... + p^n = (1 - p^(n+1)) / (1 - p).
// p depends on the text: here it is that of free conversation, sampled. Constants stand in draft_outlook.cpp with their
// source; what was measured on this machine with this pair takes their place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/outline.h"

namespace watra::engine {

// p of a running measurement: accepted / proposed by position, from the records of runs (run_record.h).
struct MeasuredDraft {
  std::string method;  // "ngram", "model", "self"
  std::string model;   // of a draft model: its name; otherwise empty
  double acceptance = 0;
  int64_t n_passes = 0;
};

struct Acceptance {
  double p = 0;
  std::string source;
  bool is_measured = false;
};

double expected_tau(double p, int n);
// p that gives this tau with n proposed tokens (bisection): from counted tokens to the constant.
double acceptance_of_tau(double tau, int n);

// `draft_params`: of the draft model, for "model".
Acceptance expected_acceptance(std::string_view method, double draft_params, double target_params,
                               std::string_view draft_name, const std::vector<MeasuredDraft>& measured);

// Well-known models that share the vocabulary of this one, smaller than a third of it, largest first: who may draft.
std::vector<model::ModelOutline> draft_candidates(const model::ModelOutline& target);

}  // namespace watra::engine
