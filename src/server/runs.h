// Runs: answers that the server writes for the page. A run belongs to the server: pages come and go, only stop() or the
// end of the answer ends it (HOUSE section 2).
//
// begin() returns at once; how many are under way at the most says check_room(). A thread of the run waits for its
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
#include <vector>

#include "engine/request.h"
#include "server/household.h"

namespace watra::server {

struct RunWish {
  std::string run, thread, answer;  // ids, of home::Turn
  std::string model;                // a name the room knows; "" = the loaded one
  Json sampling;                    // all of it, checked; keys as settings have them
  std::optional<std::string> persona;
  bool go_on = false;
  engine::Priority priority = engine::Priority::person;
  std::function<void(const std::string& state)> ended;  // on the thread of Runs, after its end was committed
};

// A model on the shelf by its id, or its file's name.
std::optional<ShelfEntry> find_on_shelf(const ModelRoom& room, std::string_view name);

class Runs {
 public:
  // What the plan says a model will write here, tokens a second: the shelf's number, kept beside what it really wrote.
  using Predicted = std::function<std::optional<double>(const std::string& model)>;
  explicit Runs(Household& house, Predicted predicted = {});
  ~Runs();  // close()

  // Throws ApiError 503 "engine.full" when as many as are taken wait already; asked before a turn is kept.
  void check_room() const;
  void begin(RunWish wish);
  // Ends it within a step; the answer keeps what it has. Null when no such run is under way.
  std::optional<Json> stop(const std::string& run);
  std::optional<Json> find(const std::string& run) const;  // Run
  std::vector<Json> list() const;                          // those under way, oldest first
  Json queue_json() const;                                 // the same for the machine room: `queue` of GET /machine/now

  // Everything under way ends as interrupted, and that is committed. Nothing begins afterwards.
  void close();

 private:
  struct Live;
  void prepare(const std::shared_ptr<Live>& live);
  std::shared_ptr<ServedModel> await_model(const std::shared_ptr<Live>& live);
  void commit_all();
  void commit(const std::vector<home::AnswerStep>& steps);
  bool take_inboxes(std::vector<home::AnswerStep>& steps, std::vector<std::shared_ptr<Live>>& over);
  void wake();

  Household& house_;
  const Predicted predicted_;
  mutable std::mutex mutex_;
  std::condition_variable news_;
  std::map<int64_t, std::shared_ptr<Live>> live_;  // by order of coming
  int64_t next_ = 0;
  bool has_news_ = false, closing_ = false;
  std::thread committer_;
};

}  // namespace watra::server
