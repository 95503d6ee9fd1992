// LiveRun: what one run has come to: its inbox, filled by the scheduler's thread, and the steps that follow from it for
// the store. Of Runs alone, which calls take() from its one thread.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>

#include "server/reasoning.h"
#include "server/runs.h"
#include "server/turn_prompt.h"

namespace watra::server {

class LiveRun : public std::enable_shared_from_this<LiveRun> {
 public:
  using Clock = std::chrono::steady_clock;

  LiveRun(RunWish wish, std::function<void()> wake) : wish(std::move(wish)), wake_(std::move(wake)) {}

  const RunWish wish;
  std::thread preparing;
  std::atomic<bool> stop_asked{false}, interrupted{false};

  // From the run's own thread.
  void loading();
  void prepared(std::shared_ptr<ServedModel> model, const TurnPrompt& prompt, Json facts, const Json& parts_so_far);
  Status submit(engine::Request request);
  void fail(const ApiError& error);  // it never began
  // The same from begin(), which holds the lock of Runs and wakes it afterwards.
  void refuse(const ApiError& error);
  void give_up();  // stopped before it began

  void cancel();  // any thread
  Json shown(int64_t ahead) const;
  Json queue_entry() const;
  bool waits() const;

  // What is to be committed since the last call. True when the run is over with it.
  bool take(std::vector<home::AnswerStep>& steps, Hearth& hearth, int64_t ahead);

 private:
  struct Inbox {
    std::optional<engine::Started> started;
    std::optional<engine::Reading> reading;
    std::string text;
    int64_t n_tokens = 0, n_forgotten = 0;
    bool reads_again = false;  // since the newest token
    std::optional<engine::ReadingAgain> again;
    std::optional<engine::Finished> finished;
  };

  bool take_inbox(std::vector<home::AnswerStep>& steps, int64_t ahead, std::optional<Hearth::Work>& work);
  home::AnswerStep step(home::AnswerStep::Kind kind) const;
  void add_words(std::vector<home::AnswerStep>& steps, const char* kind, const std::string& text);
  void add_piece(std::vector<home::AnswerStep>& steps, std::string&& text);
  void end(std::vector<home::AnswerStep>& steps, const engine::Finished& f, int64_t ahead);
  Json run_json(int64_t ahead) const;  // with the lock
  double rate() const;

  std::function<void()> wake_;
  mutable std::mutex mutex_;  // of what follows
  Inbox inbox_;
  std::optional<engine::RequestHandle> handle_;
  std::string state_ = "queued";
  std::optional<Json> error_;  // it never began
  bool given_up_ = false, over_ = false;
  Json facts_, record_;
  int64_t n_prompt_ = 0, n_cached_ = 0, n_read_ = 0, n_written_ = 0, n_forgotten_ = 0, max_tokens_ = -1;
  // How far an answer that reads again has come, and where the first that was heard of it stood.
  std::optional<engine::ReadingAgain> again_, again_first_;
  Clock::time_point asked_ = Clock::now(), started_{}, first_{}, again_from_{};
  std::shared_ptr<ServedModel> model_;

  // Of take() alone.
  std::optional<ReasoningSplitter> splitter_;
  std::vector<std::string> kinds_;  // of the parts so far
  std::string told_state_;
  Clock::time_point told_at_{}, thought_from_{};
  double thought_s_ = 0;
};

}  // namespace watra::server
