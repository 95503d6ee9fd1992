// LoadedModel: everything needed to run one model file: the network understood, weights in memory or streamed, a team
// of threads, a Forward with its cache, the tokenizer. What each part is: model/model.h, residency.h, forward.h,
// text/tokenizer.h.
//
// Where weights lie is the planner's decision (plan.h): load_model() counts what everything else takes, asks for the
// plan, and carries it out. A model that does not fit the limit keeps as much of itself in RAM as the limit leaves room
// for; the rest stays in its files and is streamed in every pass (weight_stream.h, docs/decisions/0009, 0021).
//
// An encoder (docs/decisions/0022) is loaded for passes that hold a whole text, with no more cache than one pass needs:
// options about contexts beyond its own, caches and their types do not count.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/forward.h"
#include "engine/kv_store.h"
#include "engine/plan.h"
#include "text/tokenizer.h"

namespace watra::engine {

struct LoadOptions {
  int threads = 0;           // 0 = as many as cpus, or default_thread_count()
  std::vector<int> cpus;     // each thread bound to one of these logical processors; empty = the system decides
  int64_t n_ctx = 0;         // 0 = min(model's, 4096)
  int64_t kv_positions = 0;  // cached by all sequences together; n_ctx at least
  // A larger cache where so many bytes hold more positions than that, up to so many.
  uint64_t kv_bytes = 0;
  int64_t kv_most_positions = 0;
  bool touch_cache = false;  // its memory is taken while loading, not page by page while answers are made
  int64_t max_rows = 0;      // of a pass; 0 = 512, or what suits the limit where weights are streamed
  int64_t max_logit_rows = 16;
  int64_t n_sequences = 0;             // at a time, where keys or values are stored quantized; 0 = max_logit_rows
  uint64_t ram_bytes = 0;              // hard limit for the whole process; 0 = what the machine has
  std::optional<Placement> placement;  // of the weights, instead of the planner's
  // Where parts of a split model, or copies of the model's files, may lie on other disks (weight_files.h), and what the
  // disks give in proportion, the model's own first; none = measured where it matters.
  std::vector<fs::path> disks;
  std::vector<double> disk_rates;
  uint64_t ring_bytes = 0;  // for streamed weights; 0 = what suits the limit
  bool interleave = true;   // matrices in groups of 16 rows where the kernels read them so (residency.h)
  std::string isa;          // empty = the best here
  KvTypes kv_types;
  Residency::Progress progress;            // while weights are read
  std::function<bool()> cancelled;         // asked all the while, also by several threads at once; "load.cancelled"
  std::optional<KvStoreOptions> kv_store;  // conversations are kept on disk
};

struct LoadedModel {
  std::shared_ptr<MemoryBudget> budget;  // outlives what it counts
  std::shared_ptr<const model::Model> model;
  std::shared_ptr<ThreadTeam> team;
  std::shared_ptr<const Residency> weights;
  std::shared_ptr<Forward> forward;
  std::shared_ptr<KvStore> kv_store;                 // null = conversations end with the process
  std::shared_ptr<const text::Tokenizer> tokenizer;  // null when the file has no vocabulary
  uint64_t streamed_bytes = 0;                       // of weights, from disk in every pass that gives logits
  std::vector<Error> unused_disks;                   // what nothing is read from of LoadOptions::disks, and why
  // What was asked of the planner, and what it decided: this is how the weights lie (nothing of a placement that the
  // caller gave). Without rates, so without predictions: with those of a machine make_plan() gives the same places and
  // says how long a pass takes.
  PlanOptions plan_options;
  std::optional<Plan> plan;
  std::vector<double> disk_rates;  // of plan_options.disks, as they were measured for this placement; empty = were not
};

// What the names of this model's pages begin with. Errors: those of reading the file.
Result<PageKey> root_key(const LoadedModel& model);

// PATH: a GGUF file, or "synthetic:SHAPE:QUANT" (model/synthetic.h).
// Errors: those of Model::open, find_copies() and Residency::read; "memory.over_budget" or "memory.too_small" with the
// sum by tag, before any weight is read, when not even a model that is wholly streamed fits (or this one cannot be);
// "load.cancelled", within the time of a few reads.
Result<LoadedModel> load_model(const fs::path& path, const LoadOptions& options);

}  // namespace watra::engine
