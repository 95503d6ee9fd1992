#include "engine/internal/row_cut.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace watra::engine::internal {
namespace {

// Seconds until the last member is done when free members claim chunks in order; speed = rows a second.
double finish(const std::vector<Chunk>& chunks, std::vector<double> speeds) {
  std::vector<double> free_at(speeds.size(), 0.0);
  for (const Chunk& c : chunks) {
    const auto next = std::min_element(free_at.begin(), free_at.end());
    *next += static_cast<double>(c.row_end - c.row_begin) / speeds[static_cast<size_t>(next - free_at.begin())];
  }
  return *std::max_element(free_at.begin(), free_at.end());
}

TEST(RowCut, CoversEveryRowOnceInGroups) {
  for (const int n_threads : {1, 2, 7, 64})
    for (std::vector<ProductRows> products : {std::vector<ProductRows>{{1, 34}},
                                              {{49152, 612}},
                                              {{576, 612}, {192, 612}, {192, 612}},
                                              {{17, 1}, {4096, 9216}}}) {
      for (size_t i = 0; i < products.size(); ++i) products[i].linear = static_cast<int32_t>(i);
      std::vector<int64_t> done(products.size(), 0);
      int32_t last = 0;
      for (const Chunk& c : cut_rows(products, n_threads)) {
        ASSERT_GE(c.linear, last);
        last = c.linear;
        auto& at = done[static_cast<size_t>(c.linear)];
        ASSERT_EQ(c.row_begin, at);
        ASSERT_EQ(c.row_begin % kernels::kRowGroup, 0);
        ASSERT_GT(c.row_end, c.row_begin);
        at = c.row_end;
      }
      for (size_t i = 0; i < products.size(); ++i) EXPECT_EQ(done[i], products[i].rows);
    }
}

// Eight fast cores and four of 60 %; one core three times slower, because another program runs there.
TEST(RowCut, UnequalCoresFinishTogether) {
  for (const int n : {2, 4, 8, 12, 16})
    for (const int64_t rows : {2048, 8192, 28672, 128256}) {
      std::vector<double> one_slow(static_cast<size_t>(n), 1e6), hybrid = one_slow;
      one_slow[0] /= 3;
      for (size_t i = hybrid.size() * 2 / 3; i < hybrid.size(); ++i) hybrid[i] *= 0.6;
      for (const auto& speeds : {one_slow, hybrid}) {
        const double ideal = static_cast<double>(rows) / std::accumulate(speeds.begin(), speeds.end(), 0.0);
        const double took = finish(cut_rows(std::vector<ProductRows>{{rows, 2176}}, n), speeds);
        // The last chunk of a slow core is what cannot be helped: 16 rows.
        const double last = 16.0 / *std::min_element(speeds.begin(), speeds.end());
        EXPECT_LT(took, 1.02 * ideal + last) << n << " threads, " << rows << " rows";
      }
    }
}

TEST(RowCut, ClaimsAreFew) {
  EXPECT_LT(cut_rows(std::vector<ProductRows>{{28672, 4352}}, 2).size(), 60u);
  EXPECT_LT(cut_rows(std::vector<ProductRows>{{576, 324}}, 2).size(), 14u);
}

}  // namespace
}  // namespace watra::engine::internal
