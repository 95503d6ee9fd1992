// Jobs: work that takes long, told while it goes on and remembered afterwards: downloads, loading, imports, measuring,
// later the workshop's (docs/api.md, section 5, "Jobs"). One table, one event.
//
// Each job runs on a thread of its own. Its work reports through the JobControl it is given and asks there whether to
// go on. Jobs that were under way when the process ended are failed ("job.interrupted") at the next start. Any thread
// may call; the destructor cancels what runs and waits for it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "home/events.h"

namespace watra::home {

struct Job {
  std::string id, kind, title;
  std::optional<std::string> subject;  // the model, the thread
  std::string state = "running";       // waiting running done cancelled failed
  std::optional<double> progress;
  int64_t done_bytes = 0, total_bytes = 0;
  double bytes_per_s = 0;
  std::optional<double> left_s;
  int64_t created_ms = 0;
  std::optional<int64_t> ended_ms;
  Json error, result;  // null or an object

  Json json() const;
  bool is_over() const { return state == "done" || state == "cancelled" || state == "failed"; }
};

// A job's side of its own work. progress() may be called as often as one likes and from several threads.
class JobControl {
 public:
  virtual ~JobControl() = default;
  virtual const std::string& id() const = 0;
  virtual bool cancelled() const = 0;
  virtual void progress(uint64_t done_bytes, uint64_t total_bytes) = 0;  // total 0 = not known
  virtual void share(double done) = 0;                                   // 0..1, where bytes say nothing
};

class Jobs {
 public:
  Jobs(Database& db, EventLog& events);
  ~Jobs();
  Jobs(const Jobs&) = delete;
  // Cancels what runs and waits for its end; nothing begins afterwards, and what is asked of it later finds it closed.
  void close();

  // What comes back is the job's `result`; an error fails it, one whose code ends with ".cancelled" after cancel()
  // cancels it.
  using Work = std::function<Result<Json>(JobControl&)>;
  struct Wish {
    std::string kind, title;
    std::optional<std::string> subject;
    uint64_t total_bytes = 0;
    Work work;
    std::function<void(const Job&)> ended;  // on the job's thread, after its end was told
  };
  // Errors: those of the store; "job.stopping"; "system.no_thread", and then it stands in the list as failed with that
  // reason, and `ended` was called by this thread.
  Result<Job> start(Wish wish);
  // The same, but of a kind and subject one is under way at a time: that one comes back, and `fresh` is false. While
  // another one is being written down, this waits for what becomes of it.
  struct Begun {
    Job job;
    bool fresh = true;
  };
  Result<Begun> start_once(Wish wish);
  // Asks it to end and waits for nothing. Error "job.unknown"; one that is over stays as it is.
  Result<Job> cancel(const std::string& id);
  Result<Job> find(const std::string& id) const;  // "job.unknown"
  Result<std::vector<Job>> list() const;          // newest first: those under way and the last 50 that ended
  // The one under way for a subject, if there is one.
  std::optional<Job> under_way(std::string_view kind, std::string_view subject) const;

 private:
  class Running;
  Result<Begun> begin(Wish wish, bool once);
  std::shared_ptr<Running> find_running(std::string_view kind, std::string_view subject) const;  // with the lock
  void tell(const Job& job);
  void run(const std::shared_ptr<Running>& running, Wish& wish);
  void finish(const std::shared_ptr<Running>& running, Wish& wish, Result<Json> done);

  Database& db_;
  EventLog& events_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // what runs is kept, or over
  std::map<std::string, std::shared_ptr<Running>> running_;
  bool ending_ = false;
};

}  // namespace watra::home
