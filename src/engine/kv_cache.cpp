#include "engine/kv_cache.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"

namespace watra::engine {

using kernels::kKvPage;

Result<KvCache> KvCache::create(const model::HParams& hp, KvType k, KvType v, int64_t n_positions,
                                MemoryBudget* budget) {
  KvCache c;
  c.k_ = k;
  c.v_ = v;
  int64_t offset = 0;
  for (const auto& l : hp.layers) {
    Layer layer{};
    layer.n_kv_heads = l.n_kv_heads;
    layer.k_row_bytes = kernels::kv_row_bytes(k, l.d_head);
    layer.v_row_bytes = kernels::kv_row_bytes(v, l.d_head);
    layer.k_offset = offset;
    offset += l.n_kv_heads * kKvPage * layer.k_row_bytes;
    layer.v_offset = offset;
    offset += l.n_kv_heads * kKvPage * layer.v_row_bytes;
    c.layers_.push_back(layer);
  }
  c.page_bytes_ = static_cast<uint64_t>(offset);
  const auto n_pages = static_cast<uint64_t>(ceil_div<int64_t>(std::max<int64_t>(n_positions, 1), kKvPage));
  const auto bytes = checked_mul<uint64_t>(n_pages, c.page_bytes_);
  if (!bytes)
    return fail("kv.too_large", fmt::format("a cache of {} positions is larger than any machine", n_positions),
                "lower --ctx");
  WATRA_ASSIGN(c.pool_, Buffer::allocate(budget, "kv cache", *bytes));
  c.references_.assign(n_pages, 0);
  c.free_.reserve(n_pages);
  for (uint64_t i = n_pages; i-- > 0;) c.free_.push_back(c.pool_.data() + i * c.page_bytes_);
  return c;
}

SequenceId KvCache::add() {
  const SequenceId id = next_id_++;
  sequences_[id].table.reserve(references_.size());
  return id;
}

void KvCache::remove(SequenceId id) {
  truncate(id, 0);
  sequences_.erase(id);
}

std::byte* KvCache::take_page() {
  std::byte* page = free_.back();
  free_.pop_back();
  references(page) = 1;
  return page;
}

void KvCache::release_page(std::byte* page) {
  if (--references(page) == 0) free_.push_back(page);
}

void KvCache::truncate(SequenceId id, int64_t n) {
  Sequence& s = sequences_.at(id);
  s.length = std::min(s.length, n);
  const auto keep = static_cast<size_t>(pages_for(s.length));
  while (s.table.size() > keep) {
    release_page(s.table.back());
    s.table.pop_back();
  }
}

Status KvCache::drop_pages(SequenceId id, int64_t first, int64_t n) {
  Sequence& s = sequences_.at(id);
  const auto begin = s.table.begin() + first, end = begin + n;
  const auto shared = [&](const std::byte* page) { return n_references(number(page)) > 1; };
  const int64_t n_copies = std::count_if(end, s.table.end(), shared);
  if (n_copies > free_pages() + n - std::count_if(begin, end, shared))
    return fail("kv.full", fmt::format("{} pages are shared with other sequences and cannot be copied", n_copies),
                "raise --ctx, or begin a new conversation");
  for (auto page = begin; page != end; ++page) release_page(*page);
  s.table.erase(begin, end);
  s.length -= n * kKvPage;
  for (auto page = s.table.begin() + first; page != s.table.end(); ++page) {
    if (!shared(*page)) continue;
    std::byte* copy = take_page();
    std::memcpy(copy, *page, page_bytes_);
    release_page(*page);
    *page = copy;
  }
  return {};
}

Result<SequenceId> KvCache::fork(SequenceId id, int64_t n) {
  const SequenceId child = add();
  const Sequence& from = sequences_.at(id);
  return share(child, std::min(n, from.length), [&](size_t i) { return from.table[i]; });
}

Result<SequenceId> KvCache::add_on(std::span<const PageId> pages, int64_t n) {
  return share(add(), n, [&](size_t i) { return address(pages[i]); });
}

template <class PageAt>
Result<SequenceId> KvCache::share(SequenceId child, int64_t n, PageAt page_at) {
  Sequence& to = sequences_.at(child);
  to.length = n;
  for (size_t i = 0; i < static_cast<size_t>(pages_for(n)); ++i) {
    to.table.push_back(page_at(i));
    ++references(to.table.back());
  }
  if (Status ready = reserve(child, 0); !ready) {  // copies the last page if it is not full
    remove(child);
    return fail(std::move(ready).error());
  }
  return child;
}

void KvCache::replace_page(SequenceId id, int64_t index, PageId page) {
  std::byte*& own = sequences_.at(id).table[static_cast<size_t>(index)];
  retain(page);
  release_page(own);
  own = address(page);
}

int64_t KvCache::pages_to_grow(SequenceId id, int64_t n) const {
  const Sequence& s = sequences_.at(id);
  const auto missing = pages_for(s.length + n) - static_cast<int64_t>(s.table.size());
  return std::max<int64_t>(missing, 0) + (must_copy_last(s) ? 1 : 0);
}

Status KvCache::reserve(SequenceId id, int64_t n) {
  Sequence& s = sequences_.at(id);
  const auto wanted = static_cast<size_t>(pages_for(s.length + n));
  if (pages_to_grow(id, n) > free_pages())
    return fail("kv.full",
                fmt::format("the context is full: {} more positions wanted, {} of {} are free", n, free_positions(),
                            total_positions()),
                "raise --ctx, or begin a new conversation");
  if (must_copy_last(s)) {
    std::byte*& page = s.table[static_cast<size_t>(s.length / kKvPage)];
    std::byte* copy = take_page();
    std::memcpy(copy, page, page_bytes_);
    release_page(page);
    page = copy;
  }
  while (s.table.size() < wanted) s.table.push_back(take_page());
  return {};
}

int64_t KvCache::k_row_offset(int layer, int g, int64_t slot) const {
  const Layer& l = layers_[layer];
  return l.k_offset + (g * kKvPage + slot % kKvPage) * l.k_row_bytes;
}
int64_t KvCache::v_row_offset(int layer, int g, int64_t slot) const {
  const Layer& l = layers_[layer];
  return l.v_offset + (g * kKvPage + slot % kKvPage) * l.v_row_bytes;
}

void KvCache::copy_row(std::byte* to, int64_t to_slot, const std::byte* from, int64_t from_slot) const {
  for (int layer = 0; layer < static_cast<int>(layers_.size()); ++layer) {
    const Layer& l = layers_[layer];
    for (int g = 0; g < l.n_kv_heads; ++g) {
      std::memcpy(to + k_row_offset(layer, g, to_slot), from + k_row_offset(layer, g, from_slot),
                  static_cast<size_t>(l.k_row_bytes));
      std::memcpy(to + v_row_offset(layer, g, to_slot), from + v_row_offset(layer, g, from_slot),
                  static_cast<size_t>(l.v_row_bytes));
    }
  }
}

void KvCache::keep_path(SequenceId id, std::span<const int32_t> slot_offsets) {
  const int64_t base = length(id);
  for (size_t i = 0; i < slot_offsets.size(); ++i) {
    // Paths run forward (a row comes after its parent), so offset i is read before any later move overwrites it.
    const int64_t to = base + static_cast<int64_t>(i), from = base + slot_offsets[i];
    if (to != from) copy_row(slot_page(id, to), to, slot_page(id, from), from);
  }
  Sequence& s = sequences_.at(id);
  s.length = base + static_cast<int64_t>(slot_offsets.size());
  truncate(id, s.length);
}

}  // namespace watra::engine
