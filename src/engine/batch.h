// Batch: the rows of one pass.
//
// A row is one new token (or one embedding row) of one sequence. Rows of a sequence follow each other as a chain unless
// `parent` says otherwise: a draft tree's row names the row it continues. Several sequences may share a pass.
#pragma once

#include <array>
#include <cstdint>
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
  bool wants_logits = false;
  bool wants_hidden = false;  // the final normed hidden state
};

struct Batch {
  std::vector<Row> rows;

  void clear() { rows.clear(); }
  // Appends tokens as a chain; only the last one wants logits if `last_logits`.
  void add_chain(SequenceId sequence, const TokenId* tokens, int64_t n, bool last_logits) {
    for (int64_t i = 0; i < n; ++i)
      rows.push_back({.token = tokens[i], .sequence = sequence, .wants_logits = last_logits && i + 1 == n});
  }
};

}  // namespace watra::engine
