// A plan, a table of plans and the reasons of a slow run, for people. Widths fit 100 columns.
#pragma once

#include <span>
#include <string>

#include "engine/plan_advice.h"
#include "engine/run_record.h"

namespace watra::apps {

struct PlanReport {
  const model::ModelOutline& outline;
  const engine::Hardware& hardware;
  const engine::PlanOptions& options;
  const engine::Plan& plan;
  const std::vector<engine::Advice>& advice;
  double target_tps = 0;
};

// One sentence or two: the speed, the wish, and whether anything gets there.
std::string verdict(const PlanReport& report);
void print_plan(const PlanReport& report);

void print_table(std::span<const engine::PlanRow> rows, std::span<const engine::Hardware> machines, double target_tps);

void print_why(const engine::RunRecord& run, std::span<const engine::Cause> causes);

// "0.063", "4.1", "31"
std::string rate_text(double per_second);
// "740 ms", "16.0 s", "2 min"
std::string seconds_text(double seconds);

}  // namespace watra::apps
