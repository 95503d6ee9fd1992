#include "hub/download.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <deque>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/memory.h"
#include "base/thread_start.h"
#include "hub/download_state.h"
#include "hub/sha256.h"

namespace watra::hub {
namespace {

constexpr auto kSaveEvery = std::chrono::seconds(1);
// A file may change while it is fetched, and two servers behind one name may disagree; a third time is no accident.
constexpr int kMaxBeginnings = 3;
// Left free on the disk, so that nothing else of the person's breaks when the download is through.
constexpr uint64_t kReserveBytes = 16 << 20;

// "bytes 0-99/1000": begin and total of a range answer.
struct RangeFacts {
  uint64_t begin = 0, total = 0;
};
std::optional<RangeFacts> parse_content_range(const std::string& text) {
  unsigned long long begin = 0, end = 0, total = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "bytes %llu-%llu/%llu%c", &begin, &end, &total, &rest) != 3) return std::nullopt;
  if (end < begin || end >= total) return std::nullopt;
  return RangeFacts{begin, total};
}

class Download {
 public:
  Download(const DownloadJob& job, RemoteFile remote, const DownloadSettings& settings, const Watcher& watch)
      : job_(job), settings_(settings), watch_(watch), remote_(std::move(remote)), http_(settings.http) {
    const auto outer = http_.cancelled;
    http_.cancelled = [this, outer] { return stop_.load() || watch_.stopped() || (outer && outer()); };
  }

  Result<Downloaded> run();

 private:
  Status begin();
  Status check_space(uint64_t already_bytes) const;
  Status fetch_ranges();
  void worker();
  void work_blocks();
  bool leave(size_t block);
  Result<bool> fetch_block(HttpClient& client, size_t block);
  Status fetch_piece(HttpClient& client, uint64_t& at, uint64_t end, bool from_origin, int* retry_after_s);
  Status fetch_stream();
  Status stream_once(HttpClient& client, int* retry_after_s);
  Status block_done(size_t block);
  Result<Downloaded> check();
  void fail_with(Error error);
  void report() const { watch_.report(job_.label, done_bytes_, remote_.bytes.value_or(0)); }
  tl::unexpected<Error> stopped_error() const {
    return fail("hub.cancelled", fmt::format("pulling {} was stopped", job_.label),
                "the same command goes on where this one stopped");
  }
  tl::unexpected<Error> changed_error() const {
    return fail("hub.changed", fmt::format("{} has changed on the server while it was downloaded", job_.label),
                "pull again");
  }

  const DownloadJob& job_;
  const DownloadSettings& settings_;
  const Watcher& watch_;
  RemoteFile remote_;
  HttpSettings http_;
  File file_;
  std::optional<DownloadState> state_;

  std::atomic<uint64_t> done_bytes_{0};
  std::vector<uint64_t> block_at_;  // how far each block is; touched by the worker that has it
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // guards what follows, and state_
  std::optional<Error> error_;
  std::deque<size_t> pending_;  // blocks nobody has
  size_t n_active_ = 0;         // workers
  Url fetch_url_;               // behind the redirects; signed addresses expire and are then found anew
  std::mutex save_mutex_;
  std::chrono::steady_clock::time_point saved_at_{};
};

Status Download::check_space(uint64_t already_bytes) const {
  if (!remote_.bytes) return {};
  WATRA_ASSIGN(const uint64_t free_bytes, settings_.free_space(job_.part.parent_path()));
  const uint64_t left = *remote_.bytes - std::min(*remote_.bytes, already_bytes);
  if (free_bytes >= kReserveBytes && left <= free_bytes - kReserveBytes) return {};
  return fail("hub.no_space",
              fmt::format("{} needs {} more on the disk of {}, {} are free", job_.label, format_bytes(left),
                          job_.part.parent_path().string(), format_bytes(free_bytes)),
              "make room (watra list, watra rm NAME), or use another folder (--home DIR)");
}

