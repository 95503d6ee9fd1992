// Prompts: what a model saw when it answered, kept with the answer, so that showing it is reading, not reconstructing.
// Longer texts are kept once, however many prompts repeat them; those of a message go when it is erased.
#pragma once

#include "home/database.h"

namespace watra::home {

// `prompt` as docs/api.md has it (GET /messages/{id}/prompt). Inside a transaction; throws Failure.
void keep_prompt(Database& db, const std::string& message, const Json& prompt);

// Error "message.unknown" when none is kept; texts that were erased are empty.
Result<Json> read_prompt(Database& db, const std::string& message);

}  // namespace watra::home
