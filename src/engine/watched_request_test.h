// What tests of the scheduler ask and hear: prompts, a request that notes its events, steps by hand.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/scheduler.h"
#include "engine/talking_model_test.h"

namespace watra::engine {

using Tokens = std::vector<TokenId>;

inline Tokens prompt(int64_t n, TokenId salt = 0) {
  Tokens out;
  for (int64_t i = 0; i < n; ++i) out.push_back(static_cast<TokenId>(3 + (i * 37 + salt * 101) % (kTalkingVocab - 3)));
  return out;
}

// A request and what is told about it, in one line per event.
struct Watched {
  explicit Watched(Tokens tokens, int64_t max_tokens, Priority priority = Priority::api) {
    request.prompt = std::move(tokens);
    request.sampling.temperature = 0;
    request.generate = {.max_tokens = max_tokens, .ignore_end = true};
    request.priority = priority;
    request.events.started = [this](const Started& s) {
      log.push_back(fmt::format("started {}/{}", s.n_cached, s.n_prompt));
    };
    request.events.reading = [this](const Reading& r) {
      log.push_back(fmt::format("reading {}/{}", r.n_read, r.n_prompt));
    };
    request.events.reading_again = [this](const ReadingAgain& r) {
      log.push_back(fmt::format("again {}/{}", r.n_read, r.n_tokens));
    };
    request.events.token = [this](const TokenEvent& t) {
      log.push_back("token");
      text += t.text;
      n_tokens += t.token != text::kNoToken;
    };
    request.events.finished = [this](const Finished& f) {
      log.push_back(fmt::format("finished {}", finish_reason_name(f.reason)));
      result = f;
    };
  }
  Watched(const Watched&) = delete;

  Watched& into(Scheduler& s) {
    auto h = s.submit(std::move(request));
    EXPECT_TRUE(h) << h.error().to_string();
    handle.emplace(std::move(*h));
    return *this;
  }
  int64_t n_log(std::string_view event) const {
    return std::ranges::count_if(log, [&](const std::string& e) { return e.starts_with(event); });
  }

  Request request;
  std::optional<RequestHandle> handle;
  std::vector<std::string> log;
  std::string text;
  int64_t n_tokens = 0;
  Finished result;
};

inline std::unique_ptr<Scheduler> make_scheduler(const TalkingModelOptions& model, SchedulerOptions options = {}) {
  auto s = Scheduler::create(talking_model(model), options);
  EXPECT_TRUE(s);
  return std::move(*s);
}
inline void run_out(Scheduler& s) {
  for (int i = 0; s.step(); ++i) ASSERT_LT(i, 10000);
}

// Lets only every third token follow, in a circle.
class EveryThird : public LogitMask {
 public:
  bool fill(std::span<uint32_t> bits) override {
    std::ranges::fill(bits, 0);
    for (TokenId t = 3 + state_ % 3; t < kTalkingVocab; t += 3) bits[static_cast<size_t>(t) / 32] |= 1u << (t % 32);
    return true;
  }
  Status advance(text::TokenId) override { return ++state_, Status{}; }
  void rollback(size_t n) override { state_ -= static_cast<int>(n); }
  std::unique_ptr<LogitMask> fork() const override { return std::make_unique<EveryThird>(*this); }

 private:
  int state_ = 0;
};

}  // namespace watra::engine
