#include "engine/kv_cache.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"

namespace watra::engine {

using kernels::kKvPage;

Result<KvCache> KvCache::create(const model::HParams& hp, const KvTypes& types, int64_t n_positions,
                                MemoryBudget* budget, int64_t n_sequences, int64_t max_rows) {
  WATRA_TRY(types.check(static_cast<int>(hp.layers.size())));
  KvCache c;
  int64_t offset = 0, page_bytes = 0;
  for (const auto& l : hp.layers) {
    if (hp.is_encoder) offset = 0;
    Layer layer{};
    layer.types = types.of(static_cast<int>(c.layers_.size()));
    layer.n_kv_heads = l.n_kv_heads;
    layer.k_row_bytes = kernels::kv_row_bytes(layer.types.k, l.d_head);
    layer.v_row_bytes = kernels::kv_row_bytes(layer.types.v, l.d_head);
    layer.k_offset = offset;
    offset += l.n_kv_heads * kKvPage * layer.k_row_bytes;
    layer.v_offset = offset;
    offset += l.n_kv_heads * kKvPage * layer.v_row_bytes;
    c.layers_.push_back(layer);
    page_bytes = std::max(page_bytes, offset);
  }
  c.page_bytes_ = static_cast<uint64_t>(page_bytes);
  const auto n_pages = static_cast<uint64_t>(ceil_div<int64_t>(std::max<int64_t>(n_positions, 1), kKvPage));
  const auto bytes = checked_mul<uint64_t>(n_pages, c.page_bytes_);
  if (!bytes)
    return fail("kv.too_large", fmt::format("a cache of {} positions is larger than any machine", n_positions),
                "lower --ctx");
  WATRA_ASSIGN(c.pool_, Buffer::allocate(budget, "kv cache", *bytes));
  WATRA_ASSIGN(c.recent_, RecentRows::create(hp, types, n_sequences, max_rows, static_cast<int64_t>(n_pages), budget));
  c.references_.assign(n_pages, 0);
  c.first_places_.assign(n_pages, -1);
  c.free_.reserve(n_pages);
  for (uint64_t i = n_pages; i-- > 0;) c.free_.push_back(c.pool_.data() + i * c.page_bytes_);
  return c;
}

bool KvCache::fits(const model::HParams& hp, const KvTypes& types) const {
  if (hp.layers.size() != layers_.size()) return false;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const KvPair wanted = types.of(static_cast<int>(i));
    if (!(wanted == layers_[i].types) || hp.layers[i].n_kv_heads != layers_[i].n_kv_heads ||
        kernels::kv_row_bytes(wanted.k, hp.layers[i].d_head) != layers_[i].k_row_bytes ||
        kernels::kv_row_bytes(wanted.v, hp.layers[i].d_head) != layers_[i].v_row_bytes)
      return false;
  }
  return true;
}

SequenceId KvCache::add() {
  const SequenceId id = next_id_++;
  Sequence& s = sequences_[id];
  s.table.reserve(references_.size());
  recent_.sit(s.seat);
  return id;
}

void KvCache::remove(SequenceId id) {
  truncate(id, 0);
  recent_.leave(sequences_.at(id).seat);
  sequences_.erase(id);
}

std::byte* KvCache::take_page(bool is_first) {
  std::byte* page = free_.back();
  free_.pop_back();
  references(page) = 1;
  if (is_first && recent_.needed()) first_places_[static_cast<size_t>(number(page))] = recent_.take_first_place();
  return page;
}

void KvCache::release_page(std::byte* page) {
  if (--references(page) > 0) return;
  free_.push_back(page);
  int32_t& place = first_places_[static_cast<size_t>(number(page))];
  if (place >= 0) recent_.give_back_first_place(place);
  place = -1;
}

std::byte* KvCache::copy_page(std::byte* page) {
  const int32_t place = first_places_[static_cast<size_t>(number(page))];
  std::byte* copy = take_page(place >= 0);
  std::memcpy(copy, page, page_bytes_);
  if (place >= 0)
    std::ranges::copy(recent_.first_page(place),
                      recent_.first_page(first_places_[static_cast<size_t>(number(copy))]).begin());
  release_page(page);
  return copy;
}

void KvCache::truncate(SequenceId id, int64_t n) {
  Sequence& s = sequences_.at(id);
  if (n < s.length) s.length = recent_.kept(s.seat, n);
  recent_.truncate(s.seat, s.length);
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
  for (auto page = s.table.begin() + first; page != s.table.end(); ++page)
    if (shared(*page)) *page = copy_page(*page);
  return {};
}

Result<SequenceId> KvCache::fork(SequenceId id, int64_t n) {
  const SequenceId child = add();
  const Sequence& from = sequences_.at(id);
  return share(child, std::min(n, from.length), &from, [&](size_t i) { return from.table[i]; });
}

Result<SequenceId> KvCache::add_on(std::span<const PageId> pages, int64_t n) {
  return share(add(), n, nullptr, [&](size_t i) { return address(pages[i]); });
}

template <class PageAt>
Result<SequenceId> KvCache::share(SequenceId child, int64_t n, const Sequence* from, PageAt page_at) {
  Sequence& to = sequences_.at(child);
  n = recent_.kept(from ? from->seat : to.seat, n);
  if (from) recent_.copy_open_page(from->seat, to.seat, n);
  to.length = n;
  for (size_t i = 0; i < static_cast<size_t>(pages_for(n)); ++i) {
    to.table.push_back(page_at(i));
    ++references(to.table.back());
  }
  if (to.seat.number >= 0) seat_first_page(to);
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
  if (index == 0) seat_first_page(sequences_.at(id));
}

int64_t KvCache::pages_to_grow(SequenceId id, int64_t n) const {
  const Sequence& s = sequences_.at(id);
  const auto missing = pages_for(s.length + n) - static_cast<int64_t>(s.table.size());
  return std::max<int64_t>(missing, 0) + (must_copy_last(s) ? 1 : 0);
}

Status KvCache::reserve(SequenceId id, int64_t n) {
  Sequence& s = sequences_.at(id);
  const auto wanted = static_cast<size_t>(pages_for(s.length + n));
  if (recent_.needed() && s.seat.number < 0)
    return fail("kv.full", "there is no room for one more conversation in a quantized cache",
                "fewer at a time, or --kv-type f16");
  if (pages_to_grow(id, n) > free_pages())
    return fail("kv.full",
                fmt::format("the context is full: {} more positions wanted, {} of {} are free", n, free_positions(),
                            total_positions()),
                "raise --ctx, or begin a new conversation");
  const bool takes_first = s.table.empty() ? wanted > 0 : must_copy_last(s) && s.length < kKvPage;
  if (takes_first && free_first_pages() == 0)
    return fail("kv.full", "there is no room for the beginning of one more conversation in a quantized cache",
                "fewer at a time, or --kv-type f16");
  if (must_copy_last(s)) {
    std::byte*& page = s.table[static_cast<size_t>(s.length / kKvPage)];
    page = copy_page(page);
  }
  while (s.table.size() < wanted) s.table.push_back(take_page(s.table.empty()));
  if (takes_first) seat_first_page(s);
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
    if (to == from) continue;
    copy_row(slot_page(id, to), to, slot_page(id, from), from);
    recent_.copy_row(sequences_.at(id).seat, to, from);
  }
  Sequence& s = sequences_.at(id);
  s.length = base + static_cast<int64_t>(slot_offsets.size());
  truncate(id, s.length);
}

}  // namespace watra::engine
