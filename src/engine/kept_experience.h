// What drafts were worth (draft_experience.h), kept for each model in $WATRA_HOME/drafts.json: the first answer after a
// restart begins with it, and a plan tells from it what drafts will yield.
//
// No text of anybody is in it, nor anything from which one could be told: counts, lengths and times. At most
// kMostModels, the one used last first. Of two programs that save at once one is kept; the file is never half.
#pragma once

#include <memory>

#include "base/file.h"
#include "engine/draft_experience.h"
#include "engine/draft_outlook.h"
#include "engine/loaded_model.h"

namespace watra::engine {

inline constexpr size_t kMostModels = 64;

// How a model is called there: a hash of its directory and of the beginnings of its tensors. Errors: those of reading.
Result<std::string> experience_key(const model::Model& model);
// What times of passes depend on beside the model.
std::string pass_circumstances(const LoadedModel& model);

// Nothing new where nothing is kept. Errors: "file.*"; "experience.unreadable".
Status load_experience(const fs::path& home, std::string_view key, std::string_view of_passes, DraftExperience& out);
// A file that cannot be understood is begun anew. Errors: "file.*".
Status save_experience(const fs::path& home, std::string_view key, std::string_view of_passes,
                       const DraftExperience& experience);

// Of a loaded model: what is kept of it, and kept again when the last of those who use it lets go. What goes wrong with
// the file is logged: answers do not depend on it.
std::shared_ptr<DraftExperience> keep_experience(const fs::path& home, const LoadedModel& model);

// For PlanOptions::measured_drafts: the ways of drafting that some dozens of tokens were written with.
std::vector<MeasuredDraft> measured_drafts(const DraftExperience& experience);

}  // namespace watra::engine
