#include "engine/internal/row_reader.h"

#include <algorithm>

namespace watra::engine::internal {
namespace {

// Reads of a few kilobytes: as many at once as an SSD works on in parallel.
constexpr int kDepth = 32;

uint64_t align_down(uint64_t n, uint64_t step) { return n / step * step; }
uint64_t align_up(uint64_t n, uint64_t step) { return align_down(n + step - 1, step); }

}  // namespace

const StreamedRows* streamed_range(const LoadedWeight& table, int64_t row) {
  const auto at = std::ranges::upper_bound(table.streamed, row, {}, &StreamedRows::end);
  return at != table.streamed.end() && row >= at->begin ? &*at : nullptr;
}

const ResidentRows* resident_range(const LoadedWeight& table, int64_t row) {
  const auto at = std::ranges::upper_bound(table.resident, row, {}, &ResidentRows::end);
  return at != table.resident.end() && row >= at->begin ? &*at : nullptr;
}

Result<std::unique_ptr<RowReader>> RowReader::create(const LoadedWeight& table, uint32_t alignment,
                                                     MemoryBudget* budget) {
  const uint64_t place_bytes = align_up(table.matrix.row_size_bytes(), alignment) + 2 * uint64_t{alignment};
  WATRA_ASSIGN(Buffer staging, Buffer::allocate(budget, "embeddings in flight", kDepth * place_bytes + alignment));
  return std::unique_ptr<RowReader>(new RowReader(table, place_bytes, alignment, std::move(staging)));
}

RowReader::RowReader(const LoadedWeight& table, uint64_t place_bytes, uint32_t alignment, Buffer staging)
    : table_(table), place_bytes_(place_bytes), staging_(std::move(staging)), places_(kDepth), queue_(kDepth) {
  const auto at = reinterpret_cast<uintptr_t>(staging_.data());
  base_ = staging_.data() + (align_up(at, alignment) - at);
  for (size_t p = 0; p < places_.size(); ++p) free_.push_back(p);
}

Status RowReader::read(std::span<const Wanted> rows, Call call, void* to) {
  const uint64_t row_bytes = table_.matrix.row_size_bytes();
  Status result;
  size_t next = 0;
  while (next < rows.size() || queue_.n_in_flight() > 0) {
    while (result && next < rows.size() && !free_.empty()) {
      const size_t p = free_.back();
      free_.pop_back();
      const StreamedRows& range = *streamed_range(table_, rows[next].row);
      const DirectFile& file = *range.file;
      const uint64_t offset = range.offset + static_cast<uint64_t>(rows[next].row - range.begin) * row_bytes;
      const uint64_t begin = align_down(offset, file.alignment()), end = align_up(offset + row_bytes, file.alignment());
      std::byte* at = base_ + p * place_bytes_;
      places_[p] = {rows[next++].tag, at + (offset - begin), &range, offset - begin};
      queue_.submit(file, begin, {at, end - begin}, p);
    }
    if (queue_.n_in_flight() == 0) break;  // after an error the rest is not asked for
    queue_.accept(queue_.wait());
    while (auto done = queue_.finished()) {
      const Place& place = places_[done->tag];
      free_.push_back(done->tag);
      if (!done->n_bytes) {
        if (result) result = fail(std::move(done->n_bytes).error());
      } else if (*done->n_bytes < place.lead + row_bytes) {
        if (result)
          result = fail("file.short_read",
                        fmt::format("{} ends early: an embedding was to be read behind its end",
                                    place.rows->file->file().path().string()),
                        "the file was cut while it was read; copy or download it again");
      } else if (result) {
        call(to, place.tag, place.bytes);
      }
    }
  }
  return result;
}

}  // namespace watra::engine::internal
