#include "engine/internal/kv_shelf.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <numeric>
#include <unordered_set>

#include "base/file_lock.h"

namespace watra::engine::internal {
namespace {

constexpr std::string_view kPageEnd = ".kv2", kPartEnd = ".part";
constexpr std::string_view kEarlierPageEnd = ".kv1";  // never read, but it makes room and is cleared like others
// Where the limit is reached, this share of it is freed at once: listing the folder is not done for every page.
constexpr uint64_t kFreedShare = 16;

std::string hex(const PageKey& key) { return fmt::format("{:016x}{:016x}", key.a, key.b); }

bool is_page(const fs::path& path) {
  const fs::path name = path.filename();
  return name.native().ends_with(kPageEnd) || name.native().ends_with(kEarlierPageEnd);
}

// The page number in front of a file's name; 0 when there is none.
int64_t index_of(const fs::path& path) {
  const std::string name = path.filename().string();
  int64_t index = 0;
  std::from_chars(name.data(), name.data() + name.size(), index);
  return index;
}

// A part whose writer has died.
void sweep(const fs::path& part) {
  if (const auto lock = FileLock::try_take(part); lock && *lock) (void)remove_file(part);
}

// The file under a name of its own, then under `path`. Another process that sweeps may lock a part between its making
// and our locking, taking it for one whose writer has died: then another name is tried.
Status write_part(const fs::path& path, std::span<const std::byte> file) {
  constexpr int kTries = 16;
  fs::path part;
  std::optional<FileLock> lock;
  for (int i = 0; i < kTries && !lock; ++i) {
    part = path.parent_path() / (name_of_our_own() + std::string(kPartEnd));
    WATRA_ASSIGN(lock, FileLock::try_take(part));
  }
  if (!lock) return fail("kv_store.part_in_use", fmt::format("{} belongs to somebody else", part.string()));
  const auto written = [&]() -> Status {
    WATRA_ASSIGN(const File f, File::open(part, File::Mode::read_write));
    WATRA_TRY(f.write_at(0, file));
    return rename_over(part, path);
  }();
  if (!written) (void)remove_file(part);
  return written;
}

std::optional<KvPageHeader> header_of(const fs::path& path) {
  const auto file = File::open(path, File::Mode::read);
  std::byte header[kKvPageHeaderBytes];
  if (!file || !file->read_at(0, header)) return {};
  return read_kv_page_header(header);
}

// Of pages that a page to be stored goes on from.
constexpr int64_t kInUse = INT64_MAX;

}  // namespace

KvShelf::KvShelf(fs::path folder, uint64_t limit_bytes, uint64_t keep_free_bytes)
    : folder_(std::move(folder)), limit_bytes_(limit_bytes), keep_free_bytes_(keep_free_bytes) {}

fs::path KvShelf::path_of(const PageKey& root, const PageKey& key, int64_t index) const {
  return folder_ / hex(root) / fmt::format("{:06}-{}{}", index, hex(key), kPageEnd);
}

Status KvShelf::scan(const PageKey& parent) {
  WATRA_ASSIGN(auto files, list_files(folder_));
  used_bytes_ = 0;
  written_bytes_ = 0;
  oldest_first_.clear();
  std::unordered_map<std::string, Links> links;
  std::vector<PageKey> parents;
  std::unordered_map<PageKey, size_t, KeyHash> by_key;
  for (auto& f : files) {
    *used_bytes_ += f.size_bytes;
    if (f.path.filename().native().ends_with(kPartEnd)) sweep(f.path);
    if (!is_page(f.path)) continue;
    Links of{};  // a damaged header belongs to nobody
    if (const auto known = links_.find(f.path.native()); known != links_.end())
      of = known->second;
    else if (const auto h = header_of(f.path))
      of = {h->key, h->parent};
    links.emplace(f.path.native(), of);
    by_key.emplace(of.key, oldest_first_.size());
    parents.push_back(of.parent);
    const int64_t index = index_of(f.path), last_use_ns = f.modified_ns;
    oldest_first_.push_back({std::move(f), index, last_use_ns});
  }
  links_ = std::move(links);

  std::vector<size_t> ends_first(oldest_first_.size());
  std::iota(ends_first.begin(), ends_first.end(), size_t{0});
  std::ranges::sort(ends_first, std::greater{}, [&](size_t i) { return oldest_first_[i].index; });
  const auto use = [&](const PageKey& key, int64_t at) {
    if (const auto p = by_key.find(key); p != by_key.end())
      oldest_first_[p->second].last_use_ns = std::max(oldest_first_[p->second].last_use_ns, at);
  };
  use(parent, kInUse);
  for (const size_t i : ends_first) use(parents[i], oldest_first_[i].last_use_ns);
  std::ranges::sort(oldest_first_, [](const Page& x, const Page& y) {
    return x.last_use_ns != y.last_use_ns ? x.last_use_ns < y.last_use_ns : x.index > y.index;
  });
  return {};
}

Result<KvShelf::Put> KvShelf::make_room(uint64_t n_bytes, const PageKey& parent) {
  const auto missing = [&]() -> Result<uint64_t> {
    WATRA_ASSIGN(const uint64_t free, free_space_bytes(folder_));
    const uint64_t on_disk = free < keep_free_bytes_ + n_bytes ? keep_free_bytes_ + n_bytes - free : 0;
    const uint64_t of_limit = *used_bytes_ + n_bytes > limit_bytes_ ? *used_bytes_ + n_bytes - limit_bytes_ : 0;
    return std::max(on_disk, of_limit);
  };
  // Others write too: now and then the folder is counted again.
  const bool fresh = !used_bytes_ || written_bytes_ > limit_bytes_ / kFreedShare;
  if (fresh) WATRA_TRY(scan(parent));
  WATRA_ASSIGN(uint64_t wanted, missing());
  if (wanted == 0) return Put::stored;
  if (!fresh) WATRA_TRY(scan(parent));
  wanted += limit_bytes_ / kFreedShare;
  uint64_t freed = 0;
  bool spares = false;
  for (const Page& p : oldest_first_) {
    if (freed >= wanted) break;
    spares = p.last_use_ns == kInUse;
    if (spares) break;
    WATRA_TRY(remove_file(p.file.path));
    freed += p.file.size_bytes;
  }
  *used_bytes_ -= std::min(*used_bytes_, freed);
  WATRA_ASSIGN(wanted, missing());
  return wanted == 0 ? Put::stored : spares ? Put::of_no_use : Put::no_room;
}

Result<KvShelf::Put> KvShelf::put(const KvPageName& name, std::span<const std::byte> file) {
  const fs::path path = path_of(name.root, name.key, name.index);
  std::error_code ec;
  if (fs::exists(path, ec)) return Put::here_already;
  if (name.index > 0 && !fs::exists(path_of(name.root, name.parent, name.index - 1), ec)) return Put::of_no_use;
  WATRA_TRY(make_private_folder(folder_));
  WATRA_TRY(make_folders(path.parent_path()));
  WATRA_ASSIGN(const Put room, make_room(file.size(), name.parent));
  if (room != Put::stored) return room;
  const Status written = write_part(path, file);
  if (!written) return fail(written.error());
  *used_bytes_ += file.size();
  written_bytes_ += file.size();
  return Put::stored;
}

void KvShelf::touch(std::span<const Place> pages) const {
  int64_t at = now_ns();
  for (const Place& p : pages) {
    if (p.index == 0) ++at;  // another chain
    set_modified(path_of(p.root, p.key, p.index), at);
  }
}

Result<KvShelf::Content> KvShelf::content() const {
  WATRA_ASSIGN(const auto files, list_files(folder_));
  Content c;
  std::unordered_set<PageKey, KeyHash> keys, parents;
  for (const auto& f : files) {
    c.bytes += f.size_bytes;
    if (!is_page(f.path)) continue;
    ++c.n_pages;
    if (const auto h = header_of(f.path)) keys.insert(h->key), parents.insert(h->parent);
  }
  c.n_conversations = std::ranges::count_if(keys, [&](const PageKey& k) { return !parents.contains(k); });
  return c;
}

Result<std::vector<std::vector<TokenId>>> KvShelf::texts(const PageKey& root, size_t most_tokens) const {
  WATRA_ASSIGN(auto files, list_files(folder_ / hex(root)));
  std::erase_if(files, [](const FolderEntry& f) { return !is_page(f.path); });
  // A conversation's end is as new as any of its pages, and has the highest number among those as new.
  std::ranges::sort(files, [](const FolderEntry& a, const FolderEntry& b) {
    return a.modified_ns != b.modified_ns ? a.modified_ns > b.modified_ns : index_of(a.path) > index_of(b.path);
  });
  std::vector<std::vector<TokenId>> texts;
  std::unordered_set<std::string> seen;
  size_t n_tokens = 0;
  for (const FolderEntry& end : files) {
    if (n_tokens >= most_tokens) break;
    std::vector<std::array<TokenId, kernels::kKvPage>> pages;  // last first
    int64_t index = index_of(end.path);
    for (fs::path path = end.path; index >= 0 && seen.insert(path.native()).second; --index) {
      const auto h = header_of(path);
      if (!h) break;
      pages.push_back(h->tokens);
      path = path_of(root, h->parent, index - 1);
    }
    if (pages.empty()) continue;
    std::vector<TokenId>& text = texts.emplace_back();
    for (auto page = pages.rbegin(); page != pages.rend(); ++page) text.insert(text.end(), page->begin(), page->end());
    n_tokens += text.size();
  }
  return texts;
}

Result<int64_t> KvShelf::erase(const PageKey& root, const PageKey& parent, std::span<const TokenId> tokens) const {
  WATRA_ASSIGN(const auto files, list_files(folder_ / hex(root)));
  std::unordered_map<PageKey, std::vector<std::pair<PageKey, fs::path>>, KeyHash> children;
  std::vector<std::pair<PageKey, fs::path>> doomed;
  int64_t n = 0;
  for (const auto& f : files) {
    if (!is_page(f.path)) {
      if (f.path.filename().native().ends_with(kPartEnd)) sweep(f.path);
      continue;
    }
    if (const auto h = header_of(f.path); !h) {  // says not whose it is
      WATRA_TRY(remove_file(f.path));
    } else if (h->parent == parent && std::ranges::equal(std::span(h->tokens).first(tokens.size()), tokens)) {
      doomed.emplace_back(h->key, f.path);
    } else {
      children[h->parent].emplace_back(h->key, f.path);
    }
  }
  // Also where the page itself is gone already.
  if (doomed.empty() && tokens.size() == static_cast<size_t>(kernels::kKvPage))
    doomed = std::move(children[page_key(parent, tokens)]);
  while (!doomed.empty()) {
    const auto [k, path] = std::move(doomed.back());
    doomed.pop_back();
    WATRA_TRY(remove_file(path));
    ++n;
    if (const auto it = children.find(k); it != children.end()) {
      std::ranges::move(it->second, std::back_inserter(doomed));
      children.erase(it);
    }
  }
  return n;
}

Result<int64_t> KvShelf::clear() const {
  WATRA_ASSIGN(const auto files, list_files(folder_));
  int64_t n = 0;
  for (const auto& f : files) {
    if (is_page(f.path)) {
      WATRA_TRY(remove_file(f.path));
      ++n;
    } else if (f.path.filename().native().ends_with(kPartEnd)) {
      sweep(f.path);
    }
  }
  return n;
}

}  // namespace watra::engine::internal
