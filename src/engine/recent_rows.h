// RecentRows: the keys and values of open pages as they were computed, of layers that store them quantized.
//
// A row sees its own page (the positions with its position / kKvPage) exact and earlier pages as they are stored
// (docs/decisions/0013). So of a sequence only the page that its end lies in is needed between passes, and whole pages
// of the cache say all there is to say: they can be shared, and stored on disk, as they are.
//
//   seat      one per sequence: two places for pages with all layers, the open one and the one before or behind it, so
//             that rows of a draft can be taken back across the end of a page
//   passing   places for pages that begin and end inside a pass: of one layer, since nobody reads them after it
//
// Rows are kernels::Kernels::store_recent's. All room is taken at the start. Owned and called by KvCache.
#pragma once

#include <cstdint>
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
    std::vector<int32_t> place_of;  // by page of the sequence; only of pages in the pass and in `page`
  };

  // n_sequences: seats. max_rows: of a pass. n_pages: the most that a sequence has.
  static Result<RecentRows> create(const model::HParams& hp, const KvTypes& types, int64_t n_sequences,
                                   int64_t max_rows, int64_t n_pages, MemoryBudget* budget);

  bool needed() const { return needed_; }  // some layer is stored quantized
  int64_t free_seats() const { return static_cast<int64_t>(free_.size()); }
  void sit(Seat& seat);  // takes a free seat, or none
  void leave(Seat& seat);

  // Places for the rows of a pass: begin_pass(), then each sequence once. Not for trees that fill more than two pages:
  // their rows could not be moved afterwards.
  void begin_pass() { n_passing_used_ = 0; }
  void open(Seat& seat, int64_t length, int64_t n_rows);

  // How many of the first n positions can be gone on from: n, or where its page begins.
  int64_t kept(const Seat& seat, int64_t n) const;
  void truncate(Seat& seat, int64_t n);
  // The open page of `from` for a sequence that shares its first n positions.
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
  int64_t n_places_ = 0, n_seat_places_ = 0, n_passing_used_ = 0;
  Buffer pool_;
  std::vector<std::byte*> pages_;  // [layer, place]
  std::vector<int32_t> free_;
  int64_t n_pages_ = 0;
};

}  // namespace watra::engine
