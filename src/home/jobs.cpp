#include "home/jobs.h"

#include <algorithm>

#include "base/log.h"
#include "base/thread_start.h"
#include "home/ids.h"

namespace watra::home {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kTellEvery = std::chrono::milliseconds(250);
constexpr double kRateWindow_s = 3;  // a rate is smoothed over
constexpr int64_t kEndedKept = 50;

Json parsed(const std::optional<std::string>& text) { return text ? Json::parse(*text) : Json(nullptr); }

Job row_of(const Statement& s) {
  Job job{.id = s.text(0), .kind = s.text(1), .title = s.text(2), .subject = s.maybe_text(3), .state = s.text(4)};
  if (!s.is_null(5)) job.progress = s.real(5);
  job.done_bytes = s.integer(6);
  job.total_bytes = s.integer(7);
  job.created_ms = s.integer(8);
  job.ended_ms = s.maybe_integer(9);
  job.error = parsed(s.maybe_text(10));
  job.result = parsed(s.maybe_text(11));
  return job;
}

constexpr std::string_view kColumns =
    "SELECT id, kind, title, subject, state, progress, done_bytes, total_bytes, created_ms, ended_ms, error, result "
    "FROM jobs ";

}  // namespace

Json Job::json() const {
  return {{"id", id},
          {"kind", kind},
          {"title", title},
          {"subject", or_null(subject)},
          {"state", state},
          {"progress", or_null(progress)},
          {"done_bytes", done_bytes},
          {"total_bytes", total_bytes},
          {"bytes_per_s", bytes_per_s},
          {"left_s", or_null(left_s)},
          {"created_ms", created_ms},
          {"ended_ms", or_null(ended_ms)},
          {"error", error},
          {"result", result}};
}

class Jobs::Running final : public JobControl {
 public:
  Running(Jobs& jobs, Job job) : jobs_(jobs), job_(std::move(job)), id_(job_.id) {}

  const std::string& id() const override { return id_; }
  bool cancelled() const override { return cancelled_; }
  void cancel() { cancelled_ = true; }

  bool is_kept = false;  // its row is written; with the lock of Jobs

  Job job() const {
    const std::lock_guard lock(mutex_);
    return job_;
  }
  Job end(std::string state, Json error, Json result) {
    const std::lock_guard lock(mutex_);
    job_.state = std::move(state);
    job_.error = std::move(error);
    job_.result = std::move(result);
    job_.ended_ms = now_ms();
    job_.left_s.reset();
    if (job_.state == "done") job_.progress = 1;
    return job_;
  }

  void progress(uint64_t done, uint64_t total) override {
    update([&] {
      const auto done_bytes = static_cast<int64_t>(done);
      const auto now = Clock::now();
      const double seconds = std::chrono::duration<double>(now - rate_since_).count();
      if (done_bytes < job_.done_bytes || !rate_known_) {  // begun anew, or going on from what was there
        rate_known_ = true;
        rate_from_ = done_bytes;
        rate_since_ = now;
        job_.bytes_per_s = 0;
      } else if (seconds >= 0.2) {
        const double rate = static_cast<double>(done_bytes - rate_from_) / seconds;
        const double weight = job_.bytes_per_s > 0 ? std::min(1.0, seconds / kRateWindow_s) : 1.0;
        job_.bytes_per_s += weight * (rate - job_.bytes_per_s);
        rate_from_ = done_bytes;
        rate_since_ = now;
      }
      job_.done_bytes = done_bytes;
      if (total > 0) job_.total_bytes = static_cast<int64_t>(total);
      if (job_.total_bytes <= 0) return;
      job_.progress = std::min(1.0, static_cast<double>(done_bytes) / static_cast<double>(job_.total_bytes));
      job_.left_s = std::nullopt;
      if (job_.bytes_per_s > 0)
        job_.left_s = static_cast<double>(std::max<int64_t>(0, job_.total_bytes - done_bytes)) / job_.bytes_per_s;
    });
  }
  void share(double done) override {
    update([&] {
      job_.progress = std::clamp(done, 0.0, 1.0);
      const double seconds = static_cast<double>(now_ms() - job_.created_ms) / 1000;
      job_.left_s = std::nullopt;
      if (done > 0.02) job_.left_s = seconds * (1 - done) / done;
    });
  }

