// DraftExperience: what drafts for one model were worth in earlier answers, so that the next one does not begin from
// nothing: one request after another, one session after another, one start of the program after another.
//
// Of each proposer (its name: "ngram", "model:NAME", "self:TYPE"): how often its guesses came true, by the probability
// it stated and by position, and how long it has not been asked because it seemed not to pay. Of answers: how long they
// usually are. Of passes: their time by number of rows. What guesses were worth is counted for the model, and beside it
// for the beginning of the prompt (a persona, a program's instructions, a conversation: beginning_of()), which counts
// more where it is known.
//
// An answer begins with what recall() gives, worth a few guesses of its own, and at its end hands in what it saw, which
// counts no more than some dozens of guesses: one long answer does not outweigh many. Older answers fade by halves.
// What was learned decides how much is drafted, never what is written.
//
// Any thread: a lock for a moment, at the beginning and the end of an answer.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/batch.h"
#include "engine/pass_times.h"

namespace watra::engine {

// Guesses and those that came true; fractions after fading.
struct GuessRate {
  float tried = 0, right = 0;
  void add(bool was_right, float memory);
  // As many guesses at most, in the same proportion.
  GuessRate at_most(float n_tried) const;
  GuessRate& operator+=(const GuessRate& other);
};

inline constexpr size_t kBeliefs = 10;  // tenths of stated probability
inline constexpr size_t kDraftDepths = 32;
// Passes until a dear proposer that seems not to pay is tried again: at first; doubled by each failure.
inline constexpr int64_t kFirstPatience = 64, kMostPatience = 1024;

// Of one proposer.
struct ProposerRecord {
  std::array<GuessRate, kBeliefs> by_belief{};
  std::array<GuessRate, kDraftDepths> by_depth{};  // given that the positions before agreed
  int64_t unasked = 0, patience = kFirstPatience;  // passes
  bool promises = true;                            // it would have been asked if there had been nothing to read
};

// An answer, or the sum of many, whatever proposers wrote it.
struct DraftTotals {
  double n_answers = 0, n_tokens = 0, n_passes = 0, n_drafted = 0, n_accepted = 0;
  double plain_passes = 0;  // the time all of it took, drafting included, in passes without a draft
  double tau() const { return n_passes > 0 ? n_tokens / n_passes : 1; }
  // Times as fast as without drafts.
  double speed_up() const { return plain_passes > 0 ? n_tokens / plain_passes : 1; }
  DraftTotals& operator+=(const DraftTotals& other);
};

class DraftExperience {
 public:
  // What stands at the beginning of a prompt, as a number; 0 = too short to say.
  static uint64_t beginning_of(std::span<const TokenId> prompt);

  ProposerRecord recall(std::string_view proposer, uint64_t beginning) const;
  // Tokens of an answer; a careful guess before the first.
  double usual_answer(uint64_t beginning) const;

  struct Seen {
    std::string proposer;
    ProposerRecord record;   // counts of this answer alone
    bool was_asked = false;  // otherwise record.unasked passes have gone by
  };
  // way: the dearest of the proposers, under whose name the totals are kept.
  void learn(uint64_t beginning, std::span<const Seen> seen, std::string_view way, const DraftTotals& answer);

  // Times of passes for one that knows none yet, and from one that was in use.
  void recall_times(PassTimes& times) const;
  void learn_times(const PassTimes& times);

  bool promises(std::string_view proposer) const;
  std::map<std::string, DraftTotals> totals() const;

  // As text (JSON) and back; the beginnings of prompts are not in it. of_passes: what pass times depend on beside the
  // model (ISA, threads, what is streamed); those of other circumstances are left out. Error "experience.unreadable".
  std::string to_text(std::string_view of_passes) const;
  Status from_text(std::string_view text, std::string_view of_passes);

 private:
  struct Place {  // the model, or a beginning
    uint64_t beginning = 0;
    std::map<std::string, ProposerRecord, std::less<>> proposers;
    double log_answer = 0;  // of tokens
    int64_t n_answers = 0;
  };
  const Place* find(uint64_t beginning) const;
  static void learn_at(Place& place, float memory, std::span<const Seen> seen, double n_tokens);

  mutable std::mutex mutex_;
  Place model_;
  std::list<Place> beginnings_;  // newest first
  std::map<std::string, DraftTotals> totals_;
  std::vector<PassTimes::Known> times_;
};

}  // namespace watra::engine
