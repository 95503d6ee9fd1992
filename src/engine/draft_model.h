// DraftModel: a second, cheaper model on the target's threads and in its memory budget, ready to be asked how an answer
// goes on (model_proposer.h).
//
// Two kinds. A *small* model of the target's vocabulary has a cache of its own. A *copy* of the target in fewer bits
// (workshop/requantize.h makes it) may go on from the target's cache instead: then it reads no prompt and holds no keys
// and values, and what it writes lies behind the accepted positions, where the target's next pass overwrites it.
//
// Shared by the proposers of all sequences. One thread at a time, and never during a pass of the target: both run on
// one team.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/loaded_model.h"
#include "engine/prefix_cache.h"

namespace watra::engine {

// Which tokens mean the same to target and draft.
class SharedVocabulary {
 public:
  // Token by token. Tolerated: padding at the end, and up to kMostForeign control, unused or added tokens that differ.
  // Error "draft.other_vocabulary" names the first token that differs, or the kinds.
  static constexpr int32_t kMostForeign = 128;
  static Result<SharedVocabulary> create(const text::VocabSpec& target, const text::VocabSpec& draft);
  // Both without a vocabulary (synthetic models): ids are ids.
  static SharedVocabulary of_ids(int64_t n_target, int64_t n_draft);

  // The draft may propose it, and reads it as it is.
  bool has(TokenId token) const { return token >= 0 && token < n_common_ && (foreign_.empty() || !is_foreign(token)); }
  // What the draft reads in its place.
  TokenId to_draft(TokenId token) const { return has(token) ? token : stand_in_; }
  const std::vector<TokenId>& foreign() const { return foreign_; }  // below n_common(), ascending
  int64_t n_common() const { return n_common_; }

 private:
  bool is_foreign(TokenId token) const;
  int64_t n_common_ = 0;
  std::vector<TokenId> foreign_;
  TokenId stand_in_ = 0;
};

struct DraftModelOptions {
  // Go on from the target's cache: only for a copy of the target. With quantized keys or values it keeps its own all
  // the same: the page at hand lies exact in a place that has one writer (recent_rows.h).
  bool share_cache = false;
  int64_t kv_positions = 0;    // of its own cache, all sequences together; 0 = as many as the target's
  int64_t max_rows = 256;      // of a pass: its prompts are read in such pieces
  int64_t max_beam = 8;        // tree nodes run together
  uint64_t staging_bytes = 0;  // as Residency::read has it
  Residency::Progress progress;
  std::function<bool()> cancelled;  // as Residency::read has it
};

struct DraftModel {
  DraftModel() = default;
  ~DraftModel();
  DraftModel(const DraftModel&) = delete;
  DraftModel& operator=(const DraftModel&) = delete;

  std::shared_ptr<MemoryBudget> budget;  // the target's; outlives what it counts
  std::shared_ptr<Forward> cache_owner;  // the target's, where its cache is shared
  std::shared_ptr<Forward> forward;
  SharedVocabulary vocabulary;
  bool shares_cache = false;
  std::optional<PrefixCache> prefixes;  // of its own cache; its pages go before any sequence lacks room
  std::string method;                   // "self" for a copy of the target, otherwise "model"
  std::string name;                     // "model:NAME", "self:TYPE": under which its worth is remembered
  double pass_seconds = 0;              // of a pass that drafts: of one row when it was loaded, then a running mean
  double read_token_seconds = 0;        // of a prompt: estimated from that, then the mean of what was measured
  uint64_t pass_bytes = 0;

  // What lies outside of buffers: the file's directory with its list of words, the lists of a proposer.
  Status count_directory(uint64_t bytes);

 private:
  uint64_t directory_bytes_ = 0;
};

// The target must be loaded. Errors: those of Model::open and Residency; "draft.other_vocabulary"; with share_cache
// "kv.other_shape"; "memory.over_budget" and "draft.no_room" when it does not fit beside the target.
Result<std::shared_ptr<DraftModel>> load_draft(const LoadedModel& target, const fs::path& path,
                                               const DraftModelOptions& options = {});

}  // namespace watra::engine
