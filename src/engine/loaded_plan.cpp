#include "engine/loaded_plan.h"

#include <algorithm>

#include "base/memory.h"
#include "engine/memory_needs.h"

namespace watra::engine {

std::optional<Plan> plan_as_loaded(const LoadedModel& model, Hardware hardware, int64_t n_tokens,
                                   const DraftsInUse& drafts) {
  PlanOptions o = model.plan_options;
  o.depth = n_tokens;
  o.draft = drafts.draft;
  o.drafts = drafts.drafts;
  o.measured_drafts = drafts.measured;
  // A draft has its room beside what the model was given.
  const bool is_one = drafts.drafts.size() == 1 && drafts.draft != "none" && drafts.draft != "ngram";
  if (is_one) o.ram_bytes += draft_model_bytes(drafts.drafts[0].outline, o.n_ctx, drafts.drafts[0].method == "self");
  if (o.disks.size() == 1 || model.streamed_bytes == 0) {
    o.disks.clear();  // the only one, it may be known by another folder; or none that matters
  } else {
    for (size_t d = 0; d < o.disks.size(); ++d) {
      const bool is_known = std::ranges::any_of(hardware.disks, [&](const auto& k) { return k.path == o.disks[d]; });
      if (!is_known && d < model.disk_rates.size())
        hardware.disks.push_back({.path = o.disks[d], .gb_s = model.disk_rates[d]});
    }
  }
  // What it took is no longer free, and whether it fits is no question any more.
  hardware.ram.bytes = std::max({hardware.ram.bytes, total_memory_bytes(), o.ram_bytes});
  auto plan = make_plan(model::outline_of(*model.model), hardware, o);
  return plan ? std::optional(std::move(*plan)) : std::nullopt;
}

}  // namespace watra::engine
