// DraftOutlook: how many tokens a pass will yield with a way of drafting, tried or not; pure.
//
// A draft proposes n tokens; each is accepted with probability p given that those before it were. The pass yields the
// accepted ones and one more of its own:  tau = 1 + p + ... + p^n = (1 - p^(n+1)) / (1 - p).
// p depends on the text: here it is that of free conversation, sampled at 0.8. Constants stand in draft_outlook.cpp
// with their source, and say whether they were measured, published or assumed. Where answers were written here with
// this pair, what came of them takes the place of all this arithmetic (kept_experience.h): on the texts this person
// reads, by the policy that decides how much is drafted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/outline.h"

namespace watra::engine {

// What came of answers that were written with drafts, however little was drafted.
struct MeasuredDraft {
  std::string method;      // "ngram", "model", "self"
  std::string model;       // of a draft model: its name; of a copy its type, "q3_k"; otherwise empty
  double accept_rate = 0;  // accepted / verified
  double tau = 1;
  double nodes_per_pass = 0;
  double speed_up = 1;  // times as fast as passes of these rows without drafts, drafting and reading included
  int64_t n_answers = 0;
};

// Where a figure comes from: answers of this home, our benches (docs/measurements.md), other people's, nobody.
enum class Basis : uint8_t { answers_here, benches, published, assumed };
std::string_view basis_name(Basis basis);  // "answers here", ...

struct Acceptance {
  double p = 0;
  std::string source;
  Basis basis = Basis::assumed;
  std::optional<MeasuredDraft> measured;  // in answers here, or by the benches
  // What the policy makes of it in free chat where a token of the draft costs kDearShare of the target's pass or more:
  // it is then seldom asked, whatever chains of it would yield.
  std::optional<MeasuredDraft> where_dear;
};
// The cheapest draft that was measured so costs 0.24 of a pass.
inline constexpr double kDearShare = 0.2;

// A model that may draft for another.
struct DraftOffer {
  std::string method;  // "model", "self"
  std::string word;    // what --draft calls it: "qwen2.5-coder-0.5b", "self:q3_k"
  model::ModelOutline outline;
  bool is_ready = false;  // on the shelf, or made already
  std::string first;      // what has to be done before, for people; empty where nothing has
};

double expected_tau(double p, int n);

// draft_params: of the draft model, for "model". draft_name: as in MeasuredDraft::model.
Acceptance expected_acceptance(std::string_view method, double draft_params, double target_params,
                               std::string_view draft_name, const std::vector<MeasuredDraft>& measured);

// Well-known models that share the vocabulary of this one, smaller than a third of it, largest first: who may draft.
std::vector<DraftOffer> draft_candidates(const model::ModelOutline& target);
// Copies of the model in fewer bits, most bits first. None is ready.
std::vector<DraftOffer> self_drafts(const model::ModelOutline& target);
// The types such copies have.
std::span<const tensor::DType> self_draft_types();

}  // namespace watra::engine
