// KvShelf: the files of the KV store: what they are called, how one appears whole or not at all, and which go when room
// is short.
//
//   FOLDER/<root key>/<page number>-<page key>.kv2      one page each (internal/kv_page_file.h)
//
// A file is written under a name of its own (".part", locked while its writer lives) and renamed when it is complete.
// So a process that is killed leaves whole pages and at most one part, which the next one removes; and several
// processes may write, read and remove at the same time. Nothing is synced: after a power cut checksums tell what is
// whole.
//
// Oldest use goes first, and a page is used whenever one that goes on from it is; of pages last used together the later
// ones go first. So a conversation loses its end before its beginning, and one that is larger than the limit keeps as
// much of its beginning as there is room for: what a new page goes on from makes no room for it. The time of a file's
// last change is the time of its last use.
//
// One thread at a time (KvStore's writer; erase() and listing from others, on files alone).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/folder.h"
#include "engine/internal/kv_page_file.h"

namespace watra::engine::internal {

class KvShelf {
 public:
  // limit_bytes: of all files together. keep_free_bytes: what the disk keeps free whatever the limit says.
  KvShelf(fs::path folder, uint64_t limit_bytes, uint64_t keep_free_bytes);

  const fs::path& folder() const { return folder_; }
  fs::path path_of(const PageKey& root, const PageKey& key, int64_t index) const;

  // of_no_use: what the page goes on from is not here, or takes all the room there is.
  enum class Put { stored, here_already, of_no_use, no_room };
  // Makes room, then writes. Errors: those of the file system; nothing is left behind.
  Result<Put> put(const KvPageName& name, std::span<const std::byte> file);

  // These pages, chains from their beginnings one after the other, were used just now: each chain at one moment.
  struct Place {
    PageKey root, key;
    int64_t index;
  };
  void touch(std::span<const Place> pages) const;

  struct Content {
    uint64_t bytes = 0;
    int64_t n_pages = 0, n_conversations = 0;  // pages that no other goes on from
  };
  Result<Content> content() const;

  // What the stored conversations of a root say, newest first, about `most_tokens` of them. A part that two share comes
  // once.
  Result<std::vector<std::vector<TokenId>>> texts(const PageKey& root, size_t most_tokens) const;

  // Removes the pages behind `parent` that begin with these tokens (a whole page of them, or fewer), and all that go on
  // from them. Returns how many files went.
  Result<int64_t> erase(const PageKey& root, const PageKey& parent, std::span<const TokenId> tokens) const;
  Result<int64_t> clear() const;

 private:
  struct Page {
    FolderEntry file;
    int64_t index = 0;
    int64_t last_use_ns = 0;  // its own, or that of a page that goes on from it
  };
  struct Links {
    PageKey key, parent;
  };
  struct KeyHash {
    size_t operator()(const PageKey& k) const { return k.a; }
  };

  // What became of making room for a page behind `parent`; `stored` = there is room.
  Result<Put> make_room(uint64_t n_bytes, const PageKey& parent);
  Status scan(const PageKey& parent);

  fs::path folder_;
  uint64_t limit_bytes_, keep_free_bytes_;
  std::optional<uint64_t> used_bytes_;  // ours and others' as of the last scan, ours since
  uint64_t written_bytes_ = 0;          // since the last scan
  std::vector<Page> oldest_first_;
  std::unordered_map<std::string, Links> links_;  // of files whose headers were read, by path
};

}  // namespace watra::engine::internal
