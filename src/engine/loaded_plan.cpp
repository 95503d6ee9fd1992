#include "engine/loaded_plan.h"

#include <algorithm>

#include "base/memory.h"

namespace watra::engine {

std::optional<Plan> plan_as_loaded(const LoadedModel& model, Hardware hardware, int64_t n_tokens) {
  PlanOptions o = model.plan_options;
  o.depth = n_tokens;
  if (o.disks.size() == 1) o.disks.clear();  // the only one: it may be known by another folder
  // What it took is no longer free, and whether it fits is no question any more.
  hardware.ram.bytes = std::max({hardware.ram.bytes, total_memory_bytes(), o.ram_bytes});
  auto plan = make_plan(model::outline_of(*model.model), hardware, o);
  return plan ? std::optional(std::move(*plan)) : std::nullopt;
}

}  // namespace watra::engine
