// RecentRows: the keys and values of first and of open pages as they were computed, of layers that store them
// quantized.
//
// A row sees the first page of its sequence (its sinks) and its own page (the positions with its position / kKvPage)
// exact, all others as they are stored (docs/decisions/0013). So of a sequence only these two are needed between
// passes. The first one belongs to the cache's page 0 and goes where that goes; whole pages, the first with its exact
// rows, say all there is to say: they can be shared, and stored on disk, as they are.
//
//   first     places for first pages, with all layers: one per sequence and some for prefixes nobody runs on
//   seat      one per sequence: two places for pages with all layers, the open one and the one before or behind it, so
//             that rows of a draft can be taken back across the end of a page
//   passing   places for pages that begin and end inside a pass: of one layer, since nobody reads them after it
//
// Rows are kernels::Kernels::store_recent's. All room is taken at the start. Owned and called by KvCache.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/memory.h"
#include "engine/kv_types.h"
#include "model/hparams.h"

namespace watra::engine {

class RecentRows {
 public:
  struct Seat {
    int32_t number = -1;            // -1 = none
    int64_t page[2] = {-1, -1};     // of the sequence, in its two places; -1 = empty
    std::vector<int32_t> place_of;  // by page of the sequence; only of the first, of those in the pass and in `page`
  };

  // n_sequences: seats. max_rows: of a pass. n_pages: the most that a sequence has, and all of the cache.
  static Result<RecentRows> create(const model::HParams& hp, const KvTypes& types, int64_t n_sequences,
                                   int64_t max_rows, int64_t n_pages, MemoryBudget* budget);

  bool needed() const { return needed_; }  // some layer is stored quantized
  int64_t free_seats() const { return static_cast<int64_t>(free_.size()); }
  void sit(Seat& seat);  // takes a free seat, or none
  void leave(Seat& seat);

  // Places for first pages: as many as there are seats, and one more for every 64 pages of the cache.
  static int64_t n_first_places(int64_t n_sequences, int64_t n_pages) { return n_sequences + (n_pages + 63) / 64; }
  int64_t free_first_places() const { return static_cast<int64_t>(free_first_.size()); }
  int32_t take_first_place();  // there must be one
  void give_back_first_place(int32_t place) { free_first_.push_back(place); }
  // All that lies in such a place.
  std::span<std::byte> first_page(int32_t place) const {
    return {pool_.data() + place * page_bytes_, static_cast<size_t>(page_bytes_)};
  }
  int64_t page_bytes() const { return page_bytes_; }

  // Places for the rows of a pass: begin_pass(), then each sequence once. Not for trees that fill more than two pages:
  // their rows could not be moved afterwards.
  void begin_pass() { n_passing_used_ = 0; }
  void open(Seat& seat, int64_t length, int64_t n_rows);

  // How many of the first n positions can be gone on from: n, or where its page begins.
  int64_t kept(const Seat& seat, int64_t n) const;
  void truncate(Seat& seat, int64_t n);
  // The open page of `from` for a sequence that shares its first n positions. (The first page goes with page 0.)
  void copy_open_page(const Seat& from, Seat& to, int64_t n);
  void copy_row(const Seat& seat, int64_t to_slot, int64_t from_slot);

  // By place.
  const std::byte* const* pages(int layer) const { return pages_.data() + static_cast<int64_t>(layer) * n_places_; }
  int64_t v_offset_bytes(int layer) const { return layers_[static_cast<size_t>(layer)].v_offset; }
  // Where row `slot % kKvPage` of kv head g lies.
  std::byte* k_row(int layer, int32_t place, int g, int64_t slot) const { return row(layer, place, g, slot, 0); }
  std::byte* v_row(int layer, int32_t place, int g, int64_t slot) const {
    return row(layer, place, g, slot, v_offset_bytes(layer));
  }

 private:
  struct Layer {
    int64_t offset, bytes;  // of a page with all layers
    int64_t v_offset, row_bytes;
    int32_t n_kv_heads;
    bool has_k, has_v;
  };
  std::byte* row(int layer, int32_t place, int g, int64_t slot, int64_t offset) const;

  bool needed_ = false;
  std::vector<Layer> layers_;
  int64_t page_bytes_ = 0;
  int64_t n_places_ = 0, n_seat_places_ = 0, n_whole_places_ = 0, n_passing_used_ = 0;  // whole: of seats, and first
  Buffer pool_;
  std::vector<std::byte*> pages_;  // [layer, place]
  std::vector<int32_t> free_, free_first_;
  int64_t n_pages_ = 0;
};

}  // namespace watra::engine