// Opens the unfinished file and finds out what of it can be kept.
Status Download::begin() {
  WATRA_TRY(make_folders(job_.part.parent_path()));
  WATRA_ASSIGN(file_, File::open(job_.part, File::Mode::read_write));
  state_.reset();
  fetch_url_ = remote_.final_url;
  if (remote_.ranges) {
    WATRA_ASSIGN(const uint64_t there, file_.size_bytes());
    const std::string source = job_.origin.url.to_string();
    state_ = DownloadState::load(job_.state, source, remote_.identity, *remote_.bytes);
    if (state_ && there != *remote_.bytes) state_.reset();
    if (!state_) {
      WATRA_TRY(file_.truncate(0));  // gives back the room of what cannot be used
      WATRA_TRY(check_space(0));     // a size that no disk has is refused before anything is made for it
      state_.emplace(source, remote_.identity, *remote_.bytes, DownloadState::block_bytes_for(*remote_.bytes));
    }
    WATRA_TRY(check_space(state_->done_bytes()));
    WATRA_TRY(file_.truncate(*remote_.bytes));
    WATRA_TRY(state_->save(job_.state));
    done_bytes_ = state_->done_bytes();
    if (done_bytes_ > 0) log::info("{}: {} are here already", job_.label, format_bytes(done_bytes_));
  } else {
    std::error_code ec;
    fs::remove(job_.state, ec);
    WATRA_TRY(file_.truncate(0));
    WATRA_TRY(check_space(0));
    done_bytes_ = 0;
  }
  return {};
}

void Download::fail_with(Error error) {
  std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error);
  stop_ = true;
}

Status Download::block_done(size_t block) {
  {
    std::lock_guard lock(mutex_);
    state_->set_done(block);
  }
  std::unique_lock saving(save_mutex_, std::try_to_lock);
  const auto now = std::chrono::steady_clock::now();
  if (!saving.owns_lock() || now - saved_at_ < kSaveEvery) return {};
  saved_at_ = now;
  DownloadState snapshot = [&] {
    std::lock_guard lock(mutex_);
    return *state_;
  }();
  WATRA_TRY(file_.sync());  // first the bytes, then the note that they are there
  return snapshot.save(job_.state);
}

// Bytes [at, end) of the file; `at` moves as they come.
Status Download::fetch_piece(HttpClient& client, uint64_t& at, uint64_t end, bool from_origin, int* retry_after_s) {
  HttpRequest request;
  bool use_if_range = false;
  if (from_origin) {
    request = job_.origin.request();
  } else {
    std::lock_guard lock(mutex_);
    if (fetch_url_.same_origin(job_.origin.url)) request = job_.origin.request();
    request.url = fetch_url_;
    use_if_range = fetch_url_.same_origin(remote_.final_url) && !remote_.final_etag.empty();
  }
  request.headers.emplace_back("Range", fmt::format("bytes={}-{}", at, end - 1));
  if (use_if_range) request.headers.emplace_back("If-Range", remote_.final_etag);

  Status verdict;
  const auto head = [&](const HttpReply& reply) -> Result<bool> {
    if (reply.status != 206) {
      if (reply.status == 200 || reply.status == 416)
        verdict = changed_error();
      else
        verdict = fail(error_of_status(reply, request.url, job_.origin));
      *retry_after_s = retry_after_seconds(reply);
      return false;
    }
    const auto range = parse_content_range(reply.header("Content-Range"));
    if (!range || range->begin != at)
      verdict = fail("hub.protocol", fmt::format("{} sends another range than bytes {}-{}: '{}'",
                                                 request.url.authority(), at, end - 1, reply.header("Content-Range")));
    else if (range->total != *remote_.bytes)
      verdict = changed_error();
    else if (const std::string etag = reply.header("ETag"); use_if_range && !etag.empty() && etag != remote_.final_etag)
      verdict = changed_error();
    return verdict.has_value();
  };
  const auto body = [&](std::span<const std::byte> data) -> Status {
    if (data.size() > end - at)
      return fail("hub.protocol", fmt::format("{} sends more than was asked for", request.url.authority()));
    WATRA_TRY(file_.write_at(at, data));
    at += data.size();
    done_bytes_ += data.size();
    report();
    return {};
  };
  WATRA_ASSIGN(const Followed followed, client.follow(request, head, body));
  WATRA_TRY(verdict);
  if (from_origin) {
    std::lock_guard lock(mutex_);
    fetch_url_ = followed.url();
  }
  return {};
}

// The block back to the others, when there are any: a server that allows fewer connections is served by fewer.
bool Download::leave(size_t block) {
  std::lock_guard lock(mutex_);
  if (n_active_ <= 1) return false;
  --n_active_;
  pending_.push_front(block);
  log::info("{}: going on with {} connections", job_.label, n_active_);
  return true;
}

