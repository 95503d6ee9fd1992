#include "workshop/self_draft.h"

#include <chrono>
#include <thread>
#include <vector>

#include "base/file_lock.h"
#include "checkpoint/checkpoint.h"
#include "engine/page_key.h"

namespace watra::workshop {
namespace {

using checkpoint::Checkpoint;
using checkpoint::TensorInfo;
using engine::PageKey;

constexpr uint64_t kSampleBytes = 256;
constexpr uint64_t kHeaderBytes = 64 << 20;  // of a header, hashed at most
constexpr auto kPatience = std::chrono::minutes(10);

std::string hex(const PageKey& key) { return fmt::format("{:016x}{:016x}", key.a, key.b); }

Result<PageKey> source_key(const Checkpoint& file) {
  PageKey key;
  std::vector<std::byte> bytes;
  for (uint32_t i = 0; i < file.paths().size(); ++i) {
    WATRA_ASSIGN(uint64_t header, file.file(i).size_bytes());
    key = engine::hash_bytes(std::as_bytes(std::span(&header, 1)), key);  // the file's size
    for (const TensorInfo& t : file.tensors())
      if (t.file_index == i) header = std::min(header, t.offset_bytes);
    bytes.resize(std::min(header, kHeaderBytes));
    WATRA_TRY(file.file(i).read_at(0, bytes));
    key = engine::hash_bytes(bytes, key);
  }
  for (const TensorInfo& t : file.tensors()) {
    bytes.resize(std::min(t.size_bytes, kSampleBytes));
    const uint64_t last = t.size_bytes - bytes.size();
    for (const uint64_t at : {uint64_t{0}, last / 2, last}) {
      WATRA_TRY(file.read(t, bytes, at));
      key = engine::hash_bytes(bytes, key);
    }
  }
  return key;
}

Result<FileLock> lock(const fs::path& path, const std::function<bool()>& cancelled) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    WATRA_ASSIGN(auto taken, FileLock::try_take(path));
    if (taken) return std::move(*taken);
    if (std::chrono::steady_clock::now() > until)
      return fail("draft.busy", "another process has been making drafts for ten minutes",
                  "wait for it, or use --draft auto");
    if (cancelled && cancelled())
      return fail("requantize.cancelled", "waiting for another process that makes drafts was stopped");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

// What a killed process left, and copies of what this source was before.
void clean(const fs::path& folder, const std::string& prefix, const std::string& key) {
  std::error_code ec;
  std::vector<fs::path> stale;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".part") || (name.starts_with(prefix) && !name.starts_with(prefix + key)))
      stale.push_back(entry.path());
  }
  for (const fs::path& p : stale) fs::remove(p, ec);
}

// Where copies of a source lie. `prefix`: what the names of all of them begin with, whatever it held when.
struct Place {
  fs::path folder;
  std::string prefix, key;
  fs::path path(tensor::DType type) const {
    return folder / fmt::format("{}{}.{}.gguf", prefix, key, tensor::dtype_name(type));
  }
};

std::string prefix_of(const fs::path& source) {
  std::error_code ec;
  const std::string whole = fs::weakly_canonical(source, ec).string();
  const PageKey place = engine::hash_bytes(std::as_bytes(std::span(whole.data(), whole.size())));
  return fmt::format("{}-{:08x}.", source.stem().string(), static_cast<uint32_t>(place.a));
}

Result<Place> place_of(const fs::path& source, const fs::path& home) {
  WATRA_ASSIGN(const Checkpoint file, Checkpoint::open(source));
  WATRA_ASSIGN(const PageKey key, source_key(file));
  return Place{home / "drafts", prefix_of(source), hex(key)};
}

}  // namespace

std::optional<fs::path> made_self_draft(const fs::path& source, const fs::path& home, tensor::DType type) {
  // Most models have none: their files need not be read for that.
  const std::string prefix = prefix_of(source), suffix = fmt::format(".{}.gguf", tensor::dtype_name(type));
  std::error_code ec;
  bool is_any = false;
  for (fs::directory_iterator at(home / "drafts", ec), end; !ec && at != end; at.increment(ec)) {
    const std::string name = at->path().filename().string();
    is_any = is_any || (name.starts_with(prefix) && name.ends_with(suffix));
  }
  if (!is_any) return std::nullopt;
  const auto place = place_of(source, home);
  if (!place) return std::nullopt;
  fs::path path = place->path(type);
  return fs::exists(path, ec) && Checkpoint::open(path) ? std::optional(std::move(path)) : std::nullopt;
}

Result<SelfDraft> self_draft(const fs::path& source, const SelfDraftOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  WATRA_ASSIGN(const Place place, place_of(source, options.home));
  WATRA_TRY(make_folders(place.folder));
  SelfDraft draft{place.path(options.type)};
  std::error_code ec;
  // A file under its name is whole; one that a disk has spoiled since is made again.
  if (fs::exists(draft.path, ec) && Checkpoint::open(draft.path)) return draft;

  WATRA_ASSIGN(const FileLock held, lock(place.folder / "lock", options.cancelled));
  clean(place.folder, place.prefix, place.key);
  if (!fs::exists(draft.path, ec) || !Checkpoint::open(draft.path)) {
    WATRA_TRY(requantize({.source = source,
                          .target = draft.path,
                          .type = options.type,
                          .threads = options.threads,
                          .progress = options.progress,
                          .cancelled = options.cancelled}));
    draft.was_made = true;
  }
  draft.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return draft;
}

}  // namespace watra::workshop
