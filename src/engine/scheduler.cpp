#include "engine/scheduler.h"

#include <algorithm>
#include <thread>

#include "base/log.h"
#include "base/thread_start.h"
#include "engine/internal/scheduler_core.h"
#include "engine/memory_needs.h"

namespace watra::engine {

using internal::Clock;
using internal::LiveRequest;
using internal::SchedulerDoor;

void RequestHandle::cancel() {
  const std::lock_guard lock(door_->mutex);
  if (request_->cancelled.exchange(true) || !request_->in_pass) return;
  if (--door_->n_wanting == 0) door_->abort_pass = true;
}

const Finished& RequestHandle::wait() const {
  std::unique_lock lock(door_->mutex);
  door_->finished.wait(lock, [&] { return request_->done; });
  return request_->outcome;
}

bool RequestHandle::finished() const {
  const std::lock_guard lock(door_->mutex);
  return request_->done;
}

namespace {

constexpr int64_t kTextsWaiting = 64 * kEncoderTexts;

Error stopped() { return {"scheduler.stopped", "the model was put away before the answer was finished", "ask again"}; }

}  // namespace

struct Scheduler::Impl {
  LoadedModel model;
  SchedulerOptions options;
  std::shared_ptr<SchedulerDoor> door = std::make_shared<SchedulerDoor>();
  internal::SchedulerCore core;
  std::thread thread;

  Impl(LoadedModel m, const SchedulerOptions& o, const std::optional<PageKey>& root)
      : model(std::move(m)), options(o), core(model, o, root, door) {
    door->n_places = o.max_batch;
  }

  Status check(const Request& request) const;
  Result<std::optional<Forgetting>> forgetting_of(const Request& request) const;
  void run();
  void step_or_fail();
};

Result<std::unique_ptr<Scheduler>> Scheduler::create(LoadedModel model, SchedulerOptions options) {
  if (!model.tokenizer)
    return fail("model.no_vocabulary", "this file has no vocabulary, so its answers cannot be turned into text",
                "use a complete model file");
  const ForwardOptions& f = model.forward->options();
  if (model.model->hparams().is_encoder) {
    options.max_batch = kEncoderTexts;
    options.max_waiting = std::max(options.max_waiting, kTextsWaiting);  // each holds its tokens and nothing else
    options.reuse_prefixes = false;
    return std::unique_ptr<Scheduler>(new Scheduler(std::make_unique<Impl>(std::move(model), options, std::nullopt)));
  }
  options.max_batch = options.max_batch > 0 ? std::min(options.max_batch, f.max_logit_rows) : f.max_logit_rows;
  std::optional<PageKey> root;
  if (options.reuse_prefixes) {
    WATRA_ASSIGN(root, root_key(model));
  }
  return std::unique_ptr<Scheduler>(new Scheduler(std::make_unique<Impl>(std::move(model), options, root)));
}

Scheduler::Scheduler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(impl_->door->mutex);
    impl_->door->stopping = true;
    impl_->door->abort_pass = true;
  }
  impl_->door->arrived.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->core.finish_all(stopped());
}

Status Scheduler::Impl::check(const Request& request) const {
  const auto n_prompt = static_cast<int64_t>(request.prompt.size()), n_ctx = model.forward->options().n_ctx;
  const int64_t n_vocab = model.model->hparams().n_vocab;
  const bool is_encoder = model.model->hparams().is_encoder;
  if (is_encoder && (request.generate.max_tokens != 0 || request.events.prompt_token))
    return fail("model.is_encoder", "this model is an encoder: it turns texts into vectors and writes nothing",
                "ask it for embeddings, or load a model that writes");
  if (n_prompt == 0) return fail("context.empty_prompt", "the prompt has no tokens", "write something");
  // A prompt whose tokens are told is read whole: nothing of it is left out.
  const bool is_told = request.events.prompt_token || request.events.prompt_hidden;
  const bool goes_on = request.endless && !is_encoder;
  if (goes_on ? is_told && n_prompt >= n_ctx : n_prompt > n_ctx)
    return fail("context.overflow", fmt::format("the prompt has {} tokens, the context holds {}", n_prompt, n_ctx),
                is_encoder ? "a shorter text" : fmt::format("--ctx {}, or a shorter prompt", n_prompt + 256));
  for (const TokenId t : request.prompt)
    if (t < 0 || t >= n_vocab)
      return fail("engine.bad_token", fmt::format("prompt: needs token ids 0 to {}, found {}", n_vocab - 1, t));
  WATRA_TRY(request.sampling.validate(static_cast<size_t>(n_vocab)));
  WATRA_TRY(StopMatcher::create(request.generate.stop));
  return {};
}

