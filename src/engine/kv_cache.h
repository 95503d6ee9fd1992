// KvCache: the cached keys and values of all sequences, in pages of kernels::kKvPage positions.
//
// A page holds all layers of its positions; pages are shared by sequences with a common prefix (reference counts) and
// copied when one of them writes. Position p of a sequence lies in slot p. A pass writes its rows into the slots behind
// the cached ones; rows of a chain stay, rows of a draft tree are kept or dropped by keep_path().
//
// Where layers are stored quantized, a row sees the first page and its own as they were computed (recent_rows.h). The
// exact rows of a first page lie beside it and are shared and copied with it. Those of an open page are kept; a
// sequence that is cut back into an earlier one, or shares one in part, goes on from where that page begins and its
// owner runs those rows again: truncate(), fork() and add_on() may leave fewer positions than asked for, then a whole
// number of pages. Rows of the last pass can always be taken back one by one.
//
// Of an encoder, which reads a text in one pass and keeps nothing of it, all layers use the same place one after the
// other: a page then holds one layer.
//
// The pool is allocated once. Not thread-safe: one owner (the scheduler or a session) calls it between passes.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/memory.h"
#include "engine/batch.h"
#include "engine/kv_types.h"
#include "engine/recent_rows.h"
#include "kernels/ops.h"
#include "model/hparams.h"

namespace watra::engine {

using PageId = int32_t;  // a page's place in the pool
inline constexpr PageId kNoPage = -1;

class KvCache {
 public:
  // n_positions: room for all sequences together (rounded up to pages). n_sequences, max_rows: at one time and in a
  // pass, which count for quantized types only. Error "usage.kv_type" when `types` names layers that are not there.
  static Result<KvCache> create(const model::HParams& hp, const KvTypes& types, int64_t n_positions,
                                MemoryBudget* budget, int64_t n_sequences = 1, int64_t max_rows = 512);

  // A network of this shape could use this cache.
  bool fits(const model::HParams& hp, const KvTypes& types) const;

  SequenceId add();
  void remove(SequenceId id);
  // A new sequence that shares the first n positions. Error "kv.full" when the last, partly filled page cannot be
  // copied, or there are n_sequences already.
  Result<SequenceId> fork(SequenceId id, int64_t n);
  // A new sequence of n positions that shares these pages (all that n positions need). Errors as fork().
  Result<SequenceId> add_on(std::span<const PageId> pages, int64_t n);
  // Forgets everything from position n on (n <= length); see above.
  void truncate(SequenceId id, int64_t n);
  // Forgets whole pages [first, first + n), first > 0, from inside the cached ones. Those behind take their slots, and
  // are this sequence's own from then on: shared ones are copied. What their keys say of their position is the caller's
  // to mend (kv_shift.h). Error "kv.full" when there is no room for the copies; then nothing has changed.
  Status drop_pages(SequenceId id, int64_t first, int64_t n);
  int64_t length(SequenceId id) const { return sequences_.at(id).length; }
  // Positions its pages have room for, cached or not.
  int64_t held_positions(SequenceId id) const {
    return static_cast<int64_t>(sequences_.at(id).table.size()) * kernels::kKvPage;
  }
  bool has(SequenceId id) const { return sequences_.contains(id); }

  // Whether a sequence can be shared in whole pages only.
  bool shares_whole_pages_only() const { return recent_.needed(); }
  // How many more sequences there can be.
  int64_t free_sequences() const { return recent_.needed() ? recent_.free_seats() : INT64_MAX; }

  // Sequences that begin with a page of their own, and cached prefixes, share this many places for the exact rows of
  // first pages; there are more of them than sequences.
  int64_t free_first_pages() const { return recent_.needed() ? recent_.free_first_places() : INT64_MAX; }

  // Makes slots [length, length + n) writable. Error "kv.full" names needed and free positions.
  Status reserve(SequenceId id, int64_t n);
  // Before a pass: begin_pass(), then for each sequence with n rows in it, after reserve(), open_recent().
  void begin_pass() { recent_.begin_pass(); }
  void open_recent(SequenceId id, int64_t n) {
    Sequence& s = sequences_.at(id);
    recent_.open(s.seat, s.length, n);
  }
  // After a pass that was given up: nothing of it is left.
  void forget_pass(SequenceId id) {
    Sequence& s = sequences_.at(id);
    recent_.truncate(s.seat, s.length);
  }
  // After a pass: `n` rows of a chain are now cached.
  void commit_chain(SequenceId id, int64_t n) { sequences_.at(id).length += n; }
  // After a pass over a tree: the rows at these slots (offsets from length, in path order) become the next positions.
  void keep_path(SequenceId id, std::span<const int32_t> slot_offsets);

