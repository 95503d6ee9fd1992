// Ledger: the rows behind conversations: what is appended to the log, how the tree of messages follows from it, and how
// words are erased. The parts of home/ that tell stories (conversations, answers, compares, imports) are built on it.
//
// Everything here is called inside a Transaction, and throws Failure. The events it publishes are those of api.md:
// thread.changed, thread.message, thread.removed.
#pragma once

#include <functional>
#include <vector>

#include "home/conversation.h"
#include "home/events.h"

namespace watra::home {

// Where a page of a list ended: the time of its last one, and its id, because many may be of the same time. Without the
// id the next page begins behind all of that time.
struct Before {
  int64_t at_ms = 0;
  std::string id;
  std::optional<bool> pinned;  // of conversations: whether the last one was; nothing = as it is now
};

class Ledger {
 public:
  Ledger(Database& db, EventLog& events, fs::path attachments)
      : db_(db), events_(events), attachments_(std::move(attachments)) {}

  Database& db() { return db_; }
  EventLog& events() { return events_; }

  // A client's own id makes what is created once: the ids that `make` gave are given again for a day.
  // Refused: "request.invalid" for an id that is none.
  std::optional<Json> made_by(const Json& client_id) const;
  Json once(const Json& client_id, const std::function<Json()>& make);

  struct LogRow {
    std::string id, kind, actor_kind;
    std::optional<std::string> actor_id, thread, parent, ref;
    Json content;
    std::string source;
    int64_t at_ms = 0;  // 0 = now
  };
  int64_t append(const LogRow& row);  // its number

  Thread thread(const std::string& id) const;    // "thread.unknown"
  Message message(const std::string& id) const;  // "message.unknown"; words of an answer under way are in it
  std::vector<Message> messages(const std::string& thread, int64_t before_log, int64_t limit) const;  // oldest first
  std::vector<Message> path(const std::string& head) const;  // from the first message to `head`

  void insert_thread(const Thread& thread, const std::optional<std::string>& import = {},
                     const std::optional<std::string>& external = {});
  void tell_thread(const std::string& id);  // thread.changed, unless it is hidden

  // Into log, tree and search; the thread counts it. Fills id, log, at_ms where they are empty.
  void insert_message(Message& message, const std::optional<std::string>& import = {},
                      const std::optional<std::string>& external = {});
  void tell_message(Message& message);  // thread.message; sets seq
  void index(const Message& message);   // for search and attachments; again after its parts have changed

  // Blanks a message everywhere: log, tree, search, events, prompts, attachments nobody else has.
  void erase_words(const std::string& message);
  // Files of erased attachments that are still there; called after erasing, and at start for what a crash left. What
  // cannot be removed now is logged, and tried again the next time.
  void remove_erased_files();
  // After erasing, outside a transaction: what is left of the words in the index's old segments, in freed pages and in
  // the log of changes goes as well.
  void forget();
  // A row that says how much was erased, without words; its id.
  std::string receipt(const char* what, const Json& ids);

 private:
  Message read_message(Statement& s) const;
  void add_pieces(Message& message) const;
  bool has_file(const std::string& hash) const;

  Database& db_;
  EventLog& events_;
  fs::path attachments_;
};

}  // namespace watra::home
