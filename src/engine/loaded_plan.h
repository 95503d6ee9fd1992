// What a model that is loaded will do: the plan it was loaded by, with the rates of a machine.
#pragma once

#include <optional>

#include "engine/loaded_model.h"

namespace watra::engine {

// What drafts for it, as PlanOptions have it.
struct DraftsInUse {
  std::string draft = "none";
  std::vector<DraftOffer> drafts;
  std::vector<MeasuredDraft> measured;
};

// Predicted for an answer of this model as it lies now, with its context, cache types, threads and placement; nothing
// where no such plan can be made. n_tokens: in the conversation at half of the answer. Disks that `hardware` does not
// know have the rates with which the model was laid out. Milliseconds; any thread.
std::optional<Plan> plan_as_loaded(const LoadedModel& model, Hardware hardware, int64_t n_tokens,
                                   const DraftsInUse& drafts = {});

}  // namespace watra::engine
