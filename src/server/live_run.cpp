#include "server/live_run.h"

#include <algorithm>

namespace watra::server {
namespace {

constexpr auto kTellEvery = std::chrono::milliseconds(500);

double seconds(LiveRun::Clock::time_point from, LiveRun::Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

Json left(double n, double per_s) { return per_s > 0 ? Json(std::max(0.0, n / per_s)) : Json(nullptr); }

}  // namespace

void LiveRun::loading() {
  {
    const std::lock_guard lock(mutex_);
    state_ = "loading";
  }
  wake_();
}

void LiveRun::prepared(std::shared_ptr<ServedModel> model, const TurnPrompt& prompt, Json facts,
                       const Json& parts_so_far) {
  const std::lock_guard lock(mutex_);
  model_ = std::move(model);
  facts_ = std::move(facts);
  record_ = prompt.record;
  n_prompt_ = static_cast<int64_t>(prompt.ids.size());
  max_tokens_ = wish.sampling.value("max_tokens", int64_t{-1});
  splitter_.emplace(!wish.go_on || prompt.reasoning_open, prompt.reasoning_open);
  for (const Json& p : parts_so_far) kinds_.push_back(p.at("type"));
}

Status LiveRun::submit(engine::Request request) {
  const auto self = shared_from_this();
  request.events.started = [self](const engine::Started& s) {
    {
      const std::lock_guard lock(self->mutex_);
      self->inbox_.started = s;
    }
    self->wake_();
  };
  request.events.reading = [self](const engine::Reading& r) {
    {
      const std::lock_guard lock(self->mutex_);
      self->inbox_.reading = r;
    }
    self->wake_();
  };
  request.events.token = [self](const engine::TokenEvent& e) {
    {
      const std::lock_guard lock(self->mutex_);
      self->inbox_.text += e.text;
      self->inbox_.reads_again = false;
      self->inbox_.again.reset();
      if (e.token != text::kNoToken && self->n_written_ + self->inbox_.n_tokens++ == 0) self->first_ = Clock::now();
    }
    self->wake_();
  };
  request.events.forgot = [self](const engine::Forgot& f) {
    {
      const std::lock_guard lock(self->mutex_);
      self->inbox_.n_forgotten = f.n_in_all;
      self->inbox_.reads_again = true;
    }
    self->wake_();
  };
  request.events.reading_again = [self](const engine::ReadingAgain& r) {
    {
      const std::lock_guard lock(self->mutex_);
      self->inbox_.reads_again = true;
      self->inbox_.again = r;
    }
    self->wake_();
  };
  request.events.finished = [self](const engine::Finished& f) {
    {
      const std::lock_guard lock(self->mutex_);
      self->inbox_.finished = f;
    }
    self->wake_();
  };
  std::shared_ptr<ServedModel> model;
  {
    const std::lock_guard lock(mutex_);
    model = model_;
  }
  auto handle = model->submit(std::move(request));
  if (!handle) return watra::fail(handle.error());
  bool too_late = false;
  {
    const std::lock_guard lock(mutex_);
    if (!over_) handle_ = std::move(*handle);  // the request holds this run by its events: none must hold it for ever
    too_late = stop_asked || interrupted;
  }
  if (too_late) cancel();
  return {};
}

void LiveRun::refuse(const ApiError& e) {
  const std::lock_guard lock(mutex_);
  error_ = error_body(e, Dialect::watra).at("error");
}

void LiveRun::fail(const ApiError& e) {
  refuse(e);
  wake_();
}

void LiveRun::give_up() {
  {
    const std::lock_guard lock(mutex_);
    given_up_ = true;
  }
  wake_();
}

void LiveRun::cancel() {
  const std::lock_guard lock(mutex_);
  if (handle_) handle_->cancel();
}

double LiveRun::rate() const {
  return n_written_ > 1 ? static_cast<double>(n_written_ - 1) / std::max(1e-3, seconds(first_, Clock::now())) : 0;
}

Json LiveRun::run_json(int64_t ahead) const {
  Json run = home::new_run(wish.run, wish.thread, wish.answer);
  run["state"] = state_;
  run["ahead"] = state_ == "queued" ? ahead : 0;
  if (started_ != Clock::time_point{}) {
    const double took = seconds(started_, n_written_ > 0 ? first_ : Clock::now());
    const auto n = static_cast<double>(n_read_ - n_cached_);
    const double per_s = took > 0 && n > 0 ? n / took : 0;
    run["read"] = {{"done", n_read_},
                   {"total", n_prompt_},
                   {"tokens_per_s", per_s},
                   {"left_s", left(static_cast<double>(n_prompt_ - n_read_), per_s)}};
  }
  if (n_forgotten_ > 0) run["forgotten_tokens"] = n_forgotten_;
  if (again_ && state_ == "reading") {
    const double took = seconds(again_from_, Clock::now());
    const auto n = static_cast<double>(again_->n_read - again_first_->n_read);
    const double per_s = took > 0 && n > 0 ? n / took : 0;
    run["again"] = {{"done", again_->n_read},
                    {"total", again_->n_tokens},
                    {"tokens_per_s", per_s},
                    {"left_s", left(static_cast<double>(again_->n_tokens - again_->n_read), per_s)}};
  }
  if (n_written_ > 0) {
    const double per_s = rate();
    run["write"] = {
        {"done", n_written_},
        {"tokens_per_s", per_s},
        {"left_s", max_tokens_ > 0 ? left(static_cast<double>(max_tokens_ - n_written_), per_s) : Json(nullptr)}};
  }
  return run;
}

Json LiveRun::shown(int64_t ahead) const {
  const std::lock_guard lock(mutex_);
  return run_json(ahead);
}

bool LiveRun::waits() const {
  const std::lock_guard lock(mutex_);
  return state_ == "queued";
}

Json LiveRun::queue_entry() const {
  static constexpr const char* kClasses[] = {"person", "api", "compare", "impulse", "job"};
  const std::lock_guard lock(mutex_);
  return {{"run", wish.run},       {"class", kClasses[static_cast<size_t>(wish.priority)]},
          {"state", state_},       {"thread", wish.thread},
          {"n_prompt", n_prompt_}, {"n_generated", n_written_}};
}

home::AnswerStep LiveRun::step(home::AnswerStep::Kind kind) const {
  return {.kind = kind, .thread = wish.thread, .message = wish.answer};
}

void LiveRun::add_words(std::vector<home::AnswerStep>& steps, const char* kind, const std::string& text) {
  if (text.empty()) return;
  if (kinds_.empty() || kinds_.back() != kind) kinds_.emplace_back(kind);
  home::AnswerStep s = step(home::AnswerStep::Kind::piece);
  s.part = static_cast<int>(kinds_.size()) - 1;
  s.part_kind = kind;
  s.text = text;
  steps.push_back(std::move(s));
}

void LiveRun::add_piece(std::vector<home::AnswerStep>& steps, std::string&& text) {
  const auto now = Clock::now();
  const auto parts = splitter_->feed(text);
  if (!parts.reasoning.empty()) {
    if (thought_from_ == Clock::time_point{}) thought_from_ = first_;
    thought_s_ = seconds(thought_from_, now);
    state_ = "thinking";
  }
  if (!parts.content.empty()) state_ = "speaking";
  add_words(steps, "reasoning", parts.reasoning);
  add_words(steps, "text", parts.content);
}

void LiveRun::end(std::vector<home::AnswerStep>& steps, const engine::Finished& f, int64_t ahead) {
  if (splitter_) {
    const auto rest = splitter_->finish();
    add_words(steps, "reasoning", rest.reasoning);
    add_words(steps, "text", rest.content);
  }
  std::string reason = "stop";
  state_ = "done";
  if (interrupted && f.reason != engine::FinishReason::stop && f.reason != engine::FinishReason::length) {
    state_ = reason = "interrupted";
  } else if (f.reason == engine::FinishReason::error) {
    state_ = reason = "failed";
    if (!error_ && f.error)
      error_ = Json{{"code", f.error->code}, {"message", f.error->message}, {"hint", f.error->hint}};
  } else if (f.reason == engine::FinishReason::cancelled) {
    state_ = reason = "stopped";
  } else if (f.reason == engine::FinishReason::length) {
    reason = "length";
  }
  home::AnswerStep s = step(home::AnswerStep::Kind::ended);
  if (facts_.is_object()) {
    const engine::RequestStats& stats = f.stats;
    facts_.update({{"n_prompt", n_prompt_},
                   {"n_cached", stats.n_cached},
                   {"n_generated", stats.n_generated},
                   {"ttft_ms", 1e3 * stats.ttft_s},
                   {"prefill_tokens_per_s", stats.prefill_tokens_per_s()},
                   {"decode_tokens_per_s", stats.decode_tokens_per_s()},
                   {"seconds", seconds(asked_, Clock::now())},
                   {"finish_reason", reason},
                   {"tau", stats.speculation.tau()},
                   {"memory_bytes", model_->scheduler().model().budget->used_bytes()}});
    facts_["context"]["used_tokens"] = n_prompt_ + stats.n_generated - stats.n_forgotten;
    if (stats.n_forgotten > 0) facts_["context"]["forgotten_tokens"] = stats.n_forgotten;
  }
  s.facts = facts_;
  s.state = state_;
  s.error = error_ ? *error_ : Json(nullptr);
  if (thought_s_ > 0) s.reasoning_s = thought_s_;
  s.run = run_json(ahead);
  steps.push_back(std::move(s));
}

bool LiveRun::take(std::vector<home::AnswerStep>& steps, Hearth& hearth, int64_t ahead) {
  std::optional<Hearth::Work> work;
  std::shared_ptr<ServedModel> model;  // given back without the lock: the last one to do so ends the scheduler
  bool over = false;
  {
    const std::lock_guard lock(mutex_);
    over = take_inbox(steps, ahead, work);
    if (over) {
      over_ = true;
      model = std::move(model_);
      handle_.reset();
    }
  }
  // Not under the lock, for which the scheduler may be waiting: telling writes to the disk.
  if (over)
    hearth.done(wish.run);
  else if (work)
    hearth.work(wish.run, *std::move(work));
  return over;
}

bool LiveRun::take_inbox(std::vector<home::AnswerStep>& steps, int64_t ahead, std::optional<Hearth::Work>& work) {
  Inbox in = std::exchange(inbox_, {});
  if (in.started) {
    started_ = Clock::now();
    n_read_ = n_cached_ = in.started->n_cached;
    state_ = "reading";
    mark_cached(record_, n_cached_);
    home::AnswerStep s = step(home::AnswerStep::Kind::prepared);
    s.facts = facts_;
    s.prompt = record_;
    steps.push_back(std::move(s));
  }
  if (in.reading) n_read_ = in.reading->n_read;
  if (in.n_tokens > 0) n_read_ = n_prompt_;
  n_written_ += in.n_tokens;
  if (in.n_tokens > 0 && state_ == "reading") state_ = splitter_ && kinds_.empty() ? "thinking" : "speaking";
  if (!in.text.empty()) add_piece(steps, std::move(in.text));
  n_forgotten_ = std::max(n_forgotten_, in.n_forgotten);
  if (in.n_tokens > 0) again_.reset();
  if (in.reads_again) state_ = "reading";  // what the full context has left
  if (in.again) {
    if (!again_) again_first_ = in.again, again_from_ = Clock::now();
    again_ = in.again;
  }
  const bool never_began = error_ || given_up_;
  if (in.finished || never_began) {
    engine::Finished f;
    f.reason = error_ ? engine::FinishReason::error : engine::FinishReason::cancelled;
    end(steps, in.finished ? *in.finished : f, ahead);
    return true;
  }
  const auto now = Clock::now();
  if (state_ != told_state_ || now - told_at_ >= kTellEvery) {
    told_state_ = state_;
    told_at_ = now;
    home::AnswerStep s = step(home::AnswerStep::Kind::progress);
    s.run = run_json(ahead);
    steps.push_back(std::move(s));
  }
  if (state_ == "reading") {
    const auto share = [](int64_t n, int64_t all) -> std::optional<double> {
      return all > 0 ? static_cast<double>(n) / static_cast<double>(all) : 0;
    };
    work = {.state = "reading",
            .progress = again_            ? share(again_->n_read, again_->n_tokens)
                        : n_written_ == 0 ? share(n_read_, n_prompt_)
                                          : std::nullopt,
            .rate = std::nullopt};
  } else if (state_ == "thinking" || state_ == "speaking") {
    work = {.state = state_, .progress = std::nullopt, .rate = rate()};
  }
  return false;
}

}  // namespace watra::server
