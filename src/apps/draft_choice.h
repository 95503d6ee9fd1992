// Which draft an answer is written with: the one function behind `watra plan`, `run` and `serve`, so that what a plan
// prints for the same options is what is done.
//
// `auto` means n-grams, or a draft that is ready (a copy of the model made before, a small model of its vocabulary on
// the shelf) where the plan says that it clearly pays. Nothing is made or fetched for it: what would have to be stands
// in a plan's advice. `self` without a type means the copy that fits and pays best. A draft that is named is used
// whatever it costs; what it costs is said first.
#pragma once

#include "apps/drafting.h"
#include "engine/loaded_plan.h"
#include "engine/plan.h"

namespace watra::apps {

// What the command line asks of every plan. Errors: "usage.size", those of KvTypes::parse.
Result<engine::PlanOptions> plan_options(const Globals& g);

// --draft WORD into PlanOptions::draft and drafts. `model`: the path of the target's file; empty for a
// shape, of which nothing can be ready. `named`: the outline of the draft where WORD is a model that the caller opened.
// Errors: "draft.unknown_type"; those of resolve_model() and Model::open for a MODEL.
Status offer_drafts(const Globals& g, const std::string& word, const std::string& model,
                    const model::ModelOutline& target, engine::PlanOptions& options,
                    const std::optional<model::ModelOutline>& named = {});

// What answers of MODEL (empty of a shape) are to be drafted by here, into the options of a plan: what DraftOptions
// name, of `auto` what is ready. A draft that cannot be opened is left out. Opens files of the shelf.
void expect_drafts(const Globals& g, const DraftOptions& o, const std::string& model, const model::ModelOutline& target,
                   engine::PlanOptions& options);

// What drafts were worth in answers of this model here; nothing of a model that has no file.
std::vector<engine::MeasuredDraft> worth_of_drafts(const Globals& g, const std::string& model);

struct DraftChoice {
  std::string word = "none";         // for DraftOptions::method: "none", "ngram", "self:q3_k", a MODEL
  uint64_t room_bytes = 0;           // of --ram, that drafting takes beside the model
  bool needs_room = false;           // without it there is no such draft
  engine::DraftsInUse in_use;        // for predictions
  std::optional<engine::Plan> plan;  // nothing where nothing was to be chosen, or this machine was never measured
};

// Before MODEL is loaded: in milliseconds where the word leaves no choice. kv_positions: as PlanOptions has it. What a
// person should hear (a draft that costs more than it gives) is logged. Errors: those of offer_drafts();
// "draft.no_room" when MODEL fits and MODEL with the draft does not: what is needed, what is allowed, and a --ram that
// works.
Result<DraftChoice> choose_draft(const Globals& g, const DraftOptions& o, const std::string& model,
                                 int64_t kv_positions = 0);

}  // namespace watra::apps