// False when the block was left to the others.
Result<bool> Download::fetch_block(HttpClient& client, size_t block) {
  Retry retry(settings_.retry, http_.cancelled);
  uint64_t& at = block_at_[block];
  const uint64_t end = state_->block_end(block);
  bool from_origin = false;
  int idle_failures = 0;
  while (at < end) {
    const uint64_t before = at;
    int retry_after_s = -1;
    const Status fetched = fetch_piece(client, at, end, from_origin, &retry_after_s);
    if (at > before) {
      retry.progressed();
      idle_failures = 0;
    }
    if (fetched) {
      from_origin = false;
      if (at == before)
        return fail("hub.protocol", fmt::format("{} sends an empty range", job_.origin.url.authority()));
      continue;
    }
    const Error& error = fetched.error();
    // A signed address that has expired: the origin gives a new one.
    const bool refused = error.code == "hub.gated" || error.code == "hub.denied" || error.code == "hub.not_found";
    if (refused && !from_origin) {
      from_origin = true;
      continue;
    }
    const bool too_many = error.code == "hub.rate_limited" || error.code == "hub.busy_server";
    if ((too_many || (is_transient(error) && ++idle_failures >= 2)) && leave(block)) return false;
    if (!retry.again(error, retry_after_s)) return fail(error);
  }
  return true;
}

// On a thread of its own, as a rule: nothing is thrown.
void Download::worker() {
  try {
    work_blocks();
  } catch (const std::bad_alloc&) {
    fail_with({"hub.no_memory", fmt::format("there is no memory to pull {}", job_.label),
               "close other programs; the same command goes on where this one stopped"});
  } catch (const std::exception& e) {
    fail_with({"hub.failed", fmt::format("{} could not be pulled: {}", job_.label, e.what()),
               "the same command goes on where this one stopped"});
  }
}

void Download::work_blocks() {
  HttpClient client(http_);
  for (;;) {
    size_t block;
    {
      std::lock_guard lock(mutex_);
      if (pending_.empty() || stop_) {
        --n_active_;
        return;
      }
      block = pending_.front();
      pending_.pop_front();
    }
    const auto fetched = fetch_block(client, block);
    if (!fetched) return fail_with(fetched.error());
    if (!*fetched) return;
    if (const Status noted = block_done(block); !noted) return fail_with(noted.error());
  }
}

Status Download::fetch_ranges() {
  stop_ = false;
  error_.reset();
  report();
  {
    pending_.clear();
    block_at_.clear();
    for (size_t b = 0; b < state_->n_blocks(); ++b) {
      block_at_.push_back(state_->block_begin(b));
      if (!state_->is_done(b)) pending_.push_back(b);
    }
    const size_t n = std::min(static_cast<size_t>(std::max(1, settings_.connections)), pending_.size());
    n_active_ = n;
    std::vector<std::thread> workers;
    workers.reserve(n);
    while (workers.size() + 1 < n) {
      auto thread = start_thread("another connection", [this] { worker(); });
      if (!thread) {  // then fewer of them fetch it
        const std::lock_guard lock(mutex_);
        n_active_ -= n - workers.size() - 1;
        log::info("{}: {}", job_.label, thread.error().message);
        break;
      }
      workers.push_back(std::move(*thread));
    }
    if (n > 0) worker();  // this thread is one of them
    for (std::thread& t : workers) t.join();
  }
  if (watch_.stopped()) error_ = stopped_error().value();
  if (error_) {
    if (file_.sync()) (void)state_->save(job_.state);  // the first error counts; an older state only costs time
    return fail(*error_);
  }
  return {};
}

