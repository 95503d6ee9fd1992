#include "engine/slice_planner.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace watra::engine {
namespace {

// A machine: a pass costs reading the weights, or the rows' arithmetic when that is more.
struct Machine {
  double weights_s, row_s;
  double pass_s(int64_t rows) const { return std::max(weights_s, static_cast<double>(rows) * row_s); }
};

// Slices after some passes beside n_decode rows.
int64_t settle(SlicePlanner& planner, const Machine& m, int64_t n_decode) {
  int64_t rows = 0;
  for (int i = 0; i < 30; ++i) {
    if (n_decode > 0) planner.measured(n_decode, 0, m.pass_s(n_decode));
    rows = planner.slice_rows(n_decode);
    planner.measured(n_decode, rows, m.pass_s(n_decode + rows));
  }
  return rows;
}

TEST(SlicePlanner, ADecodeStepIsDelayedByNoMoreThanTheGap) {
  for (const Machine m : {Machine{0.04, 0.002}, Machine{0.1, 0.015}, Machine{0.01, 0.001}}) {
    SlicePlanner planner(0.1, 1.0, 512);
    const int64_t rows = settle(planner, m, 4);
    EXPECT_LE(m.pass_s(4 + rows) - m.pass_s(4), std::max(0.15, m.pass_s(4 + 16) - m.pass_s(4))) << rows;
    EXPECT_GE(m.pass_s(4 + rows) - m.pass_s(4), 0.03) << rows << ": reading must get on";
  }
}

TEST(SlicePlanner, ReadingAloneTakesLongerSlices) {
  const Machine m{0.04, 0.01};
  SlicePlanner planner(0.1, 1.0, 512);
  EXPECT_NEAR(static_cast<double>(settle(planner, m, 0)), 100, 20);
  SlicePlanner fast(0.1, 1.0, 512);
  EXPECT_EQ(settle(fast, {0.01, 0.0005}, 0), 512) << "the pass's limit";
}

TEST(SlicePlanner, ASlowMachineStillReads) {
  SlicePlanner planner(0.1, 1.0, 512);
  EXPECT_EQ(settle(planner, {2.0, 0.5}, 1), 16) << "a pass over 16 rows costs what one over a single row does";
}

TEST(SlicePlanner, StaysInsideThePass) {
  SlicePlanner planner(0.1, 1.0, 20);
  EXPECT_EQ(planner.slice_rows(4), 16);
  EXPECT_EQ(planner.slice_rows(19), 1);
  SlicePlanner narrow(0.1, 1.0, 1);
  EXPECT_EQ(narrow.slice_rows(0), 1);
}

TEST(SlicePlanner, GrowsInDoublings) {
  SlicePlanner planner(0.1, 1.0, 4096);
  planner.measured(0, 128, 1e-6);
  EXPECT_EQ(planner.slice_rows(0), 256) << "one lucky measurement is not trusted further";
}

}  // namespace
}  // namespace watra::engine
