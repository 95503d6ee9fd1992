#include "engine/prefix_cache.h"

#include <algorithm>
#include <bit>

namespace watra::engine {
namespace {

constexpr auto kPage = static_cast<size_t>(kernels::kKvPage);

size_t n_common(std::span<const TokenId> a, std::span<const TokenId> b) {
  const size_t n = std::min(a.size(), b.size());
  return static_cast<size_t>(std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(n), b.begin()).first -
                             a.begin());
}

}  // namespace

PrefixCache::PrefixCache(KvCache& kv, const PageKey& root_key)
    : kv_(kv),
      nodes_(static_cast<size_t>(kv.total_pages()) + 1),
      tokens_(static_cast<size_t>(kv.total_pages()) * kPage),
      buckets_(std::bit_ceil(static_cast<size_t>(kv.total_pages()) + 1), kNoPage) {
  node(root()).key = root_key;
}

PrefixCache::~PrefixCache() { clear(); }

std::span<const TokenId> PrefixCache::tokens_of(PageId page) const {
  return std::span(tokens_).subspan(static_cast<size_t>(page) * kPage, static_cast<size_t>(node(page).n_tokens));
}

PageId PrefixCache::child(PageId parent, const PageKey& key, std::span<const TokenId> tokens) {
  for (PageId p = bucket(key); p != kNoPage; p = node(p).bucket_next)
    if (node(p).key == key && node(p).parent == parent && std::ranges::equal(tokens_of(p), tokens)) return p;
  return kNoPage;
}

void PrefixCache::find(std::span<const TokenId> tokens, Match& match) {
  match.pages.clear();
  size_t at = 0;
  PageId last = root();
  for (; at + kPage <= tokens.size(); at += kPage) {
    const auto page = tokens.subspan(at, kPage);
    const PageId next = child(last, page_key(node(last).key, page), page);
    if (next == kNoPage) break;
    match.pages.push_back(next);
    last = next;
  }
  size_t longest = 0;
  if (kv_.shares_whole_pages_only()) tokens = tokens.first(at);
  PageId best = kNoPage;
  for (PageId p = node(last).first_child; p != kNoPage; p = node(p).next) {
    const size_t n = n_common(tokens_of(p), tokens.subspan(at));
    if (n > longest) longest = n, best = p;
  }
  if (best != kNoPage) match.pages.push_back(best), last = best;
  match.n_tokens = static_cast<int64_t>(at + longest);
  touch(last);
}

void PrefixCache::store_pages(SequenceId id, std::span<const TokenId> tokens, Anchor& anchor) {
  while ((static_cast<size_t>(anchor.n_pages) + 1) * kPage <= tokens.size()) {
    const auto page = tokens.subspan(static_cast<size_t>(anchor.n_pages) * kPage, kPage);
    const PageId parent = parent_of(anchor), own = kv_.page(id, anchor.n_pages);
    const PageKey key = page_key(node(parent).key, page);
    PageId here = child(parent, key, page);
    if (here == kNoPage)
      insert(here = own, parent, key, page);
    else if (here != own)
      kv_.replace_page(id, anchor.n_pages, here);
    anchor.last = here;
    ++anchor.n_pages;
  }
  touch(parent_of(anchor));
}

void PrefixCache::store_end(SequenceId id, std::span<const TokenId> tokens, Anchor& anchor) {
  store_pages(id, tokens, anchor);
  const auto end = tokens.subspan(static_cast<size_t>(anchor.n_pages) * kPage);
  const PageId parent = parent_of(anchor);
  if (end.empty() || kv_.shares_whole_pages_only()) return;
  for (PageId p = node(parent).first_child; p != kNoPage; p = node(p).next)
    if (n_common(tokens_of(p), end) == end.size()) return touch(p);  // holds more already
  const PageId own = kv_.page(id, anchor.n_pages);
  insert(own, parent, page_key(node(parent).key, end), end);
  touch(own);
}

