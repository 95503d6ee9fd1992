// Compares: one question, an answer from each column, side by side (docs/api.md section 8). The question and its
// answers are ordinary messages of a hidden thread. While a compare is blind and not revealed, nothing that is told
// says which column is whose. Any thread may call.
//
// Errors: "compare.unknown", "request.invalid", those of the store.
#pragma once

#include "home/answers.h"
#include "home/conversations.h"

namespace watra::home {

struct Compare {
  std::string id, thread, question;
  std::optional<std::string> system;
  bool blind = false, revealed = false;
  std::string order = "in_turn", state = "running";
  int64_t created_ms = 0;
  Json vote;                     // or null
  Json columns = Json::array();  // {"id", "label", "model", "persona", "sampling", "state", "message", "pasted"}

  bool hides() const { return blind && !revealed; }
};

constexpr size_t kMostAskedColumns = 4;
constexpr size_t kMostColumns = kMostAskedColumns + 2;  // those that are asked, and some that are pasted in
inline constexpr std::string_view kColumnLabels = "ABCDEF";

class Compares {
 public:
  Compares(Ledger& ledger, Answers& answers) : ledger_(ledger), answers_(answers) {}

  struct Begun {
    Compare compare;
    bool fresh = true;  // false: this client_id has been here before
  };
  // The compare this client_id has begun within a day.
  Result<std::optional<std::string>> seen(const Json& client_id) const;
  // {"client_id", "question", "system"?, "columns", "blind"}; models are the caller's to check. `order` is how they
  // will run.
  Result<Begun> begin(const Json& body, const std::string& order);

  // The answer of a column begins; a run's id is made.
  Result<Turn> open(const std::string& compare, const std::string& column, const Answerer& by);
  Status tell_changed(const std::string& compare);  // an answer has ended
  // The last answer has ended.
  Status end(const std::string& compare, const std::string& state);

  Result<Compare> find(const std::string& id) const;
  struct List {
    std::vector<Json> compares;
    bool more = false;
    int64_t as_of = 0;
  };
  Result<List> list(int64_t limit, const std::optional<Before>& before) const;  // newest first
  // As it is told, with its answers.
  Result<Json> shown(const std::string& id) const;

  Result<Json> paste(const std::string& id, const Json& body);   // {"name", "text"}
  Result<Json> vote(const std::string& id, const Json& body);    // {"column", "verdict"}; reveals
  Result<Thread> keep(const std::string& id, const Json& body);  // {"client_id", "column"}
  Status remove(const std::string& id);                          // erases its words; "compare.busy" while it runs

  // Inside a guarded(), as Ledger: the compare whose answers are in this hidden thread; how it goes out with it, null
  // of other threads; one that came in, told. What is there already is given the messages that came since.
  std::optional<std::string> of_thread(const std::string& thread) const;
  Json exported(const std::string& thread) const;
  void put(const Compare& c);

  // "csv", "md" or "json"; `ids` empty = all.
  Result<std::string> table(const std::string& format, const std::vector<std::string>& ids) const;

  // At start: those a crash left running.
  Status close_left_over();

 private:
  Compare read(const std::string& id) const;
  Json json(const Compare& c, bool with_answers) const;
  void write(const Compare& c);
  void tell(const Compare& c);
  Json changed(Transaction& t, const Compare& c);  // written down, told and committed; with its answers

  Ledger& ledger_;
  Answers& answers_;
};

}  // namespace watra::home
