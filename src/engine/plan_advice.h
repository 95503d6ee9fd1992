// What would make a model faster here, and the table of well-known large models: both are nothing but more calls of
// make_plan(), so that every figure offered is one the planner stands by. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/plan.h"

namespace watra::engine {

struct Advice {
  enum class Kind : uint8_t { draft, quant, quant_and_draft, kv_type, second_disk, more_ram, threads } kind;
  std::string change;  // for people: "quantized to Q6_K"
  std::string option;  // what to type or buy: "--quant Q6_K"; of a draft also what to type before
  double decode_tokens_per_s = 0;
  bool reaches_target = false;
};

// Changes that make decoding at least 2 % faster, the fastest first; with a target those that reach it and change least
// come first. target_tps 0 = none.
std::vector<Advice> advise(const model::ModelOutline& outline, const Hardware& hardware, const PlanOptions& options,
                           const Plan& plan, double target_tps);

// ---- the table ----

struct PlanRow {
  const model::KnownShape* shape = nullptr;
  std::string_view quant;
  size_t machine = 0;  // index into the machines asked for
  uint64_t bytes = 0;
  int64_t n_params = 0, n_active_params = 0;
  bool fits = false;            // the figures below are of a plan; otherwise even the disk does not help
  double seconds_per_pass = 0;  // predicted, one token
  double bound_tps = 0, no_speculation_tps = 0;
  double lossless_tps = 0;  // with the best draft, the same words
  DraftPlan draft;          // of lossless_tps
  double needs_tau = 0;     // tokens each pass would have to yield for the target
  Loss main_loss;           // what keeps the pass from its bound most; empty where nothing to speak of does
};

std::span<const std::string_view> table_shapes();  // names for find_shape()
std::span<const model::QuantMix> table_quants();

// Shape by shape, quantization by quantization, machine by machine.
std::vector<PlanRow> plan_table(std::span<const Hardware> machines, const PlanOptions& options, double target_tps);

}  // namespace watra::engine
