// Answers: what a turn of the person begins, what is written of it piece by piece, and how it ends.
//
// Whoever writes answers collects steps and hands in all of them together, a few times a second: one transaction, one
// sync of the disk, however many answers are under way (group commit). Events go out after it, so no word is ever shown
// that a kill -9 could take back. Answers that a crash left open are closed as interrupted by the next start, with
// every word that was shown. Any thread may call.
#pragma once

#include <vector>

#include "home/ledger.h"

namespace watra::home {

// Who is to answer.
struct Answerer {
  std::string model, model_name;
  std::optional<std::string> persona, persona_name;
};

struct TurnWish {
  Json client_id;
  std::string thread;
  std::optional<std::string> parent;  // say: what it follows; again: what is answered anew
  Json parts;                         // say: what is said; null in the other forms
  std::optional<std::string> ref;     // say: a message that is quoted
  std::optional<std::string> go_on;   // the answer that is to go on
  Json begun;                         // say, again: parts the answer begins with; null = none
  Answerer by;
};

struct Turn {
  std::optional<Message> said;
  Message answer;
  std::string run;
  bool fresh = true;  // false: this client_id has been here before, nothing was begun
  int64_t as_of = 0;
};

struct AnswerStep {
  enum class Kind : uint8_t { prepared, progress, piece, ended };
  Kind kind = Kind::piece;
  std::string thread, message;
  Json run;  // progress, ended: Run as pages are told it
  // piece
  int part = 0;
  std::string part_kind, text;
  // prepared: what will make it; ended: what made it
  Json facts;
  Json prompt;  // prepared: what the model sees (prompts.h)
  // ended
  std::string state;  // done, stopped, failed, interrupted
  Json error;
  std::optional<double> reasoning_s;
};

// A run as pages are told it, before anything is known of it.
Json new_run(const std::string& id, const std::string& thread, const std::string& answer);

class Answers {
 public:
  explicit Answers(Ledger& ledger) : ledger_(ledger) {}

  // What this client_id has begun within a day.
  Result<std::optional<Turn>> seen(const Json& client_id) const;
  // May this be said? Errors: "attachment.unknown", "request.invalid".
  Status check(const Json& parts) const;

  // Errors: "thread.unknown", "thread.busy", "message.unknown", "attachment.unknown", "request.invalid".
  Result<Turn> begin(const TurnWish& wish);

  // All or nothing; may be handed in again after an error.
  Status apply(const std::vector<AnswerStep>& steps);

  // The hash of a model's file is known after answers of it have ended: those since `since_ms` that lack it, and were
  // made here, are given it. How many.
  Result<int64_t> learn_hash(const std::string& file, int64_t since_ms, const std::string& sha256);

  // At start: what was under way when the process ended. The number of answers closed.
  Result<int64_t> close_left_over();

  // Inside a transaction: an answer that begins under `parent`, with what stands in it from the start.
  Message open(const std::string& thread, const std::string& parent, const Answerer& by, const std::string& run,
               Json parts = Json::array());

 private:
  Turn replay(const Json& made) const;
  Json begin_now(const TurnWish& wish, const Thread& thread);
  void check_parts(const Json& parts) const;
  void step(const AnswerStep& s);
  void end(const AnswerStep& s);
  // What became of an answer, to the log.
  void append(const char* kind, const Message& answer, Json content);

  Ledger& ledger_;
};

}  // namespace watra::home
