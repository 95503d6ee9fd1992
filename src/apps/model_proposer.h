// Proposers that are models: a draft MODEL, or `self`, the target's own low-bit copy.
#pragma once

#include "apps/command.h"
#include "engine/loaded_model.h"
#include "engine/proposer.h"

namespace watra::apps {

// draft: "self" or a MODEL of the command line. It lives on the target's threads and in its memory budget.
// Error "speculation.unavailable".
Result<std::unique_ptr<engine::Proposer>> make_model_proposer(const Globals& g, const std::string& draft,
                                                              const engine::LoadedModel& target);

}  // namespace watra::apps
