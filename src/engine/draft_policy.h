// DraftPolicy: how much of a draft is worth verifying: one sequence's decision at each step, possibly nothing.
//
// A node on a path of probability q adds q tokens to what the pass is expected to give, and a row to its time
// (pass_times.h). The nodes of the likeliest paths are taken as long as that makes more tokens a second than a pass
// without the draft. Proposers' beliefs are not trusted as they come: what nodes of that belief were worth so far takes
// their place, in this answer and in earlier ones (draft_experience.h), and when guesses fail that seemed sure, the
// text is taken to have changed its character at once.
//
// An answer has two budgets, each a hundredth of the tokens that it will likely have, so that decoding with drafts that
// fail stays within 3 % of plain decoding, also where an answer is short: one for what drafts cost beyond what they
// bring (what a draft loses if its first guess fails must be left in it), one for reading before the first proposal (a
// draft model, the prompt), which is larger where the promise is well known. Beside them a ledger: a proposer that has
// lost two tokens rests, longer each time. Cheap proposers go on being compared with what comes while they rest; dear
// ones that seem not to pay are tried again once in a while, seldom and within the budget.
//
// Pure arithmetic. One thread; the experience may be shared. Nothing is allocated for drafts of up to max_nodes but at
// the beginning and the end of an answer.
#pragma once

#include <array>
#include <limits>
#include <memory>
#include <vector>

#include "engine/draft_experience.h"
#include "engine/pass_times.h"
#include "engine/proposer.h"

namespace watra::engine {

class DraftPolicy {
 public:
  // `times` is borrowed; sequences of one model share it. `proposers`: their names, the dearest last. No experience =
  // one of its own.
  DraftPolicy(const PassTimes* times, std::vector<std::string> proposers, int32_t max_nodes = 16,
              std::shared_ptr<DraftExperience> experience = nullptr);

  // The next passes are of another answer, to a prompt that begins so (DraftExperience::beginning_of). What the last
  // one showed is handed in, if end_answer() was not called.
  void begin_answer(uint64_t beginning = 0);
  void end_answer();

  // Before each pass: tokens of the answer so far, and that it may still have.
  void begin_pass(int64_t n_written, int64_t n_left = std::numeric_limits<int64_t>::max());

  struct Pass {           // as it is without this sequence's draft
    int64_t n_rows = 1;   // this sequence's own row among them
    double n_tokens = 1;  // expected of it
  };

  struct Reading {         // what stands between a proposer and its first proposal
    int64_t n_unread = 0;  // tokens, token_s seconds each
    double token_s = 0;
  };
  struct Ask {
    int32_t n_nodes = 0;  // 0 = do not ask now
    int64_t max_read = std::numeric_limits<int64_t>::max();
  };
  // What a proposer should be asked for. Whoever costs nothing is always asked.
  Ask nodes_to_ask(size_t proposer, const Pass& pass, const Proposer& who, int32_t most, const Reading& reading);
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
  // Once for each pass of the answer: its draft, of whoever made it, and all that was spent on proposals.
  void count(const Pass& pass, int32_t n_nodes, int32_t n_accepted, double spent_s);

  // What nodes that a proposer gave this probability were worth.
  double calibrated(size_t proposer, float probability) const;
  bool rests(size_t proposer) const { return sources_[proposer].rest > 0; }
  // It would pay, or nobody knows yet, if there were nothing to read.
  bool promises(size_t proposer) const { return sources_[proposer].known.promises; }
  // Of the answer at hand, or the last one; its reading counts once it has ended.
  const DraftTotals& totals() const { return totals_; }

 private:
  // Of an answer's tokens, by drafts and by reading each.
  static constexpr double kMayLose = 0.009;

  struct Source {
    std::string name;
    ProposerRecord known;  // of earlier answers and this one
    ProposerRecord seen;   // of this one alone
    bool was_asked = false;
    double debt = 0;                  // tokens lost of late
    int64_t rest = 0, next_rest = 0;  // passes; the one that comes after
    int32_t streak = 0;               // tokens in a row that its first guess had right
    double trust = 1;                 // that its guesses are now as good as they were
  };
  double budget() const { return kMayLose * likely_tokens() - lost_; }
  double reading_budget(const Source& s) const;
  int64_t tokens_to_read(const Source& s, double lost_per_token, double share_saved, const Reading& reading) const;
  double expected_left() const;
  // Of the answer at hand that may be reckoned with: it may end earlier than usual.
  double likely_tokens() const { return static_cast<double>(n_written_) + expected_left() / 2; }
  double first_chance(const Source& s, double probability) const;
  double ratio(const Pass& pass, int32_t n_nodes) const { return times_->ratio(pass.n_rows + n_nodes); }
  // Tokens that so many nodes and what was spent on them cost.
  double cost(const Pass& pass, int32_t n_nodes, double spent_s) const;

  const PassTimes* times_;
  std::vector<Source> sources_;
  std::shared_ptr<DraftExperience> experience_;
  bool answers_ = false;
  uint64_t beginning_ = 0;
  double usual_answer_;                 // tokens
  int64_t n_written_ = 0, n_left_ = 0;  // of the answer at hand
  double lost_ = 0, invested_ = 0;      // of it: by drafts, by reading
  DraftTotals totals_;                  // of it
  std::vector<DraftExperience::Seen> seen_;
  struct Weighed {
    double path;
    int32_t node;
  };
  std::vector<Weighed> order_;
  std::vector<double> paths_;
  std::vector<int32_t> place_;  // of a node in `kept`; -1 = dropped
};

}  // namespace watra::engine