Result<std::optional<Forgetting>> Scheduler::Impl::forgetting_of(const Request& request) const {
  if (!request.endless || model.model->hparams().is_encoder) return std::nullopt;
  WATRA_ASSIGN(const Forgetting made, Forgetting::create(*request.endless, static_cast<int64_t>(request.prompt.size()),
                                                         model.forward->options().n_ctx));
  return made;
}

Result<RequestHandle> Scheduler::submit(Request request) {
  SchedulerDoor& door = *impl_->door;
  WATRA_TRY(impl_->check(request));
  WATRA_ASSIGN(const auto forgetting, impl_->forgetting_of(request));
  auto live = std::make_shared<LiveRequest>();
  live->tokens = std::move(request.prompt);
  live->outcome.stats.n_prompt = live->n_tokens();
  live->forgetting = forgetting;
  live->outcome.stats.n_left_out = live->forget();
  live->n_prompt = live->n_tokens();
  live->request = std::move(request);
  live->accepted = Clock::now();
  const auto priority = live->priority();

  const std::lock_guard lock(door.mutex);
  if (door.stopping) return fail(stopped());
  // Background requests that wait keep no person out.
  int64_t n_before = 0;
  for (int p = 0; p <= static_cast<int>(priority); ++p) n_before += door.n_alive[p];
  if (const int64_t most = impl_->options.max_batch + impl_->options.max_waiting; n_before >= most)
    return fail("scheduler.full",
                fmt::format("{} requests are running or waiting already, {} is the most", n_before, most),
                "try again in a while");
  ++door.n_alive[static_cast<int>(priority)];
  ++door.stats.n_requests;
  door.inbox.push_back(live);
  if (door.pass_is_background && !is_background(priority)) door.abort_pass = true;
  door.arrived.notify_one();
  return RequestHandle(std::move(live), impl_->door);
}

void Scheduler::Impl::run() {
  for (;;) {
    {
      std::unique_lock lock(door->mutex);
      door->arrived.wait(lock, [&] { return door->stopping || !door->inbox.empty() || core.has_work(); });
      if (door->stopping) return;
    }
    step_or_fail();
  }
}

// What is thrown in the middle of a step (memory, as a rule) leaves nobody waiting: all requests of now end with it.
void Scheduler::Impl::step_or_fail() {
  Error why{"scheduler.failed", "an unexpected error ended this answer", "ask again"};
  try {
    core.step();
    return;
  } catch (const std::bad_alloc&) {
    why = internal::no_memory_for_answer();
  } catch (const std::exception& e) {
    log::error("the scheduler: {}", e.what());
  }
  try {
    core.finish_all(why);
  } catch (const std::exception& e) {  // those that are left are tried again
    log::error("the scheduler: {}", e.what());
  }
}

Status Scheduler::start() {
  WATRA_ASSIGN(impl_->thread, start_thread("answers", [this] { impl_->run(); }));
  return {};
}

bool Scheduler::step() { return impl_->core.step(); }

SchedulerStats Scheduler::stats() const {
  const std::lock_guard lock(impl_->door->mutex);
  SchedulerStats s = impl_->door->stats;
  int64_t n_alive = 0;
  for (const int64_t n : impl_->door->n_alive) n_alive += n;
  s.n_running = std::min(n_alive, impl_->door->n_places);
  s.n_waiting = n_alive - s.n_running;
  return s;
}

const LoadedModel& Scheduler::model() const { return impl_->model; }

}  // namespace watra::engine
