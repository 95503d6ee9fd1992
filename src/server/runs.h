// Runs: answers that the server writes for the page. A run belongs to the server: pages come and go, only stop() or the
// end of the answer ends it (HOUSE section 2).
//
// The system may refuse a thread: take_place() then throws, and a run whose own thread is refused ends as failed, with
// the reason.
//
// begin() returns at once; how many are under way at the most says take_place(). A thread of the run waits for its
// model, chooses the context, writes the prompt and hands the request to the scheduler; from then on the scheduler's
// thread only puts events into the run's inbox. One thread of Runs takes all inboxes together at most every 50 ms and
// commits what came of them in one transaction; what pages see is told after that (home/answers.h). Any thread may
// call.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/request.h"
#include "server/household.h"

namespace watra::server {

struct RunWish {
  std::string run, thread, answer;  // ids, of home::Turn
  std::string model;                // a name the room knows; "" = the loaded one
  Json sampling;                    // all of it, checked; keys as settings have them
  std::optional<std::string> persona;
  bool go_on = false;  // the answer has words already, which it goes on from
  bool begun = false;  // ... that the person gave it: what it answers stays in sight
  engine::Priority priority = engine::Priority::person;
  std::function<void(const std::string& state)> ended;  // on the thread of Runs, after its end was committed
};

// A model on the shelf by its id, or its file's name.
std::optional<ShelfEntry> find_on_shelf(const ModelRoom& room, std::string_view name);

class Runs {
 public:
  // Room for one answer, from before its turn is written down until its run has begun. Given back by whoever drops it.
  // Moves, does not copy; Runs outlives it.
  class Place {
   public:
    Place(Place&& other) noexcept : runs_(std::exchange(other.runs_, nullptr)) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(runs_, other.runs_);
      return *this;
    }
    ~Place() {
      if (runs_) runs_->give_back();
    }

   private:
    friend class Runs;
    explicit Place(Runs& runs) : runs_(&runs) {}
    Runs* runs_;
  };

  // What the plan says of an answer of this model as it runs now, tokens a second: kept beside what it really was.
  // n_tokens: prompt and half of the answer.
  using Predicted = std::function<std::optional<double>(ServedModel& model, int64_t n_tokens)>;
  // The hash of a model's files; "" = not known yet.
  using Sha256 = std::function<std::string(const std::vector<fs::path>& files)>;
  struct Options {
    Predicted predicted = {};  // may be null, as the other
    Sha256 sha256 = {};
  };
  Runs(Household& house, Options options);
  ~Runs();  // close()

  // Throws ApiError 503: "engine.full" when as many as are taken are under way or have a place; "stopping";
  // "system.no_thread".
  Place take_place();
  void begin(RunWish wish, Place place);
  // Ends it within a step; the answer keeps what it has. Null when no such run is under way.
  std::optional<Json> stop(const std::string& run);
  std::optional<Json> find(const std::string& run) const;  // Run
  std::vector<Json> list() const;                          // those under way, oldest first
  Json queue_json() const;                                 // the same for the machine room: `queue` of GET /machine/now

  // Everything under way ends as interrupted, and that is committed. Nothing begins afterwards.
  void close();

 private:
  struct Live;
  void give_back();
  void prepare(const std::shared_ptr<Live>& live);
  std::shared_ptr<ServedModel> await_model(const std::shared_ptr<Live>& live);
  void commit_all();
  void commit(const std::vector<home::AnswerStep>& steps);
  bool take_inboxes(std::vector<home::AnswerStep>& steps, std::vector<std::shared_ptr<Live>>& over);
  void wake();
  std::string sha256_of(const std::vector<fs::path>& files) const;
  void complete(home::AnswerStep& ended, const Live& live) const;
  static bool lacks_hash(const home::AnswerStep& step);
  void learn_hashes(const std::vector<std::shared_ptr<Live>>& over) const;

  Household& house_;
  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable news_;
  std::map<int64_t, std::shared_ptr<Live>> live_;  // by order of coming
  int64_t next_ = 0;
  size_t n_places_ = 0;  // taken, not yet in live_
  bool has_news_ = false, closing_ = false, closed_ = false;
  std::thread committer_;
};

}  // namespace watra::server