Status Download::stream_once(HttpClient& client, int* retry_after_s) {
  HttpRequest request = job_.origin.request();
  done_bytes_ = 0;
  Status verdict;
  const auto head = [&](const HttpReply& reply) -> Result<bool> {
    if (reply.status != 200) {
      verdict = fail(error_of_status(reply, request.url, job_.origin));
      *retry_after_s = retry_after_seconds(reply);
    } else if (remote_.bytes && reply.body_bytes && *reply.body_bytes != *remote_.bytes) {
      verdict = changed_error();
    }
    return verdict.has_value();
  };
  const auto body = [&](std::span<const std::byte> data) -> Status {
    if (remote_.bytes && data.size() > *remote_.bytes - done_bytes_) return changed_error();
    WATRA_TRY(file_.write_at(done_bytes_, data));
    done_bytes_ += data.size();
    report();
    return {};
  };
  WATRA_TRY(client.follow(request, head, body));
  WATRA_TRY(verdict);
  if (remote_.bytes && done_bytes_ != *remote_.bytes)
    return fail("hub.cut",
                fmt::format("{} ended after {} of {} bytes", job_.label, done_bytes_.load(), *remote_.bytes));
  remote_.bytes = done_bytes_.load();
  return file_.truncate(done_bytes_);
}

Status Download::fetch_stream() {
  log::info("{}: the server knows no ranges; a stopped download begins anew", job_.label);
  stop_ = false;
  HttpClient client(http_);
  Retry retry(settings_.retry, http_.cancelled);
  uint64_t farthest = 0;
  for (;;) {
    int retry_after_s = -1;
    const Status streamed = stream_once(client, &retry_after_s);
    if (watch_.stopped()) return stopped_error();
    if (streamed) return {};
    if (done_bytes_ > farthest) retry.progressed();
    farthest = std::max<uint64_t>(farthest, done_bytes_);
    if (!retry.again(streamed.error(), retry_after_s)) return streamed;
  }
}

Result<Downloaded> Download::check() {
  WATRA_TRY(file_.sync());
  if (state_) WATRA_TRY(state_->save(job_.state));  // whoever is killed from here on only checks again
  Downloaded d;
  d.bytes = *remote_.bytes;
  d.identity = remote_.identity;
  WATRA_ASSIGN(d.sha256, sha256_of_file(job_.part, d.bytes, "checking " + job_.label, watch_));
  const std::string wanted = !job_.sha256.empty() ? job_.sha256 : remote_.sha256.value_or("");
  d.verified = !wanted.empty();
  std::error_code ec;
  if (d.verified && d.sha256 != wanted) {
    fs::remove(job_.part, ec);
    fs::remove(job_.state, ec);
    return fail("hub.checksum",
                fmt::format("{} came out wrong: SHA-256 wanted {}, found {}", job_.label, wanted, d.sha256),
                "what was downloaded was removed; pull again, and if it stays so, do not trust this source");
  }
  return d;
}

Result<Downloaded> Download::run() {
  for (int beginning = 1;; ++beginning) {
    if (!job_.sha256.empty() && remote_.sha256 && *remote_.sha256 != job_.sha256)
      return fail("hub.checksum",
                  fmt::format("{} on the server is another file: SHA-256 wanted {}, offered {}", job_.label,
                              job_.sha256, *remote_.sha256),
                  "nothing was downloaded; this source has changed");
    WATRA_TRY(begin());
    const Status fetched = remote_.ranges ? fetch_ranges() : fetch_stream();
    if (fetched) return check();
    if (fetched.error().code != "hub.changed" || beginning == kMaxBeginnings) return fail(fetched.error());
    log::info("{}; beginning anew", fetched.error().message);
    stop_ = false;
    HttpClient client(http_);
    const RemoteFile before = std::move(remote_);
    WATRA_ASSIGN(remote_, ask_patiently(client, job_.origin, settings_));
    // The same file, and still it would not send a range of it: then as one stream.
    if (remote_.ranges && remote_.identity == before.identity && remote_.final_etag == before.final_etag &&
        remote_.bytes == before.bytes)
      remote_.ranges = false;
  }
}

}  // namespace

Result<RemoteFile> ask_patiently(HttpClient& client, const Origin& origin, const DownloadSettings& settings) {
  Retry retry(settings.retry, settings.http.cancelled);
  for (;;) {
    int retry_after_s = -1;
    auto remote = ask_about(client, origin, &retry_after_s);
    if (remote || remote.error().code == "hub.unreachable" || !retry.again(remote.error(), retry_after_s))
      return remote;
  }
}

Result<Downloaded> download(const DownloadJob& job, RemoteFile remote, const DownloadSettings& settings,
                            const Watcher& watch) {
  return Download(job, std::move(remote), settings, watch).run();
}

}  // namespace watra::hub