 private:
  template <class F>
  void update(F change) {
    Job told;
    {
      const std::lock_guard lock(mutex_);
      change();
      const auto now = Clock::now();
      if (now - told_at_ < kTellEvery) return;
      told_at_ = now;
      told = job_;
    }
    jobs_.tell(told);
  }

  Jobs& jobs_;
  mutable std::mutex mutex_;
  Job job_;
  const std::string id_;
  std::atomic<bool> cancelled_{false};
  bool rate_known_ = false;
  int64_t rate_from_ = 0;
  Clock::time_point rate_since_{}, told_at_ = Clock::now();
};

Jobs::Jobs(Database& db, EventLog& events) : db_(db), events_(events) {
  const auto closed = guarded([&] {
    const Json error = {{"code", "job.interrupted"}, {"message", "the server ended before this was done"}};
    Transaction t(db_);
    db_.run("UPDATE jobs SET state = 'failed', ended_ms = ?, error = ? WHERE state IN ('waiting', 'running')", now_ms(),
            dump(error));
    t.commit();
  });
  if (!closed) log::error("jobs of before could not be closed: {}", closed.error().message);
}

Jobs::~Jobs() { close(); }

void Jobs::close() {
  std::unique_lock lock(mutex_);
  ending_ = true;
  for (const auto& [id, running] : running_) running->cancel();
  changed_.wait(lock, [&] { return running_.empty(); });
}

Result<Job> Jobs::start(Wish wish) {
  WATRA_ASSIGN(Begun begun, begin(std::move(wish), false));
  return std::move(begun.job);
}

Result<Jobs::Begun> Jobs::start_once(Wish wish) { return begin(std::move(wish), true); }

Result<Jobs::Begun> Jobs::begin(Wish wish, bool once) {
  Job job{.id = make_id("j_"), .kind = wish.kind, .title = wish.title, .subject = wish.subject};
  job.created_ms = now_ms();
  job.total_bytes = static_cast<int64_t>(wish.total_bytes);
  if (job.total_bytes > 0) job.progress = 0;
  const auto running = std::make_shared<Running>(*this, job);
  {
    std::unique_lock lock(mutex_);
    while (const auto other = once && wish.subject && !ending_ ? find_running(wish.kind, *wish.subject) : nullptr) {
      if (other->is_kept) return Begun{other->job(), false};
      changed_.wait(lock);  // another one just begins: its row may not come to be
    }
    if (ending_) return fail("job.stopping", "the server is stopping");
    running_.emplace(job.id, running);
  }
  const auto begun = guarded([&] {
    Transaction t(db_);
    db_.run(
        "INSERT INTO jobs(id, kind, title, subject, state, progress, done_bytes, total_bytes, created_ms) "
        "VALUES(?,?,?,?,?,?,?,?,?)",
        job.id, job.kind, job.title, job.subject, job.state, job.progress, job.done_bytes, job.total_bytes,
        job.created_ms);
    events_.publish("job.changed", std::nullopt, std::nullopt, job.json());
    t.commit();
  });
  if (!begun) {
    const std::lock_guard lock(mutex_);
    running_.erase(job.id);
    changed_.notify_all();
    return fail(begun.error());
  }
  {
    const std::lock_guard lock(mutex_);
    running->is_kept = true;
  }
  changed_.notify_all();
  const auto shared = std::make_shared<Wish>(std::move(wish));
  auto thread = start_thread(shared->title, [this, running, shared] { run(running, *shared); });
  if (!thread) {  // it is written down already: so is why it did not begin
    finish(running, *shared, fail(thread.error()));
    return fail(std::move(thread).error());
  }
  thread->detach();
  return Begun{std::move(job), true};
}