  const std::byte* const* page_table(SequenceId id) const { return sequences_.at(id).table.data(); }
  std::byte* slot_page(SequenceId id, int64_t slot) const {
    return sequences_.at(id).table[static_cast<size_t>(slot / kernels::kKvPage)];
  }

  // The exact rows of the sequence's first page, which it has; empty where nothing is stored quantized.
  std::span<std::byte> first_page_exact(SequenceId id) const {
    return recent_.needed() ? recent_.first_page(sequences_.at(id).seat.place_of[0]) : std::span<std::byte>{};
  }
  uint64_t first_page_exact_bytes() const { return static_cast<uint64_t>(recent_.page_bytes()); }

  // Pages by number, for whoever keeps them beyond a sequence's life (prefix_cache.h). retain() and release() count
  // references; a page nobody refers to is free again.
  PageId page(SequenceId id, int64_t index) const {
    return number(sequences_.at(id).table[static_cast<size_t>(index)]);
  }
  void retain(PageId page) { ++references_[static_cast<size_t>(page)]; }
  void release(PageId page) { release_page(address(page)); }
  int32_t n_references(PageId page) const { return references_[static_cast<size_t>(page)]; }
  // Puts another page in the place of a sequence's own; the caller answers for equal content.
  void replace_page(SequenceId id, int64_t index, PageId page);
  // Pages that reserve(id, n) would take.
  int64_t pages_to_grow(SequenceId id, int64_t n) const;
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }
  int64_t total_pages() const { return static_cast<int64_t>(references_.size()); }
  static int64_t pages_for(int64_t n_positions) { return (n_positions + kernels::kKvPage - 1) / kernels::kKvPage; }

  KvPair types(int layer) const { return layers_[static_cast<size_t>(layer)].types; }
  int64_t k_offset_bytes(int layer) const { return layers_[layer].k_offset; }
  int64_t v_offset_bytes(int layer) const { return layers_[layer].v_offset; }
  // Open pages as they were computed: places by page of the sequence (null where nothing is stored quantized), and what
  // lies in a place.
  const int32_t* recent_places(SequenceId id) const {
    return recent_.needed() ? sequences_.at(id).seat.place_of.data() : nullptr;
  }
  const RecentRows& recent() const { return recent_; }
  // Where row `slot % kKvPage` of kv head g lies inside a page's keys (or values) of a layer.
  int64_t k_row_offset(int layer, int g, int64_t slot) const;
  int64_t v_row_offset(int layer, int g, int64_t slot) const;

  int64_t free_positions() const { return free_pages() * kernels::kKvPage; }
  int64_t total_positions() const { return total_pages() * kernels::kKvPage; }
  uint64_t page_bytes() const { return page_bytes_; }

 private:
  struct Layer {
    KvPair types;
    int64_t k_offset, v_offset, k_row_bytes, v_row_bytes;
    int32_t n_kv_heads;
  };
  struct Sequence {
    std::vector<std::byte*> table;
    int64_t length = 0;
    RecentRows::Seat seat;
  };
  template <class PageAt>
  Result<SequenceId> share(SequenceId child, int64_t n, const Sequence* from, PageAt page_at);
  std::byte* take_page(bool is_first);
  void release_page(std::byte* page);
  std::byte* copy_page(std::byte* page);  // gives the shared one up
  void seat_first_page(Sequence& s) {
    if (recent_.needed() && !s.table.empty())
      s.seat.place_of[0] = first_places_[static_cast<size_t>(number(s.table[0]))];
  }
  PageId number(const std::byte* page) const {
    return static_cast<PageId>((page - pool_.data()) / static_cast<int64_t>(page_bytes_));
  }
  std::byte* address(PageId page) const { return pool_.data() + static_cast<uint64_t>(page) * page_bytes_; }
  int32_t& references(const std::byte* page) { return references_[static_cast<size_t>(number(page))]; }
  bool must_copy_last(const Sequence& s) const {
    return s.length % kernels::kKvPage != 0 &&
           n_references(number(s.table[static_cast<size_t>(s.length / kernels::kKvPage)])) > 1;
  }
  void copy_row(std::byte* to, int64_t to_slot, const std::byte* from, int64_t from_slot) const;

  std::vector<Layer> layers_;
  uint64_t page_bytes_ = 0;
  Buffer pool_;
  RecentRows recent_;
  std::vector<std::byte*> free_;
  std::vector<int32_t> references_;
  std::vector<int32_t> first_places_;  // by page: where the exact rows of a first page lie; -1 = it is none
  std::unordered_map<SequenceId, Sequence> sequences_;
  SequenceId next_id_ = 1;
};

}  // namespace watra::engine
