// KvStore: pages of cached keys and values on disk, so that a conversation goes on after a restart without being read
// again.
//
// A page is found by its key (page_key.h), so a store may hold any number of conversations and models, and what two of
// them share is there once. Restored bits are those that computing would give: whatever a page depends on is in its
// key, tokens are compared, and header and bytes have checksums. A file that is not exactly the page asked for is
// removed and read again from the text; nothing wrong is ever restored. How files appear and go: internal/kv_shelf.h.
//
// Storing never holds an answer up: offer() copies a page into a bounded buffer and a thread of low priority writes it;
// when the buffer is full the caller keeps the page and offers it again later. When the disk is full or refuses, or the
// system refuses the thread, storing stops for the life of the store, trouble() says why, and everything else goes on.
//
// Several processes may use one folder. offer(), restore() and used() are called by one thread (whoever owns the
// KvCache); everything else by any.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/memory.h"
#include "base/read_queue.h"
#include "engine/internal/kv_shelf.h"

namespace watra::engine {

struct KvStoreOptions {
  fs::path folder;                               // $WATRA_HOME/kv; created when something is stored
  uint64_t limit_bytes = uint64_t{4} << 30;      // of all files together; the longest unused make room
  uint64_t keep_free_bytes = uint64_t{1} << 30;  // what the disk keeps free whatever the limit says
  // RAM for pages on their way, taken from the budget: whole pages, two at least (memory_needs.h).
  uint64_t room_bytes = uint64_t{32} << 20;
  // A shorter text is neither looked for nor stored: it is read faster than a disk begins to turn.
  int64_t min_tokens = 256;
};

// Where a page lies in memory.
struct KvPlace {
  std::byte* page = nullptr;
  std::byte* exact = nullptr;  // of page 0: its rows as they were computed; null where nothing is stored quantized
};
KvPlace place_of_page(const KvCache& kv, SequenceId id, int64_t index);

class KvStore {
 public:
  using PageName = internal::KvPageName;

  // Touches no file. page_bytes, first_exact_bytes: KvCache's. Room for pages on their way is taken from the budget
  // now. Errors: those of the budget.
  static Result<std::shared_ptr<KvStore>> create(const KvStoreOptions& options, uint64_t page_bytes,
                                                 uint64_t first_exact_bytes, MemoryBudget* budget);
  ~KvStore();  // waits until what was offered is written
  KvStore(const KvStore&) = delete;
  KvStore& operator=(const KvStore&) = delete;

  const KvStoreOptions& options() const { return options_; }
  uint64_t room_bytes() const { return buffer_.size_bytes(); }

  // Takes a page to be stored (nothing is done when it is there already). False: no room now, offer it again after the
  // next pass. Always true once storing has stopped. Allocates nothing.
  bool offer(const PageName& name, const KvPlace& from);

  // Restores pages first, first + 1, ... of the chain `keys` (of page i: keys[i]; tokens: kKvPage for each key), until
  // one is missing or damaged, or `until` has passed (one is tried in any case). place(i) says where page i goes and is
  // called in order, when its bytes are known to be right. Returns how many pages there are now.
  int64_t restore(const PageKey& root, std::span<const PageKey> keys, std::span<const TokenId> tokens, int64_t first,
                  const std::function<KvPlace(int64_t)>& place,
                  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max());
  // Whether page `index` of a chain seems to be there: a glance at the folder.
  bool has(const PageKey& root, const PageKey& key, int64_t index) const;

  // These pages, a chain from its beginning, were of use just now: they stay longest.
  void used(const PageKey& root, std::span<const PageKey> keys);

  // What was kept of conversations that begin with `root`, newest first, about `most_tokens` of them: for drafts
  // (suffix_proposer.h). Reads a header of 4 KiB for every page of 64 tokens.
  Result<std::vector<std::vector<TokenId>>> texts(const PageKey& root, size_t most_tokens) const {
    return shelf_.texts(root, most_tokens);
  }

  void drain();  // until everything offered is written, or given up

  // Erasing. Pages offered before are not written any more, or removed. Both return how many files went.
  // Of all conversations that begin with `text`: every page that holds what stands at token `from` or behind it. Behind
  // the end of `text` nothing is known of them: from there on all goes.
  Result<int64_t> erase(const PageKey& root, std::span<const TokenId> text, int64_t from);
  Result<int64_t> clear();  // of all models

  using Content = internal::KvShelf::Content;
  Result<Content> content() const { return content_of(options_.folder); }
  // Without a model: of a folder.
  static Result<Content> content_of(const fs::path& folder);
  static Result<int64_t> clear_folder(const fs::path& folder);

  struct Counts {                                         // since the start
    int64_t n_stored = 0, n_restored = 0, n_damaged = 0;  // pages
    double restore_s = 0;
  };
  Counts counts() const;
  // Why nothing is stored any more.
  std::optional<Error> trouble() const;
  // Stops storing from outside, for a reason (the first one stays).
  void stop_storing(Error why);

 private:
  struct Job {
    PageKey root, key, parent;
    int64_t index = 0;
    std::vector<TokenId> tokens;  // kKvPage
    std::span<std::byte> file;
  };
  struct Reading;

  KvStore(const KvStoreOptions& options, uint64_t page_bytes, uint64_t first_exact_bytes, Buffer buffer, int n_jobs,
          int n_reads);
  // Of the page with this number, in its file: all of its bytes, and the whole file.
  uint64_t stored_bytes(int64_t index) const { return page_bytes_ + (index == 0 ? first_exact_bytes_ : 0); }
  uint64_t file_bytes(int64_t index) const { return internal::kv_page_file_bytes(stored_bytes(index)); }
  void write_jobs();
  void wait_until_idle(std::unique_lock<std::mutex>& lock);
  Result<int64_t> erase_from_shelf(const std::function<Result<int64_t>()>& erase);
  std::span<std::byte> slot(int i) const;
  bool open(Reading& r, const PageKey& root, const PageKey& key, int64_t index);
  PageKey& known(const PageKey& key) { return known_[key.a % known_.size()]; }
  void discard(const PageKey& root, const PageKey& key, int64_t index);

  const KvStoreOptions options_;
  const uint64_t page_bytes_, first_exact_bytes_;
  Buffer buffer_;  // a slot of whole pages of the disk for each job, then for each read
  const int n_reads_;
  internal::KvShelf shelf_;  // the writer's, but for erasing while it is idle

  std::vector<Reading> readings_;
  std::unique_ptr<ReadQueue> queue_;  // made for the first page found

  mutable std::mutex mutex_;
  std::condition_variable arrived_, idle_;
  std::vector<Job> jobs_;  // a ring
  int n_taken_ = 0, first_ = 0;
  std::vector<internal::KvShelf::Place> touched_;
  bool writing_ = false, erasing_ = false, stopping_ = false;
  std::vector<PageKey> known_;  // on disk, or on their way: each at the place its key gives, the newest stays
  std::optional<Error> trouble_;
  Counts counts_;
  std::thread writer_;
};

}  // namespace watra::engine
