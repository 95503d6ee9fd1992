// Speculation: one sequence's drafts, from the question whether to draft to what the pass made of them. For Session and
// Scheduler, around each pass:
//
//   choose()     asks the proposers, keeps the nodes that pay (draft_policy.h): often none
//   add_rows()   the sequence's last token and the draft
//   the pass
//   follow()     samples in order along the draft, keeps the rows that agreed in the cache, learns
//
// Without proposers it is plain decoding, by the same steps. Output never depends on what is drafted: the target
// samples from its own logits, in order, with the numbers of each position (DESIGN, Exactness).
//
// One thread, the one that decodes. Nothing is allocated per step after the first drafts.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/draft_policy.h"
#include "engine/generation.h"
#include "engine/kv_cache.h"

namespace watra::engine {

enum class DraftShape : uint8_t { automatic, chain, tree };

struct SpeculationOptions {
  int32_t max_nodes = 16;  // of a draft
  DraftShape shape = DraftShape::automatic;
  // Whatever is proposed is verified, whether it pays or not: to measure accept rates, and to test.
  bool always = false;
  // Of all answers of one model, whoever writes them; null = what one Speculation sees stays with it.
  std::shared_ptr<DraftExperience> experience;
};

// What came of it. Passes are those that decode: a prompt's are not counted.
struct SpeculationCounts {
  int64_t n_passes = 0;
  int64_t n_drafted = 0;   // nodes that were verified
  int64_t n_accepted = 0;  // of them agreed with
  double accept_rate() const {
    return n_drafted > 0 ? static_cast<double>(n_accepted) / static_cast<double>(n_drafted) : 0;
  }
  // Mean number of tokens emitted per pass, the one that every pass gives included.
  double tau() const { return n_passes > 0 ? 1 + static_cast<double>(n_accepted) / static_cast<double>(n_passes) : 1; }
  SpeculationCounts& operator+=(const SpeculationCounts& other);
};

class Speculation {
 public:
  // `times`: shared by all that run passes of one model; null = its own; where none was measured yet the experience's
  // take their place. The proposers' order is that of preference among equals, the dearest last.
  Speculation(std::vector<std::unique_ptr<Proposer>> proposers, std::shared_ptr<PassTimes> times, int64_t n_vocab,
              const SpeculationOptions& options = {});

  // The draft for the next pass, and how many nodes it has. `tokens`: the sequence, its last one not run yet. n_free:
  // rows, logits and cache positions that a draft may take.
  int32_t choose(const Generation& generation, SequenceId sequence, std::span<const TokenId> tokens, int64_t n_free,
                 const DraftPolicy::Pass& pass = {});
  // No draft for the next pass, nobody is asked.
  void choose_none();
  bool has_proposers() const { return !sources_.empty(); }
  int32_t n_nodes() const { return static_cast<int32_t>(draft_.nodes.size()); }
  double expected_tokens() const { return expected_tokens_; }  // of this sequence from the next pass

  // Rows that want logits: 1 + n_nodes().
  void add_rows(Batch& batch, SequenceId sequence, TokenId last);

  // After the pass: steps in order (generation.h), then the cache holds what agreed and no more. logits(row): of the
  // rows that add_rows() added.
  template <class Logits, class OnStep>
  Status follow(Generation& generation, KvCache& kv, SequenceId sequence, Logits&& logits, OnStep&& on_step) {
    emitted_.clear();
    Status status = generation.follow(draft_, logits, path_, [&](const Generation::Step& step) {
      emitted_.push_back(step.token);
      return on_step(step);
    });
    settle(kv, sequence);
    return status;
  }
  // After a pass of which nothing is wanted any more: the cache holds the last token alone.
  void drop(KvCache& kv, SequenceId sequence);

  // For whoever has time between answers: proposers that promise something read up to n_most tokens of this text, with
  // which the next prompt may begin. False: there is nothing to read.
  bool read_ahead(std::span<const TokenId> tokens, int64_t n_most);

  void measured(int64_t n_rows, double seconds) { times_->measured(n_rows, seconds); }
  const PassTimes& times() const { return *times_; }

  // Around an answer to this prompt: what earlier ones taught is taken up, what this one shows is handed in.
  void begin_answer(std::span<const TokenId> prompt);
  void end_answer() { policy_.end_answer(); }
  // Since the start, or since the last call of begin_answer().
  const SpeculationCounts& counts() const { return counts_; }
  // Of the answer that ended last: times as fast as without drafts, by the measured times of passes. Free of the noise
  // of a single answer's seconds, and blind to what is not counted.
  double counted_speed_up() const { return policy_.totals().speed_up(); }
  // "none", or the methods whose drafts were verified: "ngram", "ngram+model".
  std::string method() const;
  // Of a proposer that failed and is not asked any more.
  const std::optional<Error>& trouble() const { return trouble_; }

 private:
  struct Source {
    std::unique_ptr<Proposer> proposer;  // null after it failed
    std::string method;
    Draft proposed, kept;
    double spent_s = 0;
    bool was_used = false;
  };
  void ask(size_t i, std::span<const TokenId> tokens, DraftLimits limits);
  void give_up(Source& s, Error error);
  static double take_all(Source& s);
  void repair(Draft& draft, int32_t most, int32_t max_depth);
  void keep_rows(KvCache& kv, SequenceId sequence);
  void settle(KvCache& kv, SequenceId sequence);

  std::shared_ptr<PassTimes> times_;
  DraftPolicy policy_;
  std::vector<Source> sources_;
  int64_t n_vocab_;
  SpeculationOptions options_;
  SpeculationCounts counts_;
  std::optional<Error> trouble_;

  // Of the pass at hand.
  Draft draft_;
  std::optional<size_t> chosen_;
  DraftPolicy::Pass pass_;
  double expected_tokens_ = 1;
  bool decodes_ = false;  // the pass is add_rows()'s, not a prompt's
  std::vector<int32_t> path_, slots_, depths_, place_;
  std::vector<TokenId> emitted_;
};

}  // namespace watra::engine
