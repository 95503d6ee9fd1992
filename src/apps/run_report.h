// What a run was predicted to do beside what it did: for its JSON, and kept for `watra plan --why`.
#pragma once

#include <optional>

#include "apps/chat.h"
#include "engine/loaded_plan.h"
#include "engine/plan.h"

namespace watra::apps {

// Speed predicted for an answer of this model as it is loaded, by the cached measurement of this machine; nothing when
// it was never measured (kNotMeasured says what to do). n_tokens: prompt and half of the answer.
std::optional<engine::Plan> predict_run(const Globals& g, const engine::LoadedModel& model, int64_t n_tokens,
                                        const engine::DraftsInUse& drafts = {});
inline constexpr const char* kNotMeasured = "watra doctor --measure takes half a minute, once: then there is one";

// By the plan's seconds a pass, with the passes and the drafted tokens that this answer took; 0 = it wrote nothing.
double predicted_as_drafted(const engine::Plan& plan, const engine::GenerateReport& answer);

// ", predicted 31.2", of drafts ", predicted 40.1 with as many drafted tokens", or nothing.
std::string prediction_note(const std::optional<engine::Plan>& plan, const engine::GenerateReport& answer);
// {"decode_tokens_per_s": as planned before, "with_these_drafts", "tau", "draft", "advice": kNotMeasured or null}
nlohmann::ordered_json prediction_json(const std::optional<engine::Plan>& plan, const engine::GenerateReport& answer);

// Keeps the record; what goes wrong is logged, never an error of the answer.
void record_run(const Globals& g, const std::string& model_name, const engine::LoadedModel& model,
                const Talk::Answer& answer, const std::optional<engine::Plan>& predicted);

}  // namespace watra::apps
