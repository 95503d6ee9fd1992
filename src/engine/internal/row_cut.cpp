#include "engine/internal/row_cut.h"

#include <algorithm>

namespace watra::engine::internal {
namespace {

// Simulated over 2 to 16 members with one or half of them slower (row_cut_test.cpp): 2 leaves a slow member working
// alone for up to 40 % of a step, 4 gains nothing more.
constexpr int64_t kRoundsLeft = 3;
// About a microsecond of reading: a claim costs a tenth of that.
constexpr uint64_t kLeastBytes = 16 << 10;

}  // namespace

std::vector<Chunk> cut_rows(std::span<const ProductRows> products, int n_threads) {
  int64_t left = 0;
  for (const ProductRows& p : products) left += p.rows;
  std::vector<Chunk> chunks;
  for (size_t i = 0; i < products.size(); ++i) {
    const uint64_t group_bytes = std::max<uint64_t>(1, products[i].row_bytes * kernels::kRowGroup);
    const auto least = static_cast<int64_t>((kLeastBytes + group_bytes - 1) / group_bytes);
    for (int64_t b = 0, n = 0; b < products[i].rows; b += n, left -= n) {
      const int64_t groups = std::max(left / (n_threads * kRoundsLeft) / kernels::kRowGroup, least);
      n = std::min(groups * kernels::kRowGroup, products[i].rows - b);
      chunks.push_back({products[i].linear, products[i].part, b, b + n});
    }
  }
  return chunks;
}

}  // namespace watra::engine::internal
