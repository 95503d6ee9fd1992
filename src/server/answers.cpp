#include "server/answers.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <mutex>

#include "engine/memory_needs.h"
#include "server/asked_mask.h"

namespace watra::server {

struct Answers::Queue : std::enable_shared_from_this<Queue> {
  explicit Queue(const asio::any_io_executor& e) : executor(e), timer(e) {}

  std::mutex mutex;
  std::vector<AnswerEvent> events;
  std::vector<int64_t> n_cached;    // by request
  std::vector<uint8_t> is_reading;  // by request: the end of its reading is to be told; of the scheduler's thread
  bool abandoned = false;           // nobody reads any more
  asio::any_io_executor executor;
  asio::steady_timer timer;  // of the strand: cancelled to wake whoever waits

  void push(AnswerEvent event) {
    {
      const std::lock_guard lock(mutex);
      if (abandoned) return;
      events.push_back(std::move(event));
      if (events.size() > 1) return;  // woken already
    }
    asio::post(executor, [self = shared_from_this()] { self->timer.cancel(); });
  }
};

namespace {

// Requests of one client at the scheduler at a time. Of texts for an encoder two passes' worth, so that the next pass
// is full when one ends.
constexpr size_t kTogether = 32, kTextsTogether = 2 * engine::kEncoderTexts;

std::vector<Probable> copied(std::span<const engine::TokenLogprob> top) {
  std::vector<Probable> out;
  out.reserve(top.size());
  for (const auto& t : top) out.push_back({t.token, t.logprob});
  return out;
}

// "sample: needs ..." becomes "response_format: needs ...", which from_error() reads.
void name_field(Error& e, const std::string& field) {
  const size_t colon = e.message.find(':');
  e.message = field + (colon == std::string::npos ? ": " + e.message : e.message.substr(colon));
}

}  // namespace

Answers::Answers(const Exchange& exchange, std::shared_ptr<ServedModel> model, std::vector<engine::Request> requests,
                 const std::string& prompt_field, std::optional<std::chrono::milliseconds> patience)
    : model_(std::move(model)),
      queue_(std::make_shared<Queue>(exchange.executor())),
      requests_(std::move(requests)),
      prompt_field_(prompt_field),
      patience_(patience) {
  handles_.reserve(size());
  if (patience_) timing_.resize(size());
  queue_->n_cached.assign(size(), 0);
  queue_->is_reading.assign(size(), 0);
  hand_in();
}

void Answers::hand_in() {
  const size_t n_together = model_->is_encoder() ? kTextsTogether : kTogether;
  while (handles_.size() < size() && handles_.size() - n_finished_ < n_together) {
    const size_t i = handles_.size();
    engine::Request& r = requests_[i];
    const auto queue = queue_;
    const auto n_prompt = static_cast<int64_t>(r.prompt.size());
    const bool tells_reading = r.events.reading != nullptr;
    const auto tell_reading = [queue, i](int64_t n_read) {
      queue->push({.index = i, .kind = AnswerEvent::Kind::reading, .n_read = n_read});
    };
    r.events.started = [queue, i, tells_reading, tell_reading](const engine::Started& s) {
      {
        const std::lock_guard lock(queue->mutex);
        queue->n_cached[i] = s.n_cached;
      }
      if (tells_reading) tell_reading(s.n_cached);
    };
    if (tells_reading) r.events.reading = [tell_reading](const engine::Reading& e) { tell_reading(e.n_read); };
    queue_->is_reading[i] = tells_reading;
    const auto all_read = [queue, i, n_prompt, tell_reading] {
      if (std::exchange(queue->is_reading[i], 0)) tell_reading(n_prompt);
    };
    r.events.token = [queue, i, all_read](const engine::TokenEvent& e) {
      all_read();
      queue->push(
          {.index = i, .token = e.token, .text = std::string(e.text), .logprob = e.logprob, .top = copied(e.top)});
    };
    if (r.n_prompt_probs >= 0 && r.events.prompt_token)
      r.events.prompt_token = [queue, i](const engine::PromptToken& e) {
        queue->push({.index = i,
                     .kind = AnswerEvent::Kind::prompt_token,
                     .token = e.token,
                     .logprob = e.logprob,
                     .rank = e.rank,
                     .top = copied(e.top)});
      };
    const auto* mask = dynamic_cast<const AskedMask*>(r.mask.get());
    r.events.finished = [queue, i, all_read,
                         field = mask ? mask->field() : std::string("logit_bias")](const engine::Finished& f) {
      if (f.reason == engine::FinishReason::stop || f.reason == engine::FinishReason::length) all_read();
      engine::Finished told = f;
      if (told.error && told.error->code == "engine.no_token") name_field(*told.error, field);
      queue->push({.index = i, .kind = AnswerEvent::Kind::finished, .finished = std::move(told)});
    };
    auto handle = model_->submit(std::move(r));
    if (!handle) {
      for (auto& h : handles_) h.cancel();
      ApiError error = from_error(handle.error(), prompt_field_);
      throw error;
    }
    handles_.push_back(std::move(*handle));
  }
}

Answers::~Answers() {
  {
    const std::lock_guard lock(queue_->mutex);
    queue_->abandoned = true;
  }
  if (!done())
    for (auto& h : handles_) h.cancel();
}

Awaitable<std::vector<AnswerEvent>> Answers::next(std::chrono::milliseconds patience) {
  std::vector<AnswerEvent> events;
  const auto take = [&] {
    const std::lock_guard lock(queue_->mutex);
    std::swap(events, queue_->events);
    return !events.empty();
  };
  const auto end = std::chrono::steady_clock::now() + patience;
  // Between take() and the wait nothing is lost: who wakes does it on this strand. It may do so for what was taken.
  while (!take() && std::chrono::steady_clock::now() < end) {
    queue_->timer.expires_at(end);
    boost::system::error_code woken;
    co_await queue_->timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
  }
  for (AnswerEvent& e : events) {
    n_finished_ += e.kind == AnswerEvent::Kind::finished;
    if (patience_) keep_time(e);
  }
  hand_in();
  co_return events;
}

void Answers::keep_time(AnswerEvent& e) {
  Timing& t = timing_[e.index];
  if (e.kind == AnswerEvent::Kind::token) {
    const auto now = Clock::now();
    if (!t.begun) t.first = now;
    t.begun = true;
    t.has_new_line = t.has_new_line || e.text.find('\n') != std::string::npos;
    if (t.cut || !t.has_new_line || now - t.first < *patience_) return;
    t.cut = true;
    handles_[e.index].cancel();
  } else if (t.cut && e.finished && e.finished->reason == engine::FinishReason::cancelled) {
    e.finished->reason = engine::FinishReason::length;
  }
}

int64_t Answers::n_cached(size_t index) const {
  const std::lock_guard lock(queue_->mutex);
  return queue_->n_cached[index];
}

void throw_if_failed(const engine::Finished& finished, const std::string& prompt_field) {
  if (finished.error) throw from_error(*finished.error, prompt_field);
}

}  // namespace watra::server
