// DraftPolicy: how much of a draft is worth verifying: one sequence's decision at each step, possibly nothing.
//
// A node on a path of probability q adds q tokens to what the pass is expected to give, and a row to its time
// (pass_times.h). The nodes of the likeliest paths are taken as long as that makes more tokens a second than a pass
// without the draft. Proposers' beliefs are not trusted as they come: what nodes of that belief were worth so far takes
// their place, and when guesses fail that seemed sure, the text is taken to have changed its character at once. Losses
// are kept in a ledger (in tokens); a proposer that has lost more than a little rests, longer each time, so that
// decoding with drafts that fail stays within 3 % of plain decoding. A proposer that has to read first (a draft model,
// the prompt) reads as much of the newest text as the rest of the answer can pay for; as long as little is known of it,
// no more than 3 % of the answer. Cheap proposers go on being compared with what
// comes while they rest; dear ones are tried again once in a while.
//
// Pure arithmetic. One thread. Nothing is allocated for drafts of up to max_nodes.
#pragma once

#include <array>
#include <limits>
#include <vector>

#include "engine/pass_times.h"
#include "engine/proposer.h"

namespace watra::engine {

class DraftPolicy {
 public:
  // `times` is borrowed; sequences of one model share it.
  DraftPolicy(const PassTimes* times, size_t n_proposers, int32_t max_nodes = 16);

  struct Pass {           // as it is without this sequence's draft
    int64_t n_rows = 1;   // this sequence's own row among them
    double n_tokens = 1;  // expected of it
  };

  struct Reading {         // what stands between a proposer and its first proposal
    int64_t n_unread = 0;  // tokens, token_s seconds each
    double token_s = 0;
    int64_t n_written = 0;                                 // of the answer
    int64_t n_left = std::numeric_limits<int64_t>::max();  // that it may still have
  };
  struct Ask {
    int32_t n_nodes = 0;  // 0 = do not ask now
    int64_t max_read = std::numeric_limits<int64_t>::max();
  };
  // What a proposer should be asked for. Whoever costs nothing is always asked.
  Ask nodes_to_ask(size_t proposer, const Pass& pass, const Proposer& who, int32_t most, const Reading& reading);
  // The next nodes are of another answer: how long the last one was is learned.
  void begin_answer();
  // Whether a pass is so cheap for its rows that branches are welcome.
  bool wants_tree(const Pass& pass, int32_t most) const;
  // A node below this is not worth its row, whatever comes of the rest.
  float min_path_probability(const Pass& pass, int32_t most) const;
  // Seconds that one more token is worth; 0 = not known yet.
  double token_seconds(const Pass& pass) const;

  // `kept` := the nodes of `proposed` that pay, at most `most`, in their order. spent_s: what the proposal took.
  // Returns how many times faster than without a draft tokens are expected (1 = nothing is kept).
  double choose(size_t proposer, const Pass& pass, const Draft& proposed, double spent_s, int32_t most, Draft& kept);

  // After the pass. `emitted`: the tokens that came, at most one more than the draft is deep; also for a proposal that
  // was not verified.
  void observe(size_t proposer, const Draft& proposed, std::span<const TokenId> emitted);
  // What the verified draft cost and brought.
  void settle(size_t proposer, const Pass& pass, int32_t n_nodes, int32_t n_accepted, double spent_s);

  // What nodes that a proposer gave this probability were worth.
  double calibrated(size_t proposer, float probability) const;
  bool rests(size_t proposer) const { return sources_[proposer].rest > 0; }

 private:
  static constexpr size_t kBeliefs = 10;
  static constexpr size_t kDepths = 32;
  struct Rate {
    float tried = 0, right = 0;
    void add(bool was_right);
  };
  struct Source {
    std::array<Rate, kBeliefs> by_belief{};
    std::array<Rate, kDepths> by_depth{};  // given that the depths above agreed
    double debt = 0;                       // tokens lost of late
    int64_t rest = 0, next_rest;           // passes
    int64_t unasked = 0, patience;         // passes until a dear proposer is tried although it seems not to pay
    double invested = 0;                   // tokens' worth of reading in this answer
    int32_t streak = 0;                    // tokens in a row that its first guess had right
    double trust = 1;                      // that its guesses are now as good as they were
  };
  int64_t tokens_to_read(const Source& s, double lost_per_token, double share_saved, const Reading& reading) const;
  double expected_left(const Reading& reading) const;
  double first_chance(const Source& s, double probability) const;
  double ratio(const Pass& pass, int32_t n_nodes) const { return times_->ratio(pass.n_rows + n_nodes); }

  const PassTimes* times_;
  std::vector<Source> sources_;
  double usual_answer_;    // tokens
  int64_t n_written_ = 0;  // of the answer at hand
  struct Weighed {
    double path;
    int32_t node;
  };
  std::vector<Weighed> order_;
  std::vector<double> paths_;
  std::vector<int32_t> place_;  // of a node in `kept`; -1 = dropped
};

}  // namespace watra::engine
