// Conversations: threads and their trees of messages, as docs/api.md section 6 has them. An edit is a sibling; nothing
// is overwritten; erasing is the one thing that takes words away. Any thread may call.
//
// Errors of all: "thread.unknown", "message.unknown", "request.invalid" (check.h), those of the store.
#pragma once

#include <vector>

#include "home/ledger.h"

namespace watra::home {

class Conversations {
 public:
  explicit Conversations(Ledger& ledger) : ledger_(ledger) {}

  struct Threads {
    std::vector<Thread> threads;
    bool more = false;
    int64_t as_of = 0;
  };
  // Pinned first, then newest; `before`: from where the page before ended, among the pinned ones or behind them.
  Result<Threads> list(int64_t limit, const std::optional<Before>& before, bool archived) const;

  // {"client_id", "title"?, "folder"?, "model"?, "persona"?}; without "persona" with that of the settings, null: none.
  Result<Thread> create(const Json& body);

  struct SeenThread {
    Thread thread;
    int64_t as_of = 0;
  };
  Result<SeenThread> thread(const std::string& id) const;
  Result<Thread> change(const std::string& id, const Json& body);

  struct Erased {
    int64_t n = 0;
    std::string receipt;
  };
  Result<Erased> erase_thread(const std::string& id);  // also "thread.busy"

  // Many at once, all of them or none: {"ids", "archived"?, "pinned"?, "folder"?, "add_tags"?, "remove_tags"?}. As they
  // are then, in the order of `ids`.
  Result<std::vector<Thread>> change_many(const Json& body);
  Result<Erased> erase_many(const Json& body);  // {"ids"}; also "thread.busy"

  struct Messages {
    std::vector<Message> messages;
    bool more = false;
    int64_t as_of = 0;
  };
  // The newest `limit` of the whole tree, oldest first; `before` = log number of the oldest one of the page before.
  Result<Messages> messages(const std::string& thread, int64_t limit, std::optional<int64_t> before) const;
  Result<Thread> fork(const std::string& thread, const Json& body);  // {"client_id", "at"}

  Result<Message> message(const std::string& id) const;
  Result<std::vector<Message>> path(const std::string& head) const;
  Result<Message> pin(const std::string& id, bool pinned);
  // An answer in the person's words, {"client_id", "text"}: a version beside it, from which the conversation goes on.
  // What was thought and looked up on the way to it stays in it. Also "thread.busy".
  Result<Message> rewrite(const std::string& id, const Json& body);
  Result<Erased> erase_message(const std::string& id);  // also "message.busy"

 private:
  std::optional<std::string> usual_persona() const;
  Result<Erased> erase_threads(const std::vector<std::string>& threads);
  void retitle(const std::string& thread);
  Ledger& ledger_;
};

// A copy of the path to `head` in another thread, under new ids whose `origin` is the old ones; the last id.
std::string copy_path(Ledger& ledger, const std::string& head, const std::string& to_thread);

}  // namespace watra::home
