// Proposers that are models: a draft MODEL, or `self`, the target's own low-bit copy.
#pragma once

#include "apps/command.h"
#include "engine/draft_model.h"
#include "engine/proposer.h"

namespace watra::apps {

// "self", or "self:TYPE" with the type of the copy's matrices.
inline bool is_self_draft(std::string_view draft) { return draft == "self" || draft.starts_with("self:"); }

// The type of a copy's matrices. Error "draft.unknown_type".
Result<tensor::DType> copy_type(const std::string& draft);

// draft: "self" or a MODEL of the command line. It lives on the target's threads and in its memory budget; proposers
// of many sequences share it. The copy that `self` means is made at its first use and kept under the home folder
// (workshop/self_draft.h). Errors: those of load_draft(), self_draft() and resolve_model(); "draft.no_file" for the
// copy of a model that was made in memory.
Result<std::shared_ptr<engine::DraftModel>> load_draft_for(const Globals& g, const std::string& draft,
                                                           const engine::LoadedModel& target,
                                                           const std::function<bool()>& cancelled = {});

// For one sequence.
Result<std::unique_ptr<engine::Proposer>> make_model_proposer(const Globals& g, const std::string& draft,
                                                              const engine::LoadedModel& target);

}  // namespace watra::apps
