#include "engine/internal/kv_room.h"

#include <algorithm>

namespace watra::engine::internal {

using kernels::kKvPage;

KvRoom::KvRoom(KvCache& kv, const std::optional<PageKey>& root, const Requests& requests, KvStore* store)
    : kv_(kv), requests_(requests), root_(root.value_or(PageKey{})), store_(root ? store : nullptr) {
  match_.pages.reserve(static_cast<size_t>(kv.total_pages()));
  if (root) prefixes_.emplace(kv, *root);
}

bool KvRoom::admit(LiveRequest& r) {
  match_.pages.clear();
  match_.n_tokens = 0;
  // The last token is run in any case, for its logits.
  if (prefixes_ && r.takes_cached()) prefixes_->find(std::span(r.tokens).first(r.tokens.size() - 1), match_);
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
  if (fits && prefixes_ && match_.n_tokens == 0 && kv_.free_first_pages() == 0) prefixes_->evict_beginning();
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
      r.n_stored = 0;
      r.may_restore = store_ && r.takes_cached() && r.n_tokens() >= store_->options().min_tokens;
      if (store_) r.keys.reserve(static_cast<size_t>(kv_.total_pages()));
      r.outcome.stats.n_reread += std::max<int64_t>(r.n_run - match_.n_tokens, 0);
    }
  }
  std::ranges::for_each(match_.pages, release);
  return fits;
}

bool KvRoom::fits(const LiveRequest& r) const {
  return kv_.free_sequences() > 0 && kv_.free_pages() + n_evictable() >= KvCache::pages_for(r.n_tokens());
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

int64_t KvRoom::grow_draft(LiveRequest& r, int64_t n) {
  const auto missing = [&] { return kv_.pages_to_grow(r.sequence, 1 + n) - kv_.free_pages(); };
  if (n > 0 && missing() > 0) evict(missing());
  while (n > 0 && missing() > 0) --n;
  return n > 0 && kv_.reserve(r.sequence, 1 + n) ? n : 0;
}

void KvRoom::look_again(LiveRequest& r) {
  const int64_t length = kv_.length(r.sequence);
  if (!prefixes_ || !r.takes_cached() || length % kKvPage != 0 || r.n_tokens() - length <= kKvPage) return;
  prefixes_->find(std::span(r.tokens).first(r.tokens.size() - 1), match_);
  prefixes_->extend(r.sequence, match_, r.anchor);
  count_found(r, kv_.length(r.sequence) - length);
}

bool KvRoom::restore(LiveRequest& r, double seconds) {
  if (!r.may_restore) return false;
  const int64_t length = kv_.length(r.sequence), first = length / kKvPage, n_pages = (r.n_tokens() - 1) / kKvPage;
  append_page_keys(root_, std::span(r.tokens).first(static_cast<size_t>(n_pages * kKvPage)), r.keys);
  const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  // A page that is shared in part was copied on admission: what the disk has goes over the copy.
  const int64_t n = store_->restore(
      root_, r.keys, r.tokens, first, [&](int64_t i) { return place_of_page(kv_, r.sequence, i); }, until);
  r.may_restore = n > 0 && Clock::now() >= until;
  if (n == 0) return false;
  kv_.commit_chain(r.sequence, (first + n) * kKvPage - length);
  count_found(r, kv_.length(r.sequence) - length);
  n_restored_ += n * kKvPage;
  if (r.n_run == 0) r.outcome.stats.n_restored += kv_.length(r.sequence) - length;
  prefixes_->store_pages(r.sequence, std::span(r.tokens).first(static_cast<size_t>(kv_.length(r.sequence))), r.anchor);
  return r.may_restore;
}

void KvRoom::keep_pages(LiveRequest& r, int64_t n_rows) {
  const int64_t length = kv_.length(r.sequence);
  if (!prefixes_ || length / kKvPage <= std::min(r.anchor.n_pages, r.n_stored)) return;
  if (length / kKvPage > r.anchor.n_pages)
    prefixes_->store_pages(r.sequence, std::span(r.tokens).first(static_cast<size_t>(length)), r.anchor);
  store_pages(r, n_rows > 1 ? length : 1);  // beside decoding one at a time: it must not be felt
}

void KvRoom::store_pages(LiveRequest& r, int64_t n_most) {
  const int64_t length = kv_.length(r.sequence), n_pages = length / kKvPage;
  if (!store_ || length < store_->options().min_tokens) return;
  const std::span tokens(r.tokens);
  append_page_keys(root_, tokens.first(static_cast<size_t>(n_pages * kKvPage)), r.keys);
  for (; r.n_stored < n_pages && n_most > 0; ++r.n_stored, --n_most) {
    const auto i = static_cast<size_t>(r.n_stored);
    if (!store_->offer({root_, r.keys[i], i > 0 ? r.keys[i - 1] : root_, r.n_stored,
                        tokens.subspan(i * static_cast<size_t>(kKvPage), static_cast<size_t>(kKvPage))},
                       place_of_page(kv_, r.sequence, r.n_stored)))
      return;
  }
}

void KvRoom::give_up(LiveRequest& r) {
  if (!r.has_sequence) return;
  r.n_run = kv_.length(r.sequence);
  store_pages(r, r.n_run);
  if (r.n_stored > 0) store_->used(root_, std::span(r.keys).first(static_cast<size_t>(r.n_stored)));
  if (prefixes_) prefixes_->store_end(r.sequence, std::span(r.tokens).first(static_cast<size_t>(r.n_run)), r.anchor);
  kv_.remove(r.sequence);
  r.has_sequence = false;
}

LiveRequest* KvRoom::last_holder() const {
  const auto last = std::find_if(requests_.rbegin(), requests_.rend(), [](const auto& r) { return r->has_sequence; });
  return last == requests_.rend() ? nullptr : last->get();
}

bool KvRoom::make_room(int64_t n_pages, const LiveRequest& r) {
  while (kv_.free_pages() + n_evictable() < n_pages || kv_.free_sequences() == 0) {
    LiveRequest* victim = last_holder();
    if (!victim || std::pair(victim->priority(), victim->place) <= std::pair(r.priority(), r.place)) return false;
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
