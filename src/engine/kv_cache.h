// KvCache: the cached keys and values of all sequences, in pages of kernels::kKvPage positions.
//
// A page holds all layers of its positions; pages are shared by sequences with a common prefix (reference counts) and
// copied when one of them writes. Position p of a sequence lies in slot p. A pass writes its rows into the slots behind
// the cached ones; rows of a chain stay, rows of a draft tree are kept or dropped by keep_path().
//
// The pool is allocated once. Not thread-safe: one owner (the scheduler or a session) calls it between passes.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/memory.h"
#include "engine/batch.h"
#include "kernels/ops.h"
#include "model/hparams.h"

namespace watra::engine {

using kernels::KvType;
using PageId = int32_t;  // a page's place in the pool
inline constexpr PageId kNoPage = -1;

class KvCache {
 public:
  // n_positions: room for all sequences together (rounded up to pages).
  static Result<KvCache> create(const model::HParams& hp, KvType k, KvType v, int64_t n_positions,
                                MemoryBudget* budget);

  SequenceId add();
  void remove(SequenceId id);
  // A new sequence that shares the first n positions. Error "kv.full" when the last, partly filled page cannot be
  // copied.
  Result<SequenceId> fork(SequenceId id, int64_t n);
  // A new sequence of n positions that shares these pages (all that n positions need). Errors as fork().
  Result<SequenceId> add_on(std::span<const PageId> pages, int64_t n);
  // Forgets everything from position n on (n <= length).
  void truncate(SequenceId id, int64_t n);
  // Forgets whole pages [first, first + n) from inside the cached ones. Those behind take their slots, and are this
  // sequence's own from then on: shared ones are copied. What their keys say of their position is the caller's to mend
  // (kv_shift.h). Error "kv.full" when there is no room for the copies; then nothing has changed.
  Status drop_pages(SequenceId id, int64_t first, int64_t n);
  int64_t length(SequenceId id) const { return sequences_.at(id).length; }
  bool has(SequenceId id) const { return sequences_.contains(id); }

  // Makes slots [length, length + n) writable. Error "kv.full" names needed and free positions.
  Status reserve(SequenceId id, int64_t n);
  // After a pass: `n` rows of a chain are now cached.
  void commit_chain(SequenceId id, int64_t n) { sequences_.at(id).length += n; }
  // After a pass over a tree: the rows at these slots (offsets from length, in path order) become the next positions.
  void keep_path(SequenceId id, std::span<const int32_t> slot_offsets);

  const std::byte* const* page_table(SequenceId id) const { return sequences_.at(id).table.data(); }
  std::byte* slot_page(SequenceId id, int64_t slot) const {
    return sequences_.at(id).table[static_cast<size_t>(slot / kernels::kKvPage)];
  }

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

  KvType k_type() const { return k_; }
  KvType v_type() const { return v_; }
  int64_t k_offset_bytes(int layer) const { return layers_[layer].k_offset; }
  int64_t v_offset_bytes(int layer) const { return layers_[layer].v_offset; }
  // Where row `slot % kKvPage` of kv head g lies inside a page's keys (or values) of a layer.
  int64_t k_row_offset(int layer, int g, int64_t slot) const;
  int64_t v_row_offset(int layer, int g, int64_t slot) const;

  int64_t free_positions() const { return free_pages() * kernels::kKvPage; }
  int64_t total_positions() const { return total_pages() * kernels::kKvPage; }
  uint64_t page_bytes() const { return page_bytes_; }

 private:
  struct Layer {
    int64_t k_offset, v_offset, k_row_bytes, v_row_bytes;
    int32_t n_kv_heads;
  };
  struct Sequence {
    std::vector<std::byte*> table;
    int64_t length = 0;
  };
  template <class PageAt>
  Result<SequenceId> share(SequenceId child, int64_t n, PageAt page_at);
  std::byte* take_page();
  void release_page(std::byte* page);
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

  KvType k_ = KvType::f16, v_ = KvType::f16;
  std::vector<Layer> layers_;
  uint64_t page_bytes_ = 0;
  Buffer pool_;
  std::vector<std::byte*> free_;
  std::vector<int32_t> references_;
  std::unordered_map<SequenceId, Sequence> sequences_;
  SequenceId next_id_ = 1;
};

}  // namespace watra::engine
