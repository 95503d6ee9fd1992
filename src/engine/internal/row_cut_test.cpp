#include "engine/internal/row_cut.h"

#include <gtest/gtest.h>

namespace watra::engine::internal {
namespace {

TEST(RowCut, CoversEveryRowOnceInGroups) {
  for (std::vector<ProductRows> products : {std::vector<ProductRows>{{1, 34}},
                                            {{49152, 612}},
                                            {{576, 612}, {192, 612}, {192, 612}},
                                            {{17, 1}, {4096, 9216}}}) {
    for (size_t i = 0; i < products.size(); ++i) products[i].linear = static_cast<int32_t>(i);
    std::vector<int64_t> done(products.size(), 0);
    const std::vector<Chunk> chunks = cut_rows(products);
    int32_t last = 0;
    for (size_t i = 0; i < chunks.size(); ++i) {
      const Chunk& c = chunks[i];
      ASSERT_GE(c.linear, last);
      last = c.linear;
      auto& at = done[static_cast<size_t>(c.linear)];
      ASSERT_EQ(c.row_begin, at);
      ASSERT_EQ(c.row_begin % kernels::kRowGroup, 0);
      ASSERT_GT(c.row_end, c.row_begin);
      at = c.row_end;
      ASSERT_GT(c.part_end, static_cast<int64_t>(i));
      ASSERT_LE(c.part_end, static_cast<int64_t>(chunks.size()));
      ASSERT_EQ(chunks[static_cast<size_t>(c.part_end - 1)].linear, c.linear);
      if (c.part_end < static_cast<int64_t>(chunks.size())) {
        ASSERT_NE(chunks[static_cast<size_t>(c.part_end)].linear, c.linear);
      }
    }
    for (size_t i = 0; i < products.size(); ++i) EXPECT_EQ(done[i], products[i].rows);
  }
}

TEST(RowCut, ChunksAreAboutAsLargeWhateverTheRows) {
  for (const uint64_t row_bytes : {34, 324, 612, 4352}) {
    const auto chunks = cut_rows(std::vector<ProductRows>{{28672, row_bytes}});
    const uint64_t n_bytes = static_cast<uint64_t>(chunks[0].row_end) * row_bytes;
    EXPECT_GE(n_bytes, 16u << 10);
    EXPECT_LT(n_bytes, (16u << 10) + 16 * row_bytes);
  }
}

}  // namespace
}  // namespace watra::engine::internal