void PrefixCache::extend(SequenceId id, const Match& match, Anchor& anchor) {
  const int64_t have = kv_.length(id) / kernels::kKvPage, found = match.n_tokens / kernels::kKvPage;
  if (found <= have) return;
  for (int64_t i = have; i < found; ++i) kv_.replace_page(id, i, match.pages[static_cast<size_t>(i)]);
  kv_.commit_chain(id, (found - have) * kernels::kKvPage);
  anchor = {.last = match.pages[static_cast<size_t>(found - 1)], .n_pages = found};
}

void PrefixCache::insert(PageId page, PageId parent, const PageKey& key, std::span<const TokenId> tokens) {
  // Shorter ends that the new page goes on from say nothing any more.
  for (PageId p = node(parent).first_child; p != kNoPage;) {
    const PageId next = node(p).next;
    if (tokens_of(p).size() < tokens.size() && n_common(tokens_of(p), tokens) == tokens_of(p).size()) remove(p);
    p = next;
  }
  kv_.retain(page);
  std::ranges::copy(tokens, tokens_.begin() + static_cast<ptrdiff_t>(page) * static_cast<ptrdiff_t>(kPage));
  Node& n = node(page);
  n = {.key = key, .parent = parent, .next = node(parent).first_child, .n_tokens = static_cast<int32_t>(tokens.size())};
  if (n.next != kNoPage) node(n.next).previous = page;
  node(parent).first_child = page;
  if (tokens.size() == kPage) {
    n.bucket_next = bucket(key);
    bucket(key) = page;
  }
  link_newest(page);
  ++n_nodes_;
}

void PrefixCache::remove(PageId leaf) {
  Node& n = node(leaf);
  (n.previous != kNoPage ? node(n.previous).next : node(n.parent).first_child) = n.next;
  if (n.next != kNoPage) node(n.next).previous = n.previous;
  if (n.n_tokens == static_cast<int32_t>(kPage)) {
    PageId* at = &bucket(n.key);
    while (*at != leaf) at = &node(*at).bucket_next;
    *at = n.bucket_next;
  }
  unlink_age(leaf);
  n = {};
  --n_nodes_;
  kv_.release(leaf);
}

// Leaves first, so that every page is newer than those below it: the oldest is always a leaf.
void PrefixCache::touch(PageId page) {
  for (; page != root(); page = node(page).parent) {
    unlink_age(page);
    link_newest(page);
  }
}

void PrefixCache::unlink_age(PageId page) {
  Node& n = node(page);
  (n.newer != kNoPage ? node(n.newer).older : newest_) = n.older;
  (n.older != kNoPage ? node(n.older).newer : oldest_) = n.newer;
}

void PrefixCache::link_newest(PageId page) {
  Node& n = node(page);
  n.newer = kNoPage;
  n.older = newest_;
  (newest_ != kNoPage ? node(newest_).newer : oldest_) = page;
  newest_ = page;
}

int64_t PrefixCache::evict(int64_t n) {
  int64_t n_freed = 0;
  for (PageId p = oldest_; p != kNoPage && n_freed < n;) {
    const PageId newer = node(p).newer;
    if (kv_.n_references(p) == 1 && node(p).first_child == kNoPage) {
      remove(p);
      ++n_freed;
    }
    p = newer;
  }
  n_evicted_ += n_freed;
  return n_freed;
}

int64_t PrefixCache::evict_beginning() {
  PageId first = oldest_;
  while (first != kNoPage && (node(first).parent != root() || kv_.n_references(first) > 1)) first = node(first).newer;
  if (first == kNoPage) return 0;
  int64_t n_freed = 0;
  for (PageId leaf = first; node(first).n_tokens > 0; leaf = first, ++n_freed) {
    while (node(leaf).first_child != kNoPage) leaf = node(leaf).first_child;
    remove(leaf);
  }
  n_evicted_ += n_freed;
  return n_freed;
}

int64_t PrefixCache::n_evictable() const {
  int64_t n = 0;
  for (PageId p = oldest_; p != kNoPage; p = node(p).newer) n += kv_.n_references(p) == 1;
  return n;
}

void PrefixCache::clear() {
  while (oldest_ != kNoPage) remove(oldest_);
}

}  // namespace watra::engine
