#include "server/event_stream.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>

#include "home/ids.h"
#include "server/gathering.h"
#include "server/house_fields.h"
#include "watra_version.h"

namespace watra::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kEventsAtOnce = 256;
constexpr int64_t kMostBacklogBytes = 4 << 20;
constexpr auto kSlowWrite = std::chrono::milliseconds(500);
constexpr int64_t kLongestGatherMs = 2000;

std::string frame(int64_t seq, const std::string& json) { return fmt::format("id: {}\ndata: {}\n\n", seq, json); }

// Events of this connection alone: they carry the number of the newest one before them; to come back after, the one
// that this client has.
std::string own_frame(int64_t cursor, int64_t newest, std::string_view type, const Json& data) {
  home::Event e{.seq = newest, .at_ms = home::now_ms(), .type = std::string(type), .data = dump(data)};
  return frame(cursor, e.json());
}

}  // namespace

// Wakes a waiting stream from any thread.
struct EventStreams::Waker : std::enable_shared_from_this<Waker> {
  explicit Waker(const asio::any_io_executor& e) : executor(e), timer(e) {}
  asio::any_io_executor executor;
  asio::steady_timer timer;
  std::atomic<bool> posted{false}, news{false}, ended{false};
  std::atomic<bool> asks_session{false};                     // whether the one it came by is still there
  std::atomic<home::Urgency> hears{home::Urgency::figures};  // what is less urgent wakes nobody, it is looked for later

  void wake(home::Urgency urgency) {
    if (urgency > hears) return;
    news = true;
    if (posted.exchange(true)) return;
    asio::post(executor, [self = shared_from_this()] {
      self->posted = false;
      self->timer.cancel();
    });
  }
  // On the strand: until woken or `end`.
  Awaitable<void> wait_until(Clock::time_point end) {
    if (news.exchange(false)) co_return;
    timer.expires_at(end);
    boost::system::error_code woken;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    news = false;
  }
};

EventStreams::EventStreams(home::EventLog& events, Hearth& hearth, Entrance* entrance, const Limits& limits)
    : events_(events), hearth_(hearth), entrance_(entrance), limits_(limits) {
  if (entrance_) entrance_->people().on_end([this] { look_at_sessions(); });
}

EventStreams::~EventStreams() {
  if (entrance_) entrance_->people().on_end(nullptr);
}

void EventStreams::look_at_sessions() {
  const std::lock_guard lock(mutex_);
  for (const auto& waker : open_) {
    waker->asks_session = true;
    waker->wake(home::Urgency::news);
  }
}

bool EventStreams::has_ended(const std::string& session) const {
  return !session.empty() && entrance_ && !house_value(entrance_->people().session(session));
}

void EventStreams::add(Router& router) {
  router.add({.method = "GET",
              .pattern = "/watra/v1/events",
              .handler = [this](Exchange& x) { return serve(x); },
              .dialect = Dialect::watra,
              .access = Access::house});
}

void EventStreams::end_all() {
  const std::lock_guard lock(mutex_);
  ending_ = true;
  for (const auto& waker : open_) {
    waker->ended = true;
    waker->wake(home::Urgency::news);
  }
}

int EventStreams::n_open() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(open_.size());
}

Awaitable<void> EventStreams::serve(Exchange& x) {
  auto after = query_integer(x, "after", 0);
  if (const std::string last_id = x.header("Last-Event-ID"); !after && !last_id.empty()) {
    int64_t value = 0;
    const auto [end, ec] = std::from_chars(last_id.data(), last_id.data() + last_id.size(), value);
    if (ec == std::errc() && end == last_id.data() + last_id.size() && value >= 0) after = value;
  }
  Gathering gathering(std::chrono::milliseconds(query_integer(x, "gather_ms", 0, kLongestGatherMs).value_or(0)));
  // Leaves the list however this ends.
  struct Entry {
    EventStreams& streams;
    std::shared_ptr<Waker> waker;
    ~Entry() {
      const std::lock_guard lock(streams.mutex_);
      streams.open_.erase(waker);
    }
  };
  const Entry entry{*this, std::make_shared<Waker>(x.executor())};
  Waker& waker = *entry.waker;
  {
    const std::lock_guard lock(mutex_);
    open_.insert(entry.waker);
    waker.ended = ending_;
  }
  // Subscribed before it is looked: nothing falls between.
  const auto subscription = events_.subscribe([w = entry.waker](home::Urgency urgency) { w->wake(urgency); });
  const int64_t newest = house_value(events_.newest());
  int64_t cursor = after.value_or(newest);
  auto page = house_value(events_.read(cursor, kEventsAtOnce));
  const bool resumed = page.complete;
  if (!resumed) {
    cursor = newest;
    page.events.clear();
  }
  co_await x.begin_stream("text/event-stream");
  std::string out = own_frame(cursor, newest, "engine.hello",
                              {{"version", kVersion}, {"boot", events_.boot()}, {"resumed", resumed}});
  out += own_frame(cursor, newest, "hearth.state", hearth_.now());
  // Other processes end sessions too (`watra password`): it is looked every so often, however much there is to tell.
  auto session_at = Clock::now() + limits_.ping;
  for (auto ping_at = Clock::now() + limits_.ping;;) {
    for (const home::Event& e : page.events) out += frame(e.seq, e.json());
    if (!page.events.empty()) {
      cursor = page.events.back().seq;
      gathering.went_out(page.events, Clock::now());
    }
    if (!out.empty()) {
      const auto began = Clock::now();
      co_await x.write(std::exchange(out, {}));
      if (Clock::now() - began > kSlowWrite &&
          house_value(events_.bytes_after(std::max(cursor, newest))) > kMostBacklogBytes)
        break;  // it comes back and resumes
      ping_at = Clock::now() + limits_.ping;
    }
    // What it is to be woken for is said before it is looked: nothing falls between.
    bool due = false, is_out = false;
    while (!waker.ended) {
      const auto now = Clock::now();
      if (waker.asks_session.exchange(false) || now >= session_at) {
        session_at = now + limits_.ping;
        if ((is_out = has_ended(x.caller.session))) break;
      }
      waker.hears = gathering.hears(now);
      page = house_value(events_.read(cursor, kEventsAtOnce));
      due = page.events.size() == kEventsAtOnce || gathering.is_due(page.events, now);
      if (due || now >= ping_at) break;
      const bool hears_all = waker.hears == home::Urgency::figures;
      co_await waker.wait_until(hears_all ? ping_at : std::min(gathering.until(), ping_at));
    }
    if (waker.ended || is_out) break;
    if (due) continue;
    page.events.clear();
    out = ": ping\n\n";
  }
  co_await x.end_stream();
}

}  // namespace watra::server
