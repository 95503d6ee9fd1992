// The planner's own parts: one plan as it is asked for, and what would fit where it does not.
#pragma once

#include <string>

#include "engine/plan.h"

namespace watra::engine::internal {

// As make_plan(), without offers in its error.
Result<Plan> plan_once(const model::ModelOutline& o, const Hardware& hw, const PlanOptions& options);

// The hint of "plan.no_fit": what would fit instead, each tried by plan_once().
std::string plan_offers(const model::ModelOutline& o, const Hardware& hw, const PlanOptions& options);

}  // namespace watra::engine::internal
