// KvShift: takes a run of positions out of a sequence's cache and gives those behind it the positions in front, so that
// a chat may be longer than the context (attention sinks and a window: Xiao et al., Efficient Streaming Language Models
// with Attention Sinks, 2024, section 3.2: positions are those inside the cache, not those of the text).
//
// A cached key was turned by its position; one that moves by n is turned back by n, once, in place. Values know no
// position. Turning costs what the type costs: f32 keeps its last bits, f16 rounds once more, q8_0 and q4_0 are
// quantized anew. A key moves once for each time room is made while it is in the window: with quarters of the window,
// three or four times in its life.
//
// What is cached afterwards depends on text that is no longer there: it has no key (page_key.h) and is never shared or
// stored. Not thread-safe; between passes.
#pragma once

#include <vector>

#include "base/thread_team.h"
#include "engine/kv_cache.h"

namespace watra::engine {

class KvShift {
 public:
  // n_ctx: as the Forward has it (rope tables depend on it). All are borrowed.
  KvShift(const model::HParams& hp, int64_t n_ctx, const kernels::Kernels& kernels, ThreadTeam& team);

  // Forgets positions [first, first + n), whole pages of them. Errors: "kv.full" when pages that somebody shares cannot
  // be copied.
  Status drop(KvCache& kv, SequenceId id, int64_t first, int64_t n) const;

 private:
  struct Turn {  // by rope: of n positions back
    std::vector<float> cos, sin;
  };
  void turn_rows(KvCache& kv, SequenceId id, int layer, int64_t first, const Turn& turn) const;

  const model::HParams& hp_;
  std::vector<model::RopeParams::Table> tables_;
  const kernels::Kernels& kernels_;
  ThreadTeam& team_;
};

}  // namespace watra::engine
