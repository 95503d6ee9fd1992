#include "home/events.h"

#include "home/ids.h"

namespace watra::home {
namespace {

constexpr int64_t kKept = 100'000;
constexpr int64_t kKeptMs = int64_t{24} * 3600 * 1000;
constexpr int kTrimEvery = 512;  // events

}  // namespace

Urgency urgency_of(std::string_view type) {
  if (type == "answer.piece") return Urgency::words;
  return type == "answer.progress" || type == "hearth.state" ? Urgency::figures : Urgency::news;
}

std::string Event::json() const {
  const auto quoted = [](const std::optional<std::string>& id) { return id ? dump(Json(*id)) : std::string("null"); };
  return fmt::format(R"({{"v":1,"seq":{},"at":{},"type":"{}","thread":{},"node":{},"data":{}}})", seq, at_ms, type,
                     quoted(thread), quoted(node), data);
}

EventLog::EventLog(Database& db) : db_(db), boot_(make_id("b_")) {}

int64_t EventLog::publish(std::string_view type, const std::optional<std::string>& thread,
                          const std::optional<std::string>& node, const Json& data) {
  const auto held = db_.lock();
  db_.run("INSERT INTO events(at_ms, type, thread_id, node_id, data) VALUES(?,?,?,?,?)", now_ms(), type, thread, node,
          dump(data));
  const int64_t seq = db_.last_rowid();
  if (--until_trim_ < 0) trim();
  db_.after_commit([this, urgency = urgency_of(type)] { wake_all(urgency); });
  return seq;
}

Status EventLog::tell(std::string_view type, const std::optional<std::string>& thread,
                      const std::optional<std::string>& node, const Json& data) {
  return guarded([&] {
    Transaction t(db_);
    publish(type, thread, node, data);
    t.commit();
  });
}

int64_t EventLog::last() const {
  Statement s = db_.query("SELECT seq FROM sqlite_sequence WHERE name = 'events'");
  return s.step() ? s.integer(0) : 0;
}

Result<EventLog::Page> EventLog::read(int64_t after, size_t limit) const {
  return guarded([&] {
    const auto held = db_.lock();
    Page page;
    Statement s =
        db_.query("SELECT seq, at_ms, type, thread_id, node_id, data FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
                  after, static_cast<int64_t>(limit));
    while (s.step())
      page.events.push_back({s.integer(0), s.integer(1), s.text(2), s.maybe_text(3), s.maybe_text(4), s.text(5)});
    Statement oldest = db_.query("SELECT trimmed_to FROM events_kept");
    page.complete = after <= last() && after >= (oldest.step() ? oldest.integer(0) : 0);
    return page;
  });
}

Result<int64_t> EventLog::newest() const {
  return guarded([&] { return last(); });
}

Result<int64_t> EventLog::bytes_after(int64_t seq) const {
  constexpr int64_t kAround = 100;  // number, time, type
  return guarded([&] {
    Statement s = db_.query("SELECT coalesce(sum(length(data) + ?), 0) FROM events WHERE seq > ?", kAround, seq);
    s.step();
    return s.integer(0);
  });
}

bool EventLog::has_listeners() const {
  const std::lock_guard lock(mutex_);
  return !wakes_.empty();
}

void EventLog::forget_node(const std::string& node) { db_.run("DELETE FROM events WHERE node_id = ?", node); }
void EventLog::forget_thread(const std::string& thread) { db_.run("DELETE FROM events WHERE thread_id = ?", thread); }

void EventLog::trim() {
  until_trim_ = kTrimEvery;
  Statement s = db_.query("SELECT max(coalesce((SELECT max(seq) FROM events WHERE at_ms < ?), 0), ?)",
                          now_ms() - kKeptMs, last() - kKept);
  s.step();
  const int64_t upto = s.integer(0);
  if (upto <= 0) return;
  if (db_.run("DELETE FROM events WHERE seq <= ?", upto) > 0) db_.run("UPDATE events_kept SET trimmed_to = ?", upto);
}

EventLog::Subscription EventLog::subscribe(Wake wake) {
  const std::lock_guard lock(mutex_);
  const uint64_t number = next_number_++;
  wakes_.emplace(number, std::make_shared<Wake>(std::move(wake)));
  return {*this, number};
}

EventLog::Subscription& EventLog::Subscription::operator=(Subscription&& other) noexcept {
  end();
  log_ = std::exchange(other.log_, nullptr);
  number_ = other.number_;
  return *this;
}

void EventLog::Subscription::end() {
  if (!log_) return;
  const std::lock_guard lock(log_->mutex_);
  log_->wakes_.erase(number_);
  log_ = nullptr;
}

void EventLog::wake_all(Urgency urgency) const {
  std::vector<std::shared_ptr<Wake>> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, wake] : wakes_) all.push_back(wake);
  }
  for (const auto& wake : all) (*wake)(urgency);
}

}  // namespace watra::home
