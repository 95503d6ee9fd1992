// SseStream: an event stream (text/event-stream) over an Exchange, with pings while nothing else is to be said.
#pragma once

#include "server/answers.h"
#include "server/limits.h"

namespace watra::server {

class SseStream {
 public:
  explicit SseStream(Exchange& exchange, std::string ping = ": ping\n\n")
      : exchange_(exchange), ping_(std::move(ping)) {}

  Awaitable<void> begin() { return exchange_.begin_stream("text/event-stream"); }
  // Events are collected and leave together with flush(): one write for what came together.
  void data(const Json& json) { pending_ += "data: " + dump(json) + "\n\n"; }
  void event(std::string_view name, const Json& json) {
    pending_ += "event: " + std::string(name) + "\ndata: " + dump(json) + "\n\n";
  }
  void raw(std::string_view text) { pending_ += text; }
  Awaitable<void> flush() { return exchange_.write(std::exchange(pending_, {})); }
  Awaitable<void> end() {
    co_await flush();
    co_await exchange_.end_stream();
  }

  // What comes next of the answers; pings meanwhile.
  Awaitable<std::vector<AnswerEvent>> next(Answers& answers, std::chrono::milliseconds ping_after) {
    for (;;) {
      auto events = co_await answers.next(ping_after);
      if (!events.empty()) co_return events;
      co_await exchange_.write(ping_);
    }
  }

  // Every event of the answers as it comes, until all have ended: `tell` says here what follows from it. Throws what a
  // request ended with, as ApiError that names `prompt_field`.
  template <class F>
  Awaitable<void> follow(Answers& answers, std::chrono::milliseconds ping_after, std::string prompt_field, F tell) {
    while (!answers.done()) {
      co_await flush();
      auto events = co_await next(answers, ping_after);
      for (AnswerEvent& e : events) {
        if (e.kind == AnswerEvent::Kind::finished) throw_if_failed(*e.finished, prompt_field);
        tell(e);
      }
    }
  }

 private:
  Exchange& exchange_;
  std::string ping_, pending_;
};

}  // namespace watra::server
