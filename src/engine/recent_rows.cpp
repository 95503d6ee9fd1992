#include "engine/recent_rows.h"

#include <algorithm>
#include <cstring>

namespace watra::engine {

using kernels::kKvPage;

Result<RecentRows> RecentRows::create(const model::HParams& hp, const KvTypes& types, int64_t n_sequences,
                                      int64_t max_rows, int64_t n_pages, MemoryBudget* budget) {
  RecentRows r;
  int64_t largest = 0;
  for (const auto& l : hp.layers) {
    const KvPair stored = types.of(static_cast<int>(r.layers_.size()));
    Layer layer{.offset = r.page_bytes_,
                .bytes = 0,
                .v_offset = 0,
                .row_bytes = kernels::kv_row_bytes(KvType::f16, l.d_head),
                .n_kv_heads = l.n_kv_heads,
                .has_k = kernels::is_quantized(stored.k),
                .has_v = kernels::is_quantized(stored.v)};
    const int64_t bytes = l.n_kv_heads * kKvPage * layer.row_bytes;
    if (layer.has_k) layer.bytes += bytes;
    layer.v_offset = layer.bytes;
    if (layer.has_v) layer.bytes += bytes;
    r.page_bytes_ += layer.bytes;
    largest = std::max(largest, layer.bytes);
    r.layers_.push_back(layer);
  }
  if (r.page_bytes_ == 0) return r;
  r.needed_ = true;
  r.n_pages_ = n_pages;
  // Of n rows of a sequence in a pass at most (n - 2) / kKvPage pages begin and end there.
  const int64_t n_passing = max_rows / kKvPage;
  r.n_seat_places_ = 2 * n_sequences;
  r.n_whole_places_ = r.n_seat_places_ + n_first_places(n_sequences, n_pages);
  r.n_places_ = r.n_whole_places_ + n_passing;
  WATRA_ASSIGN(r.pool_,
               Buffer::allocate(budget, "exact keys and values",
                                static_cast<uint64_t>(r.n_whole_places_ * r.page_bytes_ + n_passing * largest)));
  for (const Layer& layer : r.layers_) {
    std::byte* at = r.pool_.data();
    for (int64_t i = 0; i < r.n_whole_places_; ++i, at += r.page_bytes_) r.pages_.push_back(at + layer.offset);
    for (int64_t i = 0; i < n_passing; ++i, at += largest) r.pages_.push_back(at);
  }
  for (auto i = static_cast<int32_t>(n_sequences); i-- > 0;) r.free_.push_back(i);
  for (auto i = static_cast<int32_t>(r.n_whole_places_); i-- > r.n_seat_places_;) r.free_first_.push_back(i);
  return r;
}

void RecentRows::sit(Seat& seat) {
  seat = {};
  if (!needed_ || free_.empty()) return;
  seat.number = free_.back();
  free_.pop_back();
  seat.place_of.resize(static_cast<size_t>(n_pages_));
}

void RecentRows::leave(Seat& seat) {
  if (seat.number >= 0) free_.push_back(seat.number);
  seat = {};
}

int32_t RecentRows::take_first_place() {
  const int32_t place = free_first_.back();
  free_first_.pop_back();
  return place;
}

void RecentRows::open(Seat& seat, int64_t length, int64_t n_rows) {
  if (!needed_) return;
  const int64_t first = length / kKvPage, last = (length + n_rows - 1) / kKvPage;
  const auto put = [&](int64_t page, int place) {
    seat.page[place] = page;
    if (page > 0) seat.place_of[static_cast<size_t>(page)] = 2 * seat.number + place;
  };
  // A page that goes on stays where it is; a new one leaves the page before it alone.
  const int place = seat.page[0] == first ? 0 : seat.page[1] == first || seat.page[1] != first - 1 ? 1 : 0;
  put(first, place);
  if (last > first) put(last, 1 - place);
  for (int64_t page = first + 1; page < last; ++page)
    seat.place_of[static_cast<size_t>(page)] = static_cast<int32_t>(n_whole_places_ + n_passing_used_++);
}

int64_t RecentRows::kept(const Seat& seat, int64_t n) const {
  const int64_t page = n / kKvPage;
  return !needed_ || page == 0 || seat.page[0] == page || seat.page[1] == page ? n : page * kKvPage;
}

void RecentRows::truncate(Seat& seat, int64_t n) {
  for (int64_t& page : seat.page)
    if (page * kKvPage >= n) page = -1;
}

void RecentRows::copy_open_page(const Seat& from, Seat& to, int64_t n) {
  const int64_t page = n / kKvPage;
  if (!needed_ || page == 0 || n % kKvPage == 0 || to.number < 0) return;
  to.page[0] = page;
  to.place_of[static_cast<size_t>(page)] = 2 * to.number;
  const auto address = [&](const Seat& seat) {
    return pool_.data() + seat.place_of[static_cast<size_t>(page)] * page_bytes_;
  };
  std::memcpy(address(to), address(from), static_cast<size_t>(page_bytes_));
}

std::byte* RecentRows::row(int layer, int32_t place, int g, int64_t slot, int64_t offset) const {
  const Layer& l = layers_[static_cast<size_t>(layer)];
  return pages_[static_cast<size_t>(layer * n_places_ + place)] + offset + (g * kKvPage + slot % kKvPage) * l.row_bytes;
}

void RecentRows::copy_row(const Seat& seat, int64_t to_slot, int64_t from_slot) {
  if (!needed_) return;
  const int32_t to = seat.place_of[static_cast<size_t>(to_slot / kKvPage)];
  const int32_t from = seat.place_of[static_cast<size_t>(from_slot / kKvPage)];
  for (int layer = 0; layer < static_cast<int>(layers_.size()); ++layer) {
    const Layer& l = layers_[static_cast<size_t>(layer)];
    const auto n = static_cast<size_t>(l.row_bytes);
    for (int g = 0; g < l.n_kv_heads; ++g) {
      if (l.has_k) std::memcpy(k_row(layer, to, g, to_slot), k_row(layer, from, g, from_slot), n);
      if (l.has_v) std::memcpy(v_row(layer, to, g, to_slot), v_row(layer, from, g, from_slot), n);
    }
  }
}

}  // namespace watra::engine
