// Estimate: what a model would do on this machine, as docs/api.md section 5 tells it: a plan in the page's words.
#pragma once

#include <optional>

#include "engine/plan.h"
#include "server/api_error.h"

namespace watra::server {

// A plan made by engine::make_plan; a model that fits nowhere is an estimate too ("no_fit"). Pure, milliseconds; with
// `advice` tens of them.
Json estimate_json(const model::ModelOutline& outline, const engine::Hardware& hardware,
                   const engine::PlanOptions& options, bool advice);

// {"decode_tokens_per_s", "tau", "draft"} of a plan whose options say how it drafts; null where it drafts nothing.
Json with_drafts_json(const model::ModelOutline& outline, const engine::Hardware& hardware,
                      const engine::PlanOptions& options);

// "good" from reading pace on, "slow", "very_slow" below a token a second.
std::string_view verdict_of(double decode_tokens_per_s);

}  // namespace watra::server
