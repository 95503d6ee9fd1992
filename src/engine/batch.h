// Batch: the rows of one pass.
//
// A row is one new token (or one embedding row) of one sequence. Rows of a sequence follow each other as a chain unless
// `parent` says otherwise: a draft tree's row names the row it continues. Several sequences may share a pass.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "text/vocab_spec.h"

namespace watra::engine {

using text::TokenId;
using SequenceId = int32_t;

inline constexpr int32_t kChain =
    -1;  // continues the sequence's previous row in this batch, or its last cached position
inline constexpr int32_t kFromCache = -2;  // continues the last cached position (a further root of a draft tree)

struct Row {
  TokenId token = text::kNoToken;
  const float* embedding = nullptr;  // [d_model], used instead of the token when set; not scaled
  std::array<int32_t, 3> position{-1, -1,
                                  -1};  // for RoPE; -1 = the index in the sequence. Components 1, 2: image positions
  SequenceId sequence = 0;
  int32_t parent = kChain;
  // Of a tree that grows over several passes: where the row's ancestors of earlier passes lie, as offsets from the
  // cached length, in path order. Only with parent = kFromCache; must live as long as the batch.
  std::span<const int32_t> above = {};
  bool wants_logits = false;
  bool wants_hidden = false;  // the final hidden state, as the output matrix takes it; of an encoder the last layer's
};

struct Batch {
  std::vector<Row> rows;
  // Slots behind the cached positions that rows of earlier passes of a growing tree hold: this pass writes behind them,
  // and none of its rows is cached. The tree ends with keep_path() or truncate().
  int32_t first_slot = 0;

  void clear() {
    rows.clear();
    first_slot = 0;
  }
  // Appends tokens as a chain; only the last one wants logits if `last_logits`.
  void add_chain(SequenceId sequence, const TokenId* tokens, int64_t n, bool last_logits) {
    for (int64_t i = 0; i < n; ++i)
      rows.push_back({.token = tokens[i], .sequence = sequence, .wants_logits = last_logits && i + 1 == n});
  }
};

}  // namespace watra::engine
