// What the subcommands that run a model share: from the options of the command line to a loaded model, with a progress
// bar.
#pragma once

#include "apps/command.h"
#include "engine/loaded_model.h"

namespace watra::apps {

// The logical processors of --cpus; empty when it is not given. Error "usage.cpus".
Result<std::vector<int>> chosen_cpus(const Globals& g);

// Of --ram, left free for what is loaded after MODEL (draft_choice.h).
struct Later {
  uint64_t bytes = 0;
  bool is_needed = false;
};

// Loads MODEL as the options say. n_ctx_default: used when --ctx is not given (0 = min(model's, 4096)). n_sequences: as
// in engine::LoadOptions. later: if the model fits into the rest, or, where it is needed, in any case: then
// "draft.no_room" where it does not.
Result<engine::LoadedModel> load_for(const Globals& g, const std::string& model, int64_t n_ctx_default = 0,
                                     int64_t max_logit_rows = 16, int64_t n_sequences = 1, int64_t max_rows = 0,
                                     const std::optional<engine::KvStoreOptions>& kv_store = {},
                                     const Later& later = {});

// "memory.over_budget" of a model that was left what a draft leaves of --ram, told as what it is: "draft.no_room".
Error beside_draft(Error e, uint64_t room_bytes);

// What --disk named and nothing is read from, and why, as warnings.
void warn_of_unused_disks(const engine::LoadedModel& model);

// Where conversations are kept: $WATRA_HOME/kv.
Result<fs::path> kv_folder(const Globals& g);
// --kv-store: "off", or the size of all of it; empty = the usual one. Errors "usage.size", "home.unknown".
Result<std::optional<engine::KvStoreOptions>> kv_store_options(const Globals& g, const std::string& option);

// Opens MODEL's vocabulary alone: works on vocabulary-only files too.
Result<std::unique_ptr<text::Tokenizer>> load_tokenizer(const Globals& g, const std::string& model,
                                                        checkpoint::Checkpoint* file = nullptr);

}  // namespace watra::apps
