#include "engine/pooled_vector.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace watra::engine {
namespace {

using Vector = std::vector<float>;

PooledVector pooled(model::Pooling how) {
  PooledVector v(how, 3);
  v.add(0, Vector{1, 0, 2});
  v.add(1, Vector{2, -4, 4});
  v.add(2, Vector{6, -8, 0});
  return v;  // the sum: 9, -12, 6
}

TEST(PooledVector, IsTheMeanTheFirstOrTheLast) {
  EXPECT_EQ(pooled(model::Pooling::mean).scaled(-1), (Vector{3, -4, 2}));
  EXPECT_EQ(pooled(model::Pooling::first).scaled(-1), (Vector{1, 0, 2}));
  EXPECT_EQ(pooled(model::Pooling::last).scaled(-1), (Vector{6, -8, 0}));
}

TEST(PooledVector, HasTheLengthThatIsAskedFor) {
  const PooledVector last = pooled(model::Pooling::last);
  const auto near = [](const Vector& got, const Vector& meant) {
    ASSERT_EQ(got.size(), meant.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], meant[i], 1e-6 * 32760) << i;
  };
  near(last.normalized(), {0.6F, -0.8F, 0});
  near(last.scaled(0), {24570, -32760, 0});
  EXPECT_NEAR(last.scaled(1)[0], 6.0 / 14, 1e-6);
  EXPECT_NEAR(last.scaled(3)[1], -8 / std::cbrt(216.0 + 512.0), 1e-6);
  EXPECT_NEAR(last.scaled(2)[1], -0.8, 1e-6);
}

TEST(PooledVector, IsCutBeforeItIsMeasuredAndZerosStayZeros) {
  EXPECT_EQ(pooled(model::Pooling::last).normalized(1), (Vector{1}));
  EXPECT_EQ(pooled(model::Pooling::last).normalized(9).size(), 3U);
  PooledVector nothing(model::Pooling::mean, 1);
  nothing.add(0, Vector{0, 0});
  for (const int norm : {-1, 0, 1, 2, 3}) EXPECT_EQ(nothing.scaled(norm), (Vector{0, 0})) << norm;
}

}  // namespace
}  // namespace watra::engine
