// LoadedModel: everything needed to run one model file: the network understood, weights in memory, a team of threads, a
// Forward with its cache, the tokenizer. What each part is: model/model.h, residency.h, forward.h, text/tokenizer.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/forward.h"
#include "engine/kv_store.h"
#include "text/tokenizer.h"

namespace watra::engine {

struct LoadOptions {
  int threads = 0;           // 0 = as many as cpus, or default_thread_count()
  std::vector<int> cpus;     // each thread bound to one of these logical processors; empty = the system decides
  int64_t n_ctx = 0;         // 0 = min(model's, 4096)
  int64_t kv_positions = 0;  // cached by all sequences together; n_ctx at least
  int64_t max_rows = 512;
  int64_t max_logit_rows = 16;
  uint64_t ram_bytes = 0;  // hard limit for the whole process; 0 = what the machine has
  bool interleave = true;  // matrices in groups of 16 rows where the kernels read them so (residency.h)
  std::string isa;         // empty = the best here
  KvType k_type = KvType::f16, v_type = KvType::f16;
  Residency::Progress progress;            // while weights are read
  std::optional<KvStoreOptions> kv_store;  // conversations are kept on disk
};

// "f16", "f32", "q8_0", "q4_0" or two of them "K,V". Error "usage.kv_type".
Result<std::pair<KvType, KvType>> parse_kv_types(std::string_view text);

struct LoadedModel {
  std::shared_ptr<MemoryBudget> budget;  // outlives what it counts
  std::shared_ptr<const model::Model> model;
  std::shared_ptr<ThreadTeam> team;
  std::shared_ptr<const Residency> weights;
  std::shared_ptr<Forward> forward;
  std::shared_ptr<KvStore> kv_store;                 // null = conversations end with the process
  std::shared_ptr<const text::Tokenizer> tokenizer;  // null when the file has no vocabulary
};

// What the names of this model's pages begin with. Errors: those of reading the file.
Result<PageKey> root_key(const LoadedModel& model);

// PATH: a GGUF file, or "synthetic:SHAPE:QUANT" (model/synthetic.h).
// Errors: those of Model::open and Residency::read; "memory.over_budget" or "memory.too_small" with the sum by tag,
// before any weight is read.
Result<LoadedModel> load_model(const fs::path& path, const LoadOptions& options);

}  // namespace watra::engine
