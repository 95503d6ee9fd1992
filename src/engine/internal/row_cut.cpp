#include "engine/internal/row_cut.h"

#include <algorithm>

#include "base/checked.h"

namespace watra::engine::internal {
namespace {

// About a microsecond of reading, which is what the last member may come too late by; a claim costs a tenth of that.
constexpr uint64_t kLeastBytes = 16 << 10;

}  // namespace

std::vector<Chunk> cut_rows(std::span<const ProductRows> products) {
  std::vector<Chunk> chunks;
  for (const ProductRows& p : products) {
    const uint64_t group_bytes = std::max<uint64_t>(1, p.row_bytes * kernels::kRowGroup);
    const int64_t rows = static_cast<int64_t>(ceil_div(kLeastBytes, group_bytes)) * kernels::kRowGroup;
    const auto end = static_cast<int64_t>(chunks.size()) + ceil_div(p.rows, rows);
    for (int64_t b = 0; b < p.rows; b += rows) chunks.push_back({p.linear, p.part, b, std::min(b + rows, p.rows), end});
  }
  return chunks;
}

}  // namespace watra::engine::internal
