// EventLog: everything that changes, numbered, so that a page that was away can be told what it missed
// (docs/api.md section 4).
//
// publish() belongs into the transaction that makes what it tells: both are committed or neither, numbers grow by one
// and survive restarts. Subscribers are woken after the commit, never before, by the thread that committed and without
// any lock; they are told how urgent it is, must not block, and read what is new themselves. Any thread may call.
//
// The last 100,000 events of the last 24 hours are kept. What was erased is taken out of them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "home/database.h"

namespace watra::home {

struct Event {
  int64_t seq = 0;
  int64_t at_ms = 0;
  std::string type;
  std::optional<std::string> thread, node;
  std::string data;  // a JSON object

  std::string json() const;  // as the stream tells it, on one line
};

// How soon a listener wants to know of it: something has changed; words of an answer, one of many pieces; a figure of
// work under way, of which the next one makes the last one old. In this order.
enum class Urgency { news, words, figures };
Urgency urgency_of(std::string_view type);

class EventLog {
 public:
  explicit EventLog(Database& db);

  // Inside a Transaction; throws Failure. The event's number.
  int64_t publish(std::string_view type, const std::optional<std::string>& thread,
                  const std::optional<std::string>& node, const Json& data);
  // The number the next publish() of this transaction gives.
  int64_t next() { return last() + 1; }
  // Alone, in a transaction of its own.
  Status tell(std::string_view type, const std::optional<std::string>& thread, const std::optional<std::string>& node,
              const Json& data);

  int64_t last() const;                            // the newest event's number; 0 before the first. Throws Failure
  Result<int64_t> newest() const;                  // the same, for other modules
  Result<int64_t> bytes_after(int64_t seq) const;  // of what was told since, about as it goes over a wire
  bool has_listeners() const;

  struct Page {
    std::vector<Event> events;  // those after `after`, oldest first, at most `limit`
    bool complete = true;       // false: some after `after` are no longer kept
  };
  Result<Page> read(int64_t after, size_t limit) const;

  // Takes words out that were erased: every event of the message or of the thread.
  void forget_node(const std::string& node);
  void forget_thread(const std::string& thread);

  using Wake = std::function<void(Urgency)>;  // once an event
  class Subscription {
   public:
    Subscription() = default;
    Subscription(EventLog& log, uint64_t number) : log_(&log), number_(number) {}
    Subscription(Subscription&& other) noexcept : log_(std::exchange(other.log_, nullptr)), number_(other.number_) {}
    Subscription& operator=(Subscription&& other) noexcept;
    ~Subscription() { end(); }
    void end();

   private:
    EventLog* log_ = nullptr;
    uint64_t number_ = 0;
  };
  // Until the subscription goes; a call that is under way may still end after that.
  Subscription subscribe(Wake wake);

  const std::string& boot() const { return boot_; }  // another at every start

 private:
  void trim();
  void wake_all(Urgency urgency) const;

  Database& db_;
  std::string boot_;
  int until_trim_ = 0;  // guarded by the database's lock
  mutable std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Wake>> wakes_;
  uint64_t next_number_ = 1;
};

}  // namespace watra::home
