// Plan: what will happen when a model runs on a machine, before it happens: which rows lie on which tier and who
// computes them, types and places of keys and values, micro-batch, threads, drafts; and what that costs, part by part.
//
// make_plan() is pure: no I/O, no clock, no globals; the same arguments give the same plan on any machine. The
// arithmetic is in pass_time.h, the places in outline_placement.h, the sizes in memory_needs.h, the tokens a draft
// yields in draft_outlook.h. load_model() carries out the plan it makes with what it has counted (loaded_model.h).
// Nothing here is tuned to a result: predictions are bytes over rates less losses that are named one by one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/draft_outlook.h"
#include "engine/hardware_profile.h"
#include "engine/kv_types.h"
#include "engine/outline_placement.h"
#include "engine/pass_time.h"
#include "kernels/ops.h"
#include "model/outline.h"

namespace watra::engine {

enum class Executor : uint8_t { cpu, gpu };
// Who multiplies what lies on a tier: bytes are multiplied where they are; what the disk sends, by the processor.
inline Executor executor_of(Tier tier) { return tier == Tier::vram ? Executor::gpu : Executor::cpu; }

struct MemoryUse {
  std::string tag;
  Tier tier;
  uint64_t bytes;
};

struct PlanOptions {
  int64_t n_ctx = 0;       // 0 = min(the model's, 4096)
  int64_t depth = -1;      // tokens of the conversation at which speed is told; -1 = a quarter of n_ctx
  int64_t n_prompt = 512;  // for the time to the first token
  KvTypes kv_types;
  uint64_t ram_bytes = 0, vram_bytes = 0;  // limits below the machine's; 0 = the machine's
  bool use_gpu = true;
  int threads = 0;                   // 0 = the machine's best
  std::vector<std::string> disks;    // paths of Hardware::disks that hold parts of the model; empty = the fastest alone
  int64_t kv_positions = 0;          // cached by all conversations together; 0 = n_ctx
  int64_t micro_batch = 0;           // 0 = the planner chooses
  uint64_t ring_bytes = 0;           // for streamed weights; 0 = the planner chooses
  bool keeps_conversations = false;  // on disk (kv_store.h), through some RAM
  // RAM that is known to be taken beside weights and the ring: load_model() has counted it. Empty = estimated.
  std::vector<MemoryUse> known_uses;
  // "none"; "auto": n-gram, or one of `drafts` that is ready and promises clearly more; "best": whatever is fastest,
  // also what has to be made or fetched first; "ngram"; "self": the best copy of the model, "self:q2_k": that one;
  // "model": the best of the models among `drafts`. Copies that `drafts` does not list are counted as not made yet.
  std::string draft = "none";
  std::vector<DraftOffer> drafts;
  int draft_max = 16;
  std::vector<MeasuredDraft> measured_drafts;
};

struct DraftPlan {
  std::string method = "none";  // "none", "ngram", "self", "model"
  std::string model;            // of "model": its name and quantization; of "self": its type, "q3_k"
  std::string word = "none";    // what --draft calls it
  std::string first;            // what has to be done before (DraftOffer::first)
  int n = 0;                    // tokens proposed for each pass; 0 with a method = drafting does not pay
  Acceptance acceptance;
  double tau = 1;            // tokens a pass yields
  double seconds = 0;        // of proposing, each pass
  double token_seconds = 0;  // of proposing, each token
  uint64_t bytes = 0;        // of its weights, keys and values
  Tier tier = Tier::ram;
};

struct Loss {  // why the prediction is slower than bytes over rates; negative: faster
  std::string reason;
  double seconds;
};

struct Plan {
  PlacedOutline placed;
  KvTypes kv_types;
  int64_t n_ctx = 0, depth = 0, n_prompt = 0, micro_batch = 0;
  int threads = 0;
  std::vector<std::string> disks;  // by RowRange::disk
  DraftPlan draft;
  uint64_t ring_bytes = 0;          // through which streamed weights pass
  bool shares_prefixes = true;      // pages of what was read before are kept (prefix_cache.h)
  uint64_t prefix_cache_bytes = 0;  // RAM that is left for them

  PassTime pass;             // of one pass as it will run: draft.n + 1 tokens
  double seconds = 0;        // pass and proposing
  double plain_seconds = 0;  // of a pass over one token
  double row_seconds = 0;    // of each further token of a pass, mean over sixteen
  double decode_tokens_per_s = 0, no_speculation_tps = 0;
  // Without a draft, and with its memory given to weights; no_speculation_tps is with the weights where they lie.
  double undrafted_tps = 0;
  double bound_seconds = 0, bound_tps = 0;  // bytes over the machine's rates: no program is faster (bound_seconds())
  std::vector<Loss> losses;                 // bound_seconds + their sum = plain_seconds
  double ttft_s = 0, load_s = 0;            // load_s 0: no disk is known
  std::vector<MemoryUse> memory;
  uint64_t ram_limit_bytes = 0, vram_limit_bytes = 0;

  // A draft model takes more than it gives: slower than without it by more than 3 %.
  bool draft_costs() const { return decode_tokens_per_s < 0.97 * undrafted_tps; }
  // What so many passes with so many drafted tokens take by this plan, whatever it expected of drafts.
  double seconds_of(double n_passes, double n_drafted) const {
    return n_passes * plain_seconds + n_drafted * (row_seconds + draft.token_seconds);
  }
};

// Of a machine whose rates are not known (ram.gb_s 0) the plan says what will be where and predicts nothing.
// Errors: "plan.no_fit" (what is needed and allowed by tag; every offered step was tried), "plan.unknown_disk",
// "plan.unknown_draft", "usage.kv_type" (types of cached keys for layers that are not there).
Result<Plan> make_plan(const model::ModelOutline& outline, const Hardware& hardware, const PlanOptions& options);

// The bound of the file as a whole: V bytes in VRAM, R in RAM, D on the fastest disk, largest rate first,
//   max( V/vram + (R + 2 D)/ram , D/disk ).   Of mixtures a token's share of each.
double bound_seconds(const model::ModelOutline& outline, const Hardware& hardware, const PlanOptions& options = {});

}  // namespace watra::engine
