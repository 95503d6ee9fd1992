// Answers: one or several requests to the scheduler, and what comes back of them, on the side of a connection.
//
// The scheduler's thread puts events into a queue and wakes the waiting coroutine; it never waits for a client. When
// this object goes (the handler ended, or its client left) the requests that still run are cancelled.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "server/exchange.h"
#include "server/served_model.h"

namespace watra::server {

struct Probable {  // a token with its log-probability, ready to be shown
  TokenId token;
  double logprob;
};

struct AnswerEvent {
  enum class Kind : uint8_t { token, prompt_token, reading, finished };
  size_t index = 0;  // which of the requests
  Kind kind = Kind::token;
  TokenId token = text::kNoToken;
  std::string text;
  std::optional<double> logprob;
  int64_t rank = 0;    // of a prompt token
  int64_t n_read = 0;  // of the prompt, while it is read
  std::vector<Probable> top;
  std::optional<engine::Finished> finished;
};

class Answers {
 public:
  // Hands the requests in, some at a time: one client's hundreds leave room in the queue for others. Throws ApiError
  // when one is refused (then all end). An answer that has been written for longer than `patience` ends with its next
  // line, as one that has reached its limit.
  Answers(const Exchange& exchange, std::shared_ptr<ServedModel> model, std::vector<engine::Request> requests,
          const std::string& prompt_field, std::optional<std::chrono::milliseconds> patience = {});
  ~Answers();
  Answers(const Answers&) = delete;
  Answers& operator=(const Answers&) = delete;

  // Everything that has come since the last call, as soon as there is something. Empty after `patience` of silence.
  Awaitable<std::vector<AnswerEvent>> next(std::chrono::milliseconds patience);
  bool done() const { return n_finished_ == size(); }
  size_t size() const { return requests_.size(); }
  // Of its prompt, tokens taken from the cache; 0 until it has started.
  int64_t n_cached(size_t index) const;

 private:
  void hand_in();
  void keep_time(AnswerEvent& event);
  struct Queue;
  using Clock = std::chrono::steady_clock;
  struct Timing {
    Clock::time_point first;  // token
    bool begun = false, has_new_line = false, cut = false;
  };
  std::shared_ptr<ServedModel> model_;
  std::shared_ptr<Queue> queue_;
  std::vector<engine::Request> requests_;  // those handed in are empty
  std::string prompt_field_;
  std::vector<engine::RequestHandle> handles_;
  size_t n_finished_ = 0;
  std::optional<std::chrono::milliseconds> patience_;
  std::vector<Timing> timing_;  // by request, with patience_
};

// Throws the error a request ended with, if it did.
void throw_if_failed(const engine::Finished& finished, const std::string& prompt_field);

}  // namespace watra::server
