// Proposer: guesses how a sequence goes on, so that one pass of the target can check several tokens.
//
// Whatever it proposes, the output is that of plain decoding: the target samples in order and follows the draft while
// it agrees (DESIGN, Exactness). A proposer is therefore free to be wrong; it must only be cheap. It never sees the
// target's sampler state and never changes it.
//
// One proposer serves one sequence; its calls come from the thread that decodes. propose() gets the whole sequence each
// time, so a proposer that keeps a state of its own (a draft model's cache, an index) compares and catches up: that is
// how rollbacks, new turns and rejected drafts reach it.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/batch.h"
#include "engine/sampling_params.h"

namespace watra::engine {

using text::TokenId;

// Guesses as a tree over the end of the sequence. Parents come before their children; a chain is the tree in which
// every node continues the one before it. Children of one node have different tokens, the likeliest first.
struct Draft {
  struct Node {
    TokenId token = text::kNoToken;
    int32_t parent = -1;    // -1 = follows the sequence's last token
    float probability = 0;  // that the target emits this token, given its parent; the proposer's own belief
  };
  std::vector<Node> nodes;
  void clear() { nodes.clear(); }
  bool is_chain() const {
    for (size_t i = 0; i < nodes.size(); ++i)
      if (nodes[i].parent != static_cast<int32_t>(i) - 1) return false;
    return true;
  }
};

struct DraftLimits {
  int32_t max_nodes = 16;  // no more are verified
  int32_t max_depth = 16;  // the answer's end or the context's may be near
  bool tree = false;       // branches are welcome
  // Nodes whose path is less likely than this are not worth their place in the pass (from the measured cost of a row).
  float min_path_probability = 0;
  // Seconds that one accepted token saves: a draft model does not run a pass that promises less. 0 = not known.
  double token_seconds = 0;

  // Tokens to catch up with before it proposes. When more are missing, the newest so many are read and what stands
  // before them is left out.
  int64_t max_read = std::numeric_limits<int64_t>::max();

  // How the target draws: with these settings and this seed, the first drafted token at output position `position`.
  // Randomness is a function of (seed, position), so a draft that draws with the same numbers agrees more often than
  // one that takes the likeliest token. null = greedy, or not known.
  const SamplingParams* sampling = nullptr;
  uint64_t seed = 0, position = 0;

  // The target's sequence, for a draft that reads the target's cache.
  SequenceId sequence = -1;
};

class Proposer {
 public:
  virtual ~Proposer() = default;

  virtual std::string_view method() const = 0;  // "ngram", "suffix", "model", "self": as `watra run --json` reports it
  // Under which what it is worth is remembered (draft_experience.h): the method, and which draft.
  virtual std::string name() const { return std::string(method()); }

  // `tokens`: the sequence so far, prompt and answer, the newest last. Fills `draft` (empty = no idea). Errors are
  // those of a draft model's passes; the caller then decodes without drafts.
  virtual Status propose(std::span<const TokenId> tokens, const DraftLimits& limits, Draft& draft) = 0;

  // Seconds that a proposal of n nodes takes now, for the decision whether it pays; 0 = nothing worth counting.
  virtual double expected_seconds(int32_t n_nodes) const {
    (void)n_nodes;
    return 0;
  }

  // Tokens of this sequence that it would first have to read, beyond the few of every proposal, and seconds for each.
  virtual int64_t n_unread(std::span<const TokenId> tokens) const {
    (void)tokens;
    return 0;
  }
  virtual double read_token_seconds() const { return 0; }
  // Reads up to n_most tokens of that now, from the beginning on, for whoever has time: proposals to texts that begin
  // so need not. False: there is nothing more to read. Errors as propose().
  virtual Result<bool> read_ahead(std::span<const TokenId> tokens, int64_t n_most) {
    (void)tokens, (void)n_most;
    return false;
  }
};

}  // namespace watra::engine
