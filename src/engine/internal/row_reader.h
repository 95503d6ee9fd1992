// RowReader: single rows of a table that lies on disk: the embeddings of a pass's tokens.
//
// Not thread-safe. After create() nothing is allocated, errors apart.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/memory.h"
#include "base/read_queue.h"
#include "engine/residency.h"

namespace watra::engine::internal {

class RowReader {
 public:
  // table: some of its rows are streamed; it must outlive the reader. Errors: "memory.*".
  static Result<std::unique_ptr<RowReader>> create(const LoadedWeight& table, uint32_t alignment, MemoryBudget* budget);

  // Row `row` of the table, which is streamed; comes back as `tag`.
  struct Wanted {
    int64_t row;
    int64_t tag;
  };
  // Calls place(tag, bytes) for each, in any order; the bytes are as the file has them, valid during the call.
  // Errors: "file.io", "file.short_read".
  template <class Place>
  Status read(std::span<const Wanted> rows, Place&& place) {
    return read(
        rows, [](void* to, int64_t tag, const std::byte* bytes) { (*static_cast<Place*>(to))(tag, bytes); },
        const_cast<void*>(static_cast<const void*>(&place)));
  }

 private:
  using Call = void (*)(void*, int64_t, const std::byte*);
  struct Place {
    int64_t tag;
    const std::byte* bytes;  // behind what the row's blocks have in front
    const StreamedRows* rows;
    uint64_t lead;
  };

  RowReader(const LoadedWeight& table, uint64_t place_bytes, uint32_t alignment, Buffer staging);
  Status read(std::span<const Wanted> rows, Call call, void* to);

  const LoadedWeight& table_;
  const uint64_t place_bytes_;
  Buffer staging_;
  std::byte* base_;
  std::vector<Place> places_;
  std::vector<size_t> free_;
  ReadQueue queue_;  // last: its end waits for reads into the staging buffer
};

// The streamed range that holds a row; null when the row lies in RAM.
const StreamedRows* streamed_range(const LoadedWeight& table, int64_t row);
// The resident range that holds a row; null when the row is streamed.
const ResidentRows* resident_range(const LoadedWeight& table, int64_t row);

}  // namespace watra::engine::internal
