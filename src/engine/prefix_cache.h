// PrefixCache: which beginnings of conversations lie in the KV cache, so that nobody reads them again.
//
// A tree of pages. A node is one page of kKvPage tokens, named by its PageKey; a leaf may be partly filled (the end of
// a conversation). The tree holds a reference to each of its pages: sequences that run on them share them, and when no
// sequence does they wait here until evict() needs their room, longest unused first, leaves before their parents.
//
// All room is taken at the start: nothing is allocated later. Not thread-safe: the owner of the KvCache calls it,
// between passes. The KvCache must outlive it.
#pragma once

#include <span>
#include <vector>

#include "engine/kv_cache.h"
#include "engine/page_key.h"

namespace watra::engine {

class PrefixCache {
 public:
  PrefixCache(KvCache& kv, const PageKey& root);
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  struct Match {
    std::vector<PageId> pages;  // the last one may be shared in part
    int64_t n_tokens = 0;
  };
  // The longest beginning of `tokens` that is cached. Its pages may be evicted by later calls, unless they are
  // retained.
  void find(std::span<const TokenId> tokens, Match& match);

  // How far a sequence's pages are in the tree.
  struct Anchor {
    PageId last = kNoPage;  // its last page here; the sequence holds it
    int64_t n_pages = 0;
  };
  // Whole pages of the sequence that are not here yet. `tokens` are what it has cached, from the beginning. A page that
  // is here already takes the place of the sequence's own: its content is the same.
  void store_pages(SequenceId id, std::span<const TokenId> tokens, Anchor& anchor);
  // The partly filled page at its end too, for a sequence that writes no more.
  void store_end(SequenceId id, std::span<const TokenId> tokens, Anchor& anchor);
  // Gives the sequence the whole pages of `match` behind those it has cached (its length is a multiple of a page).
  void extend(SequenceId id, const Match& match, Anchor& anchor);

  // Frees at least n pages, or all that no sequence uses; returns how many.
  int64_t evict(int64_t n);
  // Frees the longest unused first page that no sequence uses and everything behind it; returns how many pages.
  int64_t evict_beginning();
  int64_t n_evictable() const;  // pages that evict() could free
  void clear();

  int64_t n_pages() const { return n_nodes_; }
  int64_t n_evicted() const { return n_evicted_; }  // since the start
  PageKey key(PageId page) const { return nodes_[static_cast<size_t>(page)].key; }

 private:
  struct Node {
    PageKey key;
    PageId parent = kNoPage, first_child = kNoPage, previous = kNoPage, next = kNoPage;  // siblings
    PageId bucket_next = kNoPage;
    PageId newer = kNoPage, older = kNoPage;
    int32_t n_tokens = 0;  // 0 = not in the tree
  };

  Node& node(PageId page) { return nodes_[static_cast<size_t>(page)]; }
  const Node& node(PageId page) const { return nodes_[static_cast<size_t>(page)]; }
  PageId root() const { return static_cast<PageId>(nodes_.size()) - 1; }
  PageId parent_of(const Anchor& anchor) const { return anchor.n_pages > 0 ? anchor.last : root(); }
  std::span<const TokenId> tokens_of(PageId page) const;
  PageId& bucket(const PageKey& key) { return buckets_[key.a & (buckets_.size() - 1)]; }
  // The child of `parent` with exactly these tokens (a whole page).
  PageId child(PageId parent, const PageKey& key, std::span<const TokenId> tokens);
  void insert(PageId page, PageId parent, const PageKey& key, std::span<const TokenId> tokens);
  void remove(PageId leaf);
  void touch(PageId page);  // and everything above it
  void unlink_age(PageId page);
  void link_newest(PageId page);

  KvCache& kv_;
  std::vector<Node> nodes_;      // by page; the last one is the root
  std::vector<TokenId> tokens_;  // by page, kKvPage each
  std::vector<PageId> buckets_;  // whole pages by key
  PageId newest_ = kNoPage, oldest_ = kNoPage;
  int64_t n_nodes_ = 0, n_evicted_ = 0;
};

}  // namespace watra::engine
