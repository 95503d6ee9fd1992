// What a run was predicted to do beside what it did: for its JSON, and kept for `watra plan --why`.
#pragma once

#include <optional>

#include "apps/chat.h"
#include "engine/plan.h"

namespace watra::apps {

// Speed predicted for an answer of this model as it is loaded, by the cached measurement of this machine; nothing when
// it was never measured. n_tokens: prompt and half of the answer.
std::optional<engine::Plan> predict_run(const Globals& g, const engine::LoadedModel& model, int64_t n_tokens);

// Keeps the record; what goes wrong is logged, never an error of the answer.
void record_run(const Globals& g, const std::string& model_name, const engine::LoadedModel& model,
                const Talk::Answer& answer, const std::optional<engine::Plan>& predicted);

}  // namespace watra::apps
