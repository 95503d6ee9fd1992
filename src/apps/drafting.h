// The options of the command line about drafts, and what they make of a session.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/command.h"
#include "engine/scheduler.h"
#include "engine/session.h"
#include "engine/suffix_proposer.h"

namespace watra::apps {

// Of the index over earlier conversations, about 30,000 tokens: what is older is seldom said again.
inline constexpr uint64_t kHistoryBytes = 2 << 20;

// What stands on the command line; before a model is loaded choose_draft() (draft_choice.h) says what is meant by it.
struct DraftOptions {
  std::string method = "auto";  // none, auto, ngram, self, self:TYPE, or a draft MODEL
  std::string shape = "auto";   // chain, tree, auto
  int32_t max = 16;             // nodes of a draft
};

void add_draft_options(CLI::App& command, DraftOptions& o);

// Rows of logits that a pass with the largest draft wants.
int64_t logit_rows(const DraftOptions& o);

// Null for `none`. The n-gram proposer is part of every other method, and so is the suffix proposer where there is a
// history: they cost nothing to ask. experience: what earlier answers taught; null = begun with nothing, and forgotten.
// Errors: those of make_model_proposer().
Result<std::shared_ptr<engine::Speculation>> make_speculation(
    const Globals& g, const DraftOptions& o, const engine::Session& session,
    std::shared_ptr<const engine::SuffixHistory> history = nullptr,
    std::shared_ptr<engine::DraftExperience> experience = nullptr);
// What is kept of earlier answers under the home folder (engine/kept_experience.h); null where there is none.
std::shared_ptr<engine::DraftExperience> kept_experience(const Globals& g, const engine::LoadedModel& target);

// The same for a model that answers many at once: what later answers are drafted from is also what earlier ones said,
// kept experience is used, and while nobody asks anything a draft model reads the conversation that spoke last.
// Without drafts the options are the default ones. Errors as above.
Result<engine::SchedulerOptions> make_scheduling(const Globals& g, const DraftOptions& o,
                                                 const engine::LoadedModel& target, int64_t n_parallel,
                                                 const std::function<bool()>& cancelled = {});

// {"method", "accept_rate", "tau", "drafted", "accepted", "passes", "counted_speed_up"}
nlohmann::ordered_json speculation_json(const engine::GenerateReport& report);
// For the line under an answer: "; 2.31 tokens a pass (ngram)", or nothing.
std::string speculation_note(const engine::GenerateReport& report);

}  // namespace watra::apps
