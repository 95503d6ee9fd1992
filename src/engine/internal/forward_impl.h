// What Forward consists of: buffers, the pass at hand, and the pieces of work its threads share. forward.cpp runs
// passes, forward_attention.cpp and forward_linears.cpp are attention's and the products' part of them.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "engine/forward.h"
#include "engine/internal/fetch_choice.h"
#include "engine/internal/key_shift.h"
#include "engine/internal/row_reader.h"
#include "engine/internal/steps.h"
#include "engine/internal/work_ranges.h"

namespace watra::engine {

struct Forward::Impl {
  explicit Impl(KvCache* shared_kv) : kv(shared_kv ? *shared_kv : own_kv) {}

  std::shared_ptr<const model::Model> model;
  std::shared_ptr<const Residency> weights;
  std::shared_ptr<ThreadTeam> team;
  const kernels::Kernels* k = nullptr;
  ForwardOptions options;
  KvCache own_kv;
  KvCache& kv;
  internal::KeyShift key_shift;
  bool has_key_shift = false;  // once the weights are there
  internal::CompiledGraph steps;
  std::unique_ptr<internal::CompiledGraph> tapped_steps;
  WeightStream* stream = nullptr;                   // null: no product reads from disk
  std::unique_ptr<internal::RowReader> row_reader;  // null: every embedding lies in RAM

  // activations
  Buffer activations;
  float* act[model::kActs] = {};
  int64_t act_stride[model::kActs] = {};
  Buffer converted[kernels::kActFormats];  // by format
  Buffer scratch;
  int64_t scratch_stride = 0;
  Buffer partial;
  Buffer attention_scratch;
  int64_t attention_scratch_stride = 0;
  std::vector<model::RopeParams::Table> rope_tables;
  Buffer rotations;  // by rope: cos [max_rows, n_rot/2], then sin
  std::vector<float*> rope_cos, rope_sin;

  // the pass
  struct SequenceRows {
    SequenceId id;
    int64_t base;  // cached before the pass
    int32_t n_rows;
    bool is_chain;
  };
  std::vector<SequenceRows> sequences;
  std::vector<kernels::AttentionRow> attention_rows;
  std::vector<kernels::AttentionBlock> attention_blocks;
  int64_t block_rows = 1;                         // rows of a block, at most
  int64_t last_position = 0;                      // the largest of all rows
  int64_t block_work = 0, total_work = 0;         // query-key pairs of the largest block and of all, for one head
  bool blocks_are_sequences = false;              // every sequence's rows lie in one block
  std::vector<int32_t> tails, tail_begin, slots;  // slots: where a row's own key and value go
  std::vector<int64_t> positions;                 // for RoPE and tables of positions
  std::vector<int32_t> out_rows;                  // rows that want logits, then those that want hidden only
  int64_t n_logits = 0;
  const Batch* batch = nullptr;
  PassOptions pass;
  std::atomic<bool> abort{false};

  struct alignas(64) Counter {
    std::atomic<int64_t> next{0};
  };
  Counter counters[4];
  internal::WorkRanges ranges[4];
  internal::FetchChoice fetch;
  std::vector<internal::RowReader::Wanted> read_rows;  // embeddings that this pass reads from disk

  ~Impl() {
    if (!stream) return;
    stream->forget(steps.stream_order);
    if (tapped_steps) stream->forget(tapped_steps->stream_order);
  }

  // Weights that a member will read, in the order in which they lie: [begin, at) are fetched.
  struct Ahead {
    const std::byte *begin = nullptr, *at = nullptr, *end = nullptr;
  };
  // One thread's way through the pass. Work is claimed by phase, which ends with a barrier; who waits there fetches
  // what its next products begin with.
  struct Member {
    int rank;
    uint32_t phase = 0;
    const internal::Step* ahead_of = nullptr;
    Ahead ahead[2];                    // of gate and up; otherwise of what comes first
    const std::byte* fetched[2] = {};  // of the products at hand: where weights begin that are fetched already
  };

