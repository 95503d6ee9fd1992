#include "server/shelf/model_hashes.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>

#include "base/log.h"
#include "base/thread_priority.h"
#include "base/thread_start.h"
#include "hub/receipt.h"
#include "hub/sha256.h"

namespace watra::server {
namespace {

using Clock = std::chrono::steady_clock;

// A millisecond of work, after which it is asked whether somebody else has need of the machine.
constexpr size_t kPiece = size_t{1} << 20;
constexpr size_t kAlignment = 4096;  // of direct reads
constexpr auto kLookAgain = std::chrono::milliseconds(200);

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};

}  // namespace

fs::path name_of(const ModelFileList& files) {
  std::error_code ec;
  const fs::path whole = fs::absolute(files.front(), ec);
  return ec ? files.front() : whole;
}

std::optional<std::string> stamp_of(const ModelFileList& files) {
  std::string out;
  for (const fs::path& path : files) {
    const auto file = File::open(path, File::Mode::read);
    const auto stamp = file ? file->stamp() : Result<FileStamp>(fail(file.error()));
    if (!stamp) return std::nullopt;
    out += fmt::format("{}{}:{}", out.empty() ? "" : ";", stamp->size_bytes, stamp->modified_ns);
  }
  return out.empty() ? std::nullopt : std::optional(std::move(out));
}

std::string known_sha256(const fs::path& home, const home::ShelfNotes& notes, const ModelFileList& files) {
  if (files.empty()) return {};
  if (files.size() == 1) {
    const hub::Shelf shelf(home);
    const fs::path relative = files.front().lexically_relative(shelf.folder());
    const bool is_there = !relative.empty() && *relative.begin() != "..";
    if (const auto receipt = is_there ? hub::read_receipt(shelf, relative) : std::nullopt) return receipt->sha256;
  }
  const auto stamp = stamp_of(files);
  const auto hash = stamp ? notes.hash_of(name_of(files), *stamp).value_or(std::nullopt) : std::nullopt;
  return hash.value_or("");
}

Result<int64_t> learn_hash(home::Answers& answers, const ModelFileList& files, const std::string& sha256) {
  constexpr int64_t kNsPerMs = 1'000'000;
  int64_t changed_ms = 0;  // answers from before that are of another file
  for (const fs::path& path : files) {
    WATRA_ASSIGN(const File file, File::open(path, File::Mode::read));
    WATRA_ASSIGN(const FileStamp stamp, file.stamp());
    changed_ms = std::max(changed_ms, stamp.modified_ns / kNsPerMs);
  }
  return answers.learn_hash(files.front().filename().string(), changed_ms, sha256);
}

ModelHashes::ModelHashes(fs::path home, home::ShelfNotes& notes, Options options)
    : home_(std::move(home)), notes_(notes), options_(std::move(options)) {}

ModelHashes::~ModelHashes() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  news_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::string ModelHashes::ask(const ModelFileList& files) {
  std::string known = known_sha256(home_, notes_, files);
  if (!known.empty() || files.empty()) return known;
  {
    const std::lock_guard lock(mutex_);
    if (std::ranges::find(wanted_, files) == wanted_.end()) wanted_.push_back(files);
    if (!thread_.joinable()) {
      auto thread = start_thread("hashing models", [this] { work(); });
      if (thread)
        thread_ = std::move(*thread);
      else  // asked for again, it is tried again
        log::warn("{}", thread.error().message);
    }
  }
  news_.notify_all();
  return {};
}

void ModelHashes::work() {
  lower_thread_priority();  // no lower: it asks the store, whose lock others wait for
  for (;;) {
    ModelFileList files;
    {
      std::unique_lock lock(mutex_);
      news_.wait(lock, [&] { return ending_ || !wanted_.empty(); });
      if (ending_) return;
      files = wanted_.front();
    }
    bool done = false;
    try {
      done = compute(files);
    } catch (const std::exception& e) {
      log::warn("{} cannot be hashed: {}", files.front().string(), e.what());
    }
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return;
      wanted_.pop_front();
    }
    if (!done || !options_.found) continue;
    try {
      options_.found(files);
    } catch (const std::exception& e) {
      log::warn("the hash of {} could not be told: {}", files.front().string(), e.what());
    }
  }
}

bool ModelHashes::rest(std::chrono::nanoseconds time) {
  std::unique_lock lock(mutex_);
  news_.wait_for(lock, time, [&] { return ending_; });
  return !ending_;
}

bool ModelHashes::compute(const ModelFileList& files) {
  const auto before = stamp_of(files);
  if (!before) return false;
  const std::unique_ptr<std::byte, Free> memory(static_cast<std::byte*>(std::aligned_alloc(kAlignment, kPiece)));
  if (!memory) return false;
  const std::span<std::byte> piece(memory.get(), kPiece);
  hub::Sha256 sha;
  for (const fs::path& path : files) {
    auto file = File::open(path, File::Mode::read_direct);
    if (!file) file = File::open(path, File::Mode::read);
    const auto size = file ? file->size_bytes() : Result<uint64_t>(fail(file.error()));
    if (!size) return false;
    for (uint64_t at = 0; at < *size;) {  // asked beyond the end, a direct read would be refused
      while (options_.busy())
        if (!rest(kLookAgain)) return false;
      const auto began = Clock::now();
      const auto n = file->read_some_at(at, piece);
      if (!n || *n == 0) {
        log::warn("{} cannot be hashed: {}", path.string(), n ? "it became shorter" : n.error().message);
        return false;
      }
      sha.add(piece.first(*n));
      at += *n;
      if (!rest(Clock::now() - began)) return false;
    }
  }
  if (stamp_of(files) != before) return false;  // asked for again, it is read again
  const Status noted = notes_.note_hash(name_of(files), *before, sha.hex());
  if (!noted) log::warn("the hash of {} could not be kept: {}", files.front().string(), noted.error().message);
  return noted.has_value();
}

}  // namespace watra::server