namespace {

// What work throws in spite of its promise ends the job, not the program.
Result<Json> carried_out(const Jobs::Wish& wish, JobControl& control) {
  try {
    return wish.work(control);
  } catch (const std::bad_alloc&) {
    return fail("job.no_memory", "there is no memory for this");
  } catch (const std::exception& e) {
    log::error("{} {}: {}", wish.kind, control.id(), e.what());
  } catch (...) {  // whoever wishes for jobs may throw errors that are no std::exception
    log::error("{} {}: an error of its own", wish.kind, control.id());
  }
  return fail("job.failed", "an unexpected error ended this");
}

void tell_end(const Jobs::Wish& wish, const Job& over) {
  try {
    if (wish.ended) wish.ended(over);
  } catch (const std::exception& e) {
    log::error("{} {}: {}", wish.kind, over.id, e.what());
  } catch (...) {
    log::error("{} {}: an error when its end was told", wish.kind, over.id);
  }
}

}  // namespace

void Jobs::run(const std::shared_ptr<Running>& running, Wish& wish) {
  finish(running, wish, carried_out(wish, *running));
}

void Jobs::finish(const std::shared_ptr<Running>& running, Wish& wish, Result<Json> done) {
  std::string state = "done";
  Json error, result;
  if (done) {
    result = std::move(*done);
  } else {
    const Error& e = done.error();
    const bool was_told_to = running->cancelled() && std::string_view(e.code).ends_with("cancelled");
    state = was_told_to ? "cancelled" : "failed";
    if (!was_told_to) error = {{"code", e.code}, {"message", e.message}};
    if (!was_told_to && !e.hint.empty()) error["hint"] = e.hint;
  }
  const Job over = running->end(std::move(state), std::move(error), std::move(result));
  tell(over);
  tell_end(wish, over);
  wish = {};  // what it holds goes before close() may go on
  const std::lock_guard lock(mutex_);
  running_.erase(over.id);
  changed_.notify_all();
}

void Jobs::tell(const Job& job) {
  const auto told = guarded([&] {
    Transaction t(db_);
    // What is under way lives in memory; the row follows, for the time after a crash.
    db_.run(
        "UPDATE jobs SET state = ?, progress = ?, done_bytes = ?, total_bytes = ?, ended_ms = ?, error = ?, "
        "result = ? WHERE id = ?",
        job.state, job.progress, job.done_bytes, job.total_bytes, job.ended_ms, job.error, job.result, job.id);
    if (job.is_over())
      db_.run(
          "DELETE FROM jobs WHERE ended_ms IS NOT NULL AND id NOT IN "
          "(SELECT id FROM jobs WHERE ended_ms IS NOT NULL ORDER BY ended_ms DESC, id LIMIT ?)",
          kEndedKept);
    events_.publish("job.changed", std::nullopt, std::nullopt, job.json());
    t.commit();
  });
  if (!told) log::error("the progress of a job could not be told: {}", told.error().message);
}

Result<Job> Jobs::cancel(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = running_.find(id); it != running_.end()) {
      it->second->cancel();
      return it->second->job();
    }
  }
  return find(id);
}

Result<Job> Jobs::find(const std::string& id) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = running_.find(id); it != running_.end()) return it->second->job();
  }
  return guarded([&] {
    Statement s = db_.query(std::string(kColumns) + "WHERE id = ?", id);
    if (!s.step()) refuse("job.unknown", fmt::format("there is no job {}", id));
    return row_of(s);
  });
}

Result<std::vector<Job>> Jobs::list() const {
  std::map<std::string, Job> now;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, running] : running_) now.emplace(id, running->job());
  }
  return guarded([&] {
    std::vector<Job> jobs;
    Statement s = db_.query(std::string(kColumns) + "ORDER BY created_ms DESC, rowid DESC");
    while (s.step()) {
      const auto it = now.find(s.text(0));
      jobs.push_back(it == now.end() ? row_of(s) : it->second);
    }
    return jobs;
  });
}

std::optional<Job> Jobs::under_way(std::string_view kind, std::string_view subject) const {
  const std::lock_guard lock(mutex_);
  const auto running = find_running(kind, subject);
  return running && running->is_kept ? std::optional(running->job()) : std::nullopt;
}

std::shared_ptr<Jobs::Running> Jobs::find_running(std::string_view kind, std::string_view subject) const {
  for (const auto& [id, running] : running_) {
    const Job job = running->job();
    if (job.kind == kind && job.subject == subject && !job.is_over()) return running;
  }
  return nullptr;
}

}  // namespace watra::home