  template <class Fn>  // fn(unit_begin, unit_end)
  void share(Member& me, int64_t n, int64_t chunk, Fn&& fn) {
    auto& next = begin_phase(me).next;
    for (int64_t b; (b = next.fetch_add(chunk, std::memory_order_relaxed)) < n;) fn(b, std::min(b + chunk, n));
    end_phase(me);
  }

  // For units that lie in memory one behind the other: each member has a range of its own. then(): before the barrier,
  // when nothing is left to claim.
  template <class Fn, class Then>  // fn(WorkRange)
  void share_in_order(Member& me, int64_t n, Fn&& fn, Then&& then) {
    begin_phase(me);
    internal::WorkRanges& claims = ranges[me.phase & 3];
    for (internal::WorkRange r; !(r = claims.take(n, me.rank, team->n_running())).is_empty();) fn(r);
    then();
    end_phase(me);
  }

  // Everyone has left phase-1 (barrier), so the claims of phase+1, last used in phase-3, are free to be cleared.
  Counter& begin_phase(const Member& me) {
    if (me.rank == 0) counters[(me.phase + 1) & 3].next.store(0, std::memory_order_relaxed);
    ranges[(me.phase + 1) & 3].clear(me.rank);
    return counters[me.phase & 3];
  }
  void end_phase(Member& me) {
    team->barrier([&] { return fetch_ahead(me); });
    ++me.phase;
  }
  static bool fetch_ahead(Member& me) {
    constexpr int kLines = 4;
    Ahead& from = me.ahead[me.ahead[0].at < me.ahead[0].end ? 0 : 1];
    if (from.at >= from.end) return false;
    for (int i = 0; i < kLines; ++i) __builtin_prefetch(from.at + i * 64, 0, 2);
    from.at += int64_t{kLines} * 64;
    return true;
  }
  // From now on this member fetches for these products (null: for none).
  void look_ahead(const internal::Step* products, Member& me, int64_t n_rows) const;

  float* row(model::Act a, int64_t i) const { return act[static_cast<int>(a)] + i * act_stride[static_cast<int>(a)]; }

  Status allocate();
  void clear_claims();
  Status prepare(const Batch& b);
  Status read_embeddings();
  void embed_token(const std::byte* packed, float* x) const;
  void embed_row(int64_t i, std::byte* my_scratch);
  void run_row_op(const internal::RowOp& op, int64_t i, int64_t n_rows, int64_t in_first);
  void run_head(const std::vector<internal::RowOp>& ops, int64_t i, int head, float* x);
  void run_step(const internal::Step& s, Member& me, int64_t n_rows, int64_t in_first);
  void run_linears(const internal::Step& s, Member& me, int64_t n_rows, int64_t in_first);
  struct RowRange {
    int64_t begin, end;
    int64_t next_end;  // of the rows behind it that the same member computes next
    bool is_fetched = false;
  };
  void run_product(const internal::Step& s, const internal::Linear& l, const tensor::TensorView& rows,
                   int64_t first_row, RowRange range, int64_t n_rows, int64_t in_first, std::byte* my_scratch);
  void finish_glu(const internal::Step& s, int64_t begin, int64_t end, int64_t n_rows);
  bool run_streamed(const internal::Step& s, bool wait, int64_t n_rows, int64_t in_first, std::byte* my_scratch);
  void attend(const internal::Step& s, Member& me, int64_t n_rows);
  void cut_blocks(int64_t n_rows);
  void store_rows(const internal::Step& s, int64_t i, int first_head, int n_heads, int first_kv_head, int n_kv_heads);
  kernels::AttentionArgs attention_args(const internal::Step& s) const;
  void call_tap(const internal::Step& s, int64_t n_rows);
  int64_t width(model::Act a, int layer) const;
  void run_logits(const std::vector<internal::Step>& logit_steps, Member& me, int64_t first, int64_t n);
};

}  // namespace watra::engine
