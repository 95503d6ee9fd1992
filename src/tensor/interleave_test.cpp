#include "tensor/interleave.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace watra::tensor {
namespace {

TEST(Interleave, IsAPermutationThatEveryRowCanBeReadFrom) {
  std::mt19937_64 rng(1);
  int n_types = 0;
  for (const auto& t : all_dtypes()) {
    if (!can_interleave(t.dtype)) continue;
    ++n_types;
    SCOPED_TRACE(t.name);
    for (int64_t n_blocks : {1, 2, 3, 8, 9, 18}) {
      const int64_t d = n_blocks * t.block_elements, rows = 37;
      const uint64_t row_size = row_bytes(t.dtype, d);
      std::vector<std::byte> raw(rows * row_size), mixed(rows * row_size), back(row_size);
      for (auto& b : raw) b = static_cast<std::byte>(rng());
      mixed = raw;
      for (int64_t r = 0; r + kInterleavedRows <= rows; r += kInterleavedRows)
        interleave_group(t.dtype, raw.data() + r * row_size, row_size, d, mixed.data() + r * row_size);
      const TensorView view{t.dtype, Layout::interleaved_16, {rows, d}, mixed.data()};
      for (int64_t r = 0; r < rows; ++r) {
        copy_row(view, r, back.data());
        ASSERT_TRUE(std::equal(back.begin(), back.end(), raw.begin() + r * row_size)) << "row " << r;
      }
      auto a = raw, b = mixed;
      std::sort(a.begin(), a.end());
      std::sort(b.begin(), b.end());
      EXPECT_EQ(a, b) << "the same bytes";
    }
  }
  EXPECT_EQ(n_types, 19);
}

// The layout as interleave.h describes it, in numbers: kernels and CUDA read these places.
TEST(Interleave, LiesWhereTheHeaderSays) {
  constexpr int64_t kBlocks = 9;  // a panel of 8, then one of 1
  const int64_t d = 32 * kBlocks;
  const uint64_t row_size = row_bytes(DType::q8_0, d);
  std::vector<std::byte> raw(16 * row_size), mixed(raw.size());
  std::mt19937_64 rng(2);
  for (auto& b : raw) b = static_cast<std::byte>(rng());
  interleave_group(DType::q8_0, raw.data(), row_size, d, mixed.data());
  const auto at = [&](int64_t row, int64_t block, int64_t byte) { return raw[row * row_size + block * 34 + byte]; };
  EXPECT_EQ(mixed[2 * 16 * 3 + 2 * 5], at(5, 3, 0)) << "half field of block 3, row 5";
  EXPECT_EQ(mixed[8 * 32 + (3 * 8 + 2) * 64 + 5 * 4 + 1], at(5, 3, 2 + 4 * 2 + 1)) << "word 2 of block 3, row 5";
  const int64_t second = 8 * 16 * 34;
  EXPECT_EQ(mixed[second + 2 * 5], at(5, 8, 0));
  EXPECT_EQ(mixed[second + 32 + 7 * 64 + 5 * 4], at(5, 8, 2 + 28));
}

}  // namespace
}  // namespace watra::tensor
