// KvRoom: who holds pages of the KV cache. Gives requests their sequences, finds room when it is short, and keeps what
// they leave behind as prefixes.
//
// Room is made in this order: cached prefixes nobody uses, longest unused first; then the sequences of those who stand
// last: the end of the line of the least urgent class. A request that loses its sequence is admitted again later and
// reads what is no longer cached; its answer is the same (DESIGN, Exactness). Pages for the whole prompt are taken on
// admission, those of the answer one by one; a draft takes pages from nobody who computes. Pages are taken only from
// who stands behind, and places in the line change only after a turn: so two never take turns in robbing each other.
//
// The scheduler's thread, between passes. Allocates when a request is admitted, never while it decodes.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/internal/live_request.h"
#include "engine/kv_store.h"

namespace watra::engine::internal {

class KvRoom {
 public:
  using Requests = std::vector<std::shared_ptr<LiveRequest>>;  // most urgent class first, inside it the line

  // No root key: prefixes are not kept, neither in RAM nor in `store` (which may be null). `kv`, `requests` and `store`
  // are borrowed.
  KvRoom(KvCache& kv, const std::optional<PageKey>& root, const Requests& requests, KvStore* store);

  // A sequence for all its tokens so far, the longest cached prefix already in it. False: there is no room now.
  bool admit(LiveRequest& r);
  // It would find room without anybody losing pages.
  bool fits(const LiveRequest& r) const;
  // Takes room for one more token. False: it had to give up its own sequence.
  bool grow(LiveRequest& r);
  // Takes room for up to n tokens of a draft behind that one, from free pages and prefixes nobody uses; how many fit.
  int64_t grow_draft(LiveRequest& r, int64_t n);
  // For a request that has read up to the end of a page: takes what others have read of its prompt meanwhile.
  void look_again(LiveRequest& r);
  // For a request that reads: takes what the disk has of its prompt. True: time was up, and there may be more.
  bool restore(LiveRequest& r, double seconds);
  // After a pass: whole pages become prefixes for others at once, and go to the disk. n_rows: of the request in this
  // pass.
  void keep_pages(LiveRequest& r, int64_t n_rows);
  // Its sequence ends; what it holds becomes a prefix. Nothing if it has none.
  void give_up(LiveRequest& r);

  int64_t n_cached(const LiveRequest& r) const { return kv_.length(r.sequence); }
  int64_t n_prefix_pages() const { return prefixes_ ? prefixes_->n_pages() : 0; }
  int64_t n_evicted() const { return prefixes_ ? prefixes_->n_evicted() : 0; }
  int64_t n_dropped() const { return n_dropped_; }
  int64_t n_from_cache() const { return n_from_cache_; }
  int64_t n_restored() const { return n_restored_; }

 private:
  void store_pages(LiveRequest& r, int64_t n_most);
  void count_found(LiveRequest& r, int64_t n_tokens);
  LiveRequest* last_holder() const;
  bool make_room(int64_t n_pages, const LiveRequest& r);
  void drop(LiveRequest& r);
  int64_t evict(int64_t n_pages) { return prefixes_ ? prefixes_->evict(n_pages) : 0; }
  int64_t n_evictable() const { return prefixes_ ? prefixes_->n_evictable() : 0; }

  KvCache& kv_;
  const Requests& requests_;
  const PageKey root_;
  KvStore* const store_;
  std::optional<PrefixCache> prefixes_;
  PrefixCache::Match match_;
  int64_t n_dropped_ = 0, n_from_cache_ = 0, n_restored_ = 0;
};

}  // namespace watra::engine::internal
