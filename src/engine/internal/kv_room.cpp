#include "engine/internal/kv_room.h"

#include <algorithm>

namespace watra::engine::internal {

using kernels::kKvPage;

KvRoom::KvRoom(KvCache& kv, const std::optional<PageKey>& root, const Requests& requests)
    : kv_(kv), requests_(requests) {
  match_.pages.reserve(static_cast<size_t>(kv.total_pages()));
  if (root) prefixes_.emplace(kv, *root);
}

bool KvRoom::admit(LiveRequest& r) {
  match_.pages.clear();
  match_.n_tokens = 0;
  // The last token is run in any case, for its logits.
  if (prefixes_ && !r.tells_prompt()) prefixes_->find(std::span(r.tokens).first(r.tokens.size() - 1), match_);
  const auto retain = [&](PageId p) { kv_.retain(p); };
  const auto release = [&](PageId p) { kv_.release(p); };
  std::ranges::for_each(match_.pages, retain);  // room is not made at the cost of what was found

  const int64_t n_missing = KvCache::pages_for(r.n_tokens()) - match_.n_tokens / kKvPage;
  bool fits = make_room(n_missing, r);
  if (!fits && match_.n_tokens % kKvPage != 0) {  // the page found in part may be the one that is missing
    release(match_.pages.back());
    match_.pages.pop_back();
    match_.n_tokens -= match_.n_tokens % kKvPage;
    fits = make_room(n_missing, r);
  }
  if (fits) {
    const auto sequence = kv_.add_on(match_.pages, match_.n_tokens);
    fits = sequence && kv_.reserve(*sequence, r.n_tokens() - match_.n_tokens);
    if (fits) {
      r.sequence = *sequence;
      r.has_sequence = true;
      r.anchor = {};
      if (const int64_t whole = match_.n_tokens / kKvPage; whole > 0)
        r.anchor = {.last = match_.pages[static_cast<size_t>(whole - 1)], .n_pages = whole};
      count_found(r, match_.n_tokens);
      r.outcome.stats.n_reread += std::max<int64_t>(r.n_run - match_.n_tokens, 0);
    }
  }
  std::ranges::for_each(match_.pages, release);
  return fits;
}

void KvRoom::count_found(LiveRequest& r, int64_t n_tokens) {
  n_from_cache_ += n_tokens;
  if (r.n_run == 0) r.outcome.stats.n_cached += n_tokens;  // its own pages, taken up again, do not count
}

bool KvRoom::grow(LiveRequest& r) {
  const int64_t n = kv_.pages_to_grow(r.sequence, 1);
  while (kv_.free_pages() < n) {
    if (evict(n - kv_.free_pages()) > 0) continue;
    LiveRequest& victim = *last_holder();
    drop(victim);
    if (&victim == &r) return false;
  }
  return kv_.reserve(r.sequence, 1).has_value();  // taken at once: the next one to grow must not count on it
}

void KvRoom::look_again(LiveRequest& r) {
  const int64_t length = kv_.length(r.sequence);
  if (!prefixes_ || r.tells_prompt() || length % kKvPage != 0 || r.n_tokens() - length <= kKvPage) return;
  prefixes_->find(std::span(r.tokens).first(r.tokens.size() - 1), match_);
  prefixes_->extend(r.sequence, match_, r.anchor);
  count_found(r, kv_.length(r.sequence) - length);
}

void KvRoom::keep_pages(LiveRequest& r) {
  const int64_t length = kv_.length(r.sequence);
  if (prefixes_ && length / kKvPage > r.anchor.n_pages)
    prefixes_->store_pages(r.sequence, std::span(r.tokens).first(static_cast<size_t>(length)), r.anchor);
}

void KvRoom::give_up(LiveRequest& r) {
  if (!r.has_sequence) return;
  r.n_run = kv_.length(r.sequence);
  if (prefixes_) prefixes_->store_end(r.sequence, std::span(r.tokens).first(static_cast<size_t>(r.n_run)), r.anchor);
  kv_.remove(r.sequence);
  r.has_sequence = false;
}

LiveRequest* KvRoom::last_holder() const {
  const auto last = std::find_if(requests_.rbegin(), requests_.rend(), [](const auto& r) { return r->has_sequence; });
  return last == requests_.rend() ? nullptr : last->get();
}

bool KvRoom::make_room(int64_t n_pages, const LiveRequest& r) {
  while (kv_.free_pages() + n_evictable() < n_pages) {
    LiveRequest* victim = last_holder();
    if (!victim || victim->priority() <= r.priority()) return false;
    drop(*victim);
  }
  if (n_pages > kv_.free_pages()) evict(n_pages - kv_.free_pages());
  return true;
}

void KvRoom::drop(LiveRequest& r) {
  give_up(r);
  ++n_dropped_;
}

}  // namespace watra::engine::internal
