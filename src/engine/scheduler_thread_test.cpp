// The scheduler on a thread of its own, asked from several: made for the thread sanitizer too.
#include <gtest/gtest.h>

#include <future>
#include <random>
#include <stdexcept>
#include <thread>

#include "base/await_test.h"
#include "base/fault.h"
#include "engine/scheduler.h"
#include "engine/talking_model_test.h"

namespace watra::engine {
namespace {

using namespace std::chrono_literals;

Request request(int64_t n_prompt, int64_t max_tokens, Priority priority, TokenId salt) {
  Request r;
  for (int64_t i = 0; i < n_prompt; ++i) r.prompt.push_back(static_cast<TokenId>(3 + (i * 31 + salt) % 300));
  r.generate = {.max_tokens = max_tokens, .ignore_end = true};
  r.sampling.seed = salt;
  r.priority = priority;
  return r;
}

TEST(SchedulerThread, ManyThreadsAskCancelAndWait) {
  auto s = Scheduler::create(talking_model({.kv_positions = 600})).value();
  ASSERT_TRUE(s->start());
  std::atomic<int> n_finished{0}, n_tokens{0};
  std::vector<std::thread> people;
  for (int p = 0; p < 4; ++p)
    people.emplace_back([&, p] {
      std::mt19937 rng(static_cast<unsigned>(p));
      for (int i = 0; i < 12; ++i) {
        const auto number = [&](unsigned n) { return static_cast<int64_t>(rng() % n); };
        Request r = request(1 + number(150), number(40), static_cast<Priority>(number(kPriorities)),
                            static_cast<TokenId>(number(3)));
        r.events.finished = [&](const Finished&) { ++n_finished; };
        r.events.token = [&](const TokenEvent&) { ++n_tokens; };
        auto handle = s->submit(std::move(r));
        ASSERT_TRUE(handle);
        if (number(3) == 0) handle->cancel();
        const Finished& f = handle->wait();
        EXPECT_NE(f.reason, FinishReason::error);
        EXPECT_LE(s->stats().kv_pages_free, s->stats().kv_pages);
      }
    });
  for (auto& t : people) t.join();
  EXPECT_EQ(n_finished, 4 * 12);
  EXPECT_GT(n_tokens, 0);
}

// Deep enough that a pass over a whole slice would take seconds.
LoadedModel deep_model() {
  return talking_model({.n_ctx = 4000, .max_rows = 4000, .max_logit_rows = 4, .threads = 2, .n_layers = 60});
}

TEST(SchedulerThread, CancellingTheOnlyReaderEndsThePass) {
  auto s = Scheduler::create(deep_model(), {.slice_tokens = 4000}).value();
  ASSERT_TRUE(s->start());
  std::promise<void> started;
  Request r = request(3900, 5, Priority::api, 1);
  r.events.started = [&](const Started&) { started.set_value(); };
  auto handle = s->submit(std::move(r)).value();
  started.get_future().wait();
  handle.cancel();
  EXPECT_EQ(handle.wait().reason, FinishReason::cancelled);
  EXPECT_EQ(s->stats().n_aborted, 1);
  EXPECT_EQ(s->stats().n_read, 0);
}

TEST(SchedulerThread, APersonEndsThePassOfAJob) {
  auto s = Scheduler::create(deep_model(), {.slice_tokens = 4000}).value();
  ASSERT_TRUE(s->start());
  std::promise<void> started;
  Request job = request(3900, 2, Priority::job, 1);
  job.events.started = [&](const Started&) { started.set_value(); };
  auto job_handle = s->submit(std::move(job)).value();
  started.get_future().wait();
  auto person = s->submit(request(10, 3, Priority::person, 2)).value();
  EXPECT_EQ(person.wait().reason, FinishReason::length);
  EXPECT_FALSE(job_handle.finished());
  EXPECT_GE(s->stats().n_aborted, 1);
  job_handle.cancel();
  EXPECT_EQ(job_handle.wait().reason, FinishReason::cancelled);
}

TEST(SchedulerThread, EndsWhileAPassIsUnderWay) {
  std::promise<void> started;
  std::optional<RequestHandle> handle;
  {
    auto s = Scheduler::create(deep_model(), {.slice_tokens = 4000}).value();
    ASSERT_TRUE(s->start());
    Request r = request(3900, 5, Priority::person, 1);
    r.events.started = [&](const Started&) { started.set_value(); };
    handle.emplace(s->submit(std::move(r)).value());
    started.get_future().wait();
  }
  EXPECT_EQ(handle->wait().error->code, "scheduler.stopped");
}

// A request that memory does not suffice for ends with words, and beside it another one is answered.
TEST(SchedulerThread, WithoutMemoryForOneAnswerTheOthersAreMade) {
  std::atomic<int> n_starts{0};
  SchedulerOptions options;
  options.make_proposers = [&](int64_t) -> std::vector<std::unique_ptr<Proposer>> {
    if (++n_starts == 1) throw std::bad_alloc();
    return {};
  };
  auto s = Scheduler::create(talking_model(), options).value();
  auto first = s->submit(request(10, 5, Priority::api, 1)).value();
  auto second = s->submit(request(12, 5, Priority::api, 2)).value();
  ASSERT_TRUE(s->start());
  ASSERT_EQ(first.wait().reason, FinishReason::error);
  EXPECT_EQ(first.wait().error->code, "memory.refused");
  EXPECT_EQ(second.wait().reason, FinishReason::length);
  EXPECT_EQ(second.wait().stats.n_generated, 5);
}

TEST(SchedulerThread, CountsFromAcceptanceToTheEnd) {
  SchedulerOptions options;
  options.max_batch = 2;
  auto s = Scheduler::create(talking_model({.max_logit_rows = 4}), options).value();
  EXPECT_EQ(s->stats().n_running + s->stats().n_waiting, 0);
  std::vector<RequestHandle> handles;
  for (TokenId i = 0; i < 3; ++i) handles.push_back(s->submit(request(10, 5, Priority::api, i)).value());
  EXPECT_EQ(s->stats().n_running, 2) << "before the first pass";
  EXPECT_EQ(s->stats().n_waiting, 1);
  s->step();
  EXPECT_EQ(s->stats().n_running, 2);
  EXPECT_EQ(s->stats().n_waiting, 1);
  while (s->step()) {
  }
  EXPECT_EQ(s->stats().n_running + s->stats().n_waiting, 0);
}

// What is thrown in the middle of a step ends the requests of now, each once, and neither the thread nor the program.
TEST(SchedulerThread, OutlivesWhatIsThrown) {
  auto s = Scheduler::create(talking_model()).value();
  std::atomic<int> n_finished{0};
  Request bad = request(10, 50, Priority::api, 1);
  bad.events.token = [](const TokenEvent&) { throw std::runtime_error("of a bug"); };
  bad.events.finished = [&](const Finished&) { ++n_finished; };
  auto first = s->submit(std::move(bad)).value();
  ASSERT_TRUE(s->start());
  ASSERT_EQ(first.wait().reason, FinishReason::error);
  EXPECT_EQ(first.wait().error->code, "scheduler.failed");
  EXPECT_EQ(n_finished, 1);
  auto second = s->submit(request(12, 5, Priority::api, 2)).value();
  EXPECT_EQ(second.wait().reason, FinishReason::length);
  EXPECT_TRUE(comes_about([&] { return s->stats().n_running == 0; }));
}

TEST(SchedulerThread, ARefusedThreadIsAnError) {
  auto s = Scheduler::create(talking_model()).value();
  {
    const fault::Arm arm("thread.start", 0);
    const Status started = s->start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, "system.no_thread");
  }
  auto handle = s->submit(request(10, 5, Priority::api, 1)).value();
  EXPECT_TRUE(s->start());
  EXPECT_EQ(handle.wait().reason, FinishReason::length);
}

}  // namespace
}  // namespace watra::engine
