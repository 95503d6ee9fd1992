// Forward: one pass of a loaded model over a Batch. Walks the model's Graph; kernels compute, the thread team shares
// the work.
//
// The op lists are compiled once into *steps*, each a piece of work the team shares out and ends with a barrier: row
// programs (norms, residual adds, conversions: everything that looks at one row at a time), groups of products that
// read the same input, and the phases of attention. After create() a pass allocates nothing.
//
// Not thread-safe: one pass at a time. The weights and the team may be shared with other Forwards; their passes must
// not overlap on one team.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "base/thread_team.h"
#include "engine/batch.h"
#include "engine/kv_cache.h"
#include "engine/residency.h"
#include "kernels/ops.h"
#include "model/model.h"

namespace watra::engine {

// What a tap sees: an op's input and output, whole matrices of this pass (rows `stride` floats apart).
struct Tap {
  int layer;  // -1 before the layers, n_layers after
  const model::Op* op;
  int64_t n_rows;
  const float* input;
  int64_t input_width, input_stride;
  const float* output;
  int64_t output_width, output_stride;
};

struct ForwardOptions {
  int64_t n_ctx = 4096;         // what one sequence may grow to
  int64_t kv_positions = 0;     // of the KV cache, all sequences together; n_ctx at least
  int64_t max_rows = 512;       // rows of a pass (a micro-batch)
  int64_t max_logit_rows = 16;  // rows of a pass that may want logits
  int64_t n_sequences = 0;      // at a time, where keys or values are stored quantized; 0 = max_logit_rows
  KvTypes kv_types;
  MemoryBudget* budget = nullptr;
  // Another Forward's cache to read and write instead of one of its own: a draft that is a copy of the target goes on
  // from what the target has read. Same shape and types (checked); outlives this Forward; kv_positions does not count.
  KvCache* shared_kv = nullptr;
};

struct PassOptions {
  // Layers [first_layer, last_layer) are run; -1 = n_layers. A pass that begins later takes its residual stream from
  // hidden_in
  // ([rows, d_model]); one that ends earlier leaves it in residual() and gives no logits.
  int first_layer = 0, last_layer = -1;
  const float* hidden_in = nullptr;
  const std::atomic<bool>* cancel = nullptr;             // looked at between layers
  const std::function<void(const Tap&)>* tap = nullptr;  // called by one thread; slows the pass down
};

class Forward {
 public:
  static Result<std::unique_ptr<Forward>> create(std::shared_ptr<const model::Model> model,
                                                 std::shared_ptr<const Residency> weights,
                                                 std::shared_ptr<ThreadTeam> team, const kernels::Kernels& kernels,
                                                 const ForwardOptions& options);
  ~Forward();

  // Touches the memory that passes of up to max_logit_rows rows use: a system hands out new pages slowly, and the first
  // pass of each width would take two to four times as long as the next. Before the first pass, after loading (what is
  // not touched yet is free for reading weights).
  void warm();

  // Runs the batch and stores its keys and values. An encoder's rows see all rows of their sequence, which is one chain
  // in this pass; they may want hidden states only, and nothing is cached afterwards. Otherwise rows of a chain are
  // cached afterwards; for a sequence with tree rows the caller follows with kv().keep_path() (slot offset of row r of
  // that sequence = its rank among the sequence's rows). Errors: "forward.bad_batch" (also for a tree over more than
  // two pages of a quantized cache), "kv.full", "forward.cancelled" (then nothing was cached). A tree may grow over
  // several passes before keep_path(): Row::above, Batch::first_slot.
  Status run(const Batch& batch, const PassOptions& options = {});

  // After run(): of the i-th row of the batch that wanted logits. Valid until the next run().
  std::span<float> logits(int64_t i) const;
  int64_t n_logit_rows() const;
  // Normed hidden state of the i-th row that wanted logits or hidden: those wanting logits first.
  std::span<const float> hidden(int64_t i) const;
  // Logits of hidden rows [first, first + n), n <= max_logit_rows, into logits(0..n-1).
  Status project(int64_t first, int64_t n);
  // Residual stream after the last layer that ran: [rows, d_model].
  const float* residual() const;

  // What was added to a layer's keys, [n_kv_heads * d_head], before they were stored (internal/key_shift.h); null =
  // nothing. After the first run().
  const float* key_shift(int layer) const;
  KvCache& kv();
  const model::Model& model() const;
  const ForwardOptions& options() const;
  const kernels::Kernels& kernels() const;
  int n_threads() const;

 private:
  struct Impl;
  explicit Forward(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace watra::engine
