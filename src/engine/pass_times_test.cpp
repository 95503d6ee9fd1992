#include "engine/pass_times.h"

#include <gtest/gtest.h>

#include <random>

namespace watra::engine {
namespace {

TEST(PassTimes, SaysNothingBeforeTheFirstPassButKnowsAnOrdinaryCurve) {
  const PassTimes t;
  EXPECT_EQ(t.seconds(1), 0);
  EXPECT_EQ(t.ratio(1), 1);
  for (int64_t n = 2; n <= 64; ++n) EXPECT_GT(t.ratio(n), t.ratio(n - 1));
}

TEST(PassTimes, OnePointMovesTheAssumedCurve) {
  PassTimes t;
  const double assumed = t.ratio(8);
  t.measured(1, 0.05);
  EXPECT_DOUBLE_EQ(t.seconds(1), 0.05);
  EXPECT_DOUBLE_EQ(t.seconds(8), 0.05 * assumed);
  PassTimes other;
  other.measured(4, 0.2);  // no single row measured yet
  EXPECT_DOUBLE_EQ(other.seconds(4), 0.2);
  EXPECT_LT(other.seconds(1), 0.2);
  EXPECT_GT(other.seconds(1), 0.1);
}

TEST(PassTimes, BetweenPointsIsALineAndItNeverFalls) {
  PassTimes t;
  for (int i = 0; i < 3; ++i) {
    t.measured(1, 0.10);
    t.measured(5, 0.18);
    t.measured(9, 0.14);  // noise: more rows in less time
  }
  EXPECT_DOUBLE_EQ(t.seconds(3), 0.14);
  EXPECT_DOUBLE_EQ(t.seconds(9), 0.18);
  for (int64_t n = 2; n <= 128; ++n) EXPECT_GE(t.seconds(n), t.seconds(n - 1));
  EXPECT_EQ(t.seconds(1000), t.seconds(128));
}

TEST(PassTimes, WhatWasKnownBeforeIsBelievedUntilItIsOtherwise) {
  PassTimes before;
  for (int i = 0; i < 5; ++i)
    for (const int64_t n : {1, 2, 8}) before.measured(n, 0.1 + 0.01 * static_cast<double>(n));
  std::vector<PassTimes::Known> known;
  before.known(known);
  ASSERT_EQ(known.size(), 3u);
  PassTimes now;
  now.measured(2, 0.3);  // its own is not overwritten
  now.assume(known);
  EXPECT_TRUE(now.knows(8));
  EXPECT_NEAR(now.seconds(1), 0.11, 1e-9);
  EXPECT_NEAR(now.seconds(2), 0.3, 1e-9);
  EXPECT_EQ(now.trusted_rows(), 16);
  for (int i = 0; i < 2; ++i) now.measured(1, 0.5);  // the machine is another today
  EXPECT_NEAR(now.seconds(1), 0.5, 1e-9);
  const PassTimes::Known wild[] = {{0, 1}, {-3, 1}, {1000000, 1}, {4, -1}, {5, 0}};
  PassTimes t;
  t.assume(wild);
  EXPECT_EQ(t.seconds(1), 0);
}

TEST(PassTimes, OneBadFirstPassIsNotTheWholeTruth) {
  PassTimes t;
  for (int i = 0; i < 5; ++i) t.measured(1, 0.1);
  t.measured(2, 0.2);
  EXPECT_LT(t.ratio(2), 1.6);
  t.measured(2, 0.1);
  EXPECT_LT(t.ratio(2), 1.1);
  PassTimes steep;
  steep.measured(1, 0.1);
  steep.measured(2, 0.2);
  steep.measured(2, 0.2);
  EXPECT_NEAR(steep.ratio(2), 2, 1e-9);
}

TEST(PassTimes, AFlatCurveIsBelievedBeyondWhatWasMeasured) {
  PassTimes flat, steep;
  for (int i = 0; i < 3; ++i)
    for (const int64_t n : {1, 4, 8}) {
      flat.measured(n, 1.0);
      steep.measured(n, static_cast<double>(n));
    }
  EXPECT_LT(flat.ratio(32), 1.3);
  EXPECT_GE(steep.ratio(16), 16);
}

TEST(PassTimes, AWildPassMovesNothing) {
  PassTimes t;
  for (int i = 0; i < 20; ++i) t.measured(1, 0.1), t.measured(4, 0.12);
  const double before = t.ratio(4);
  t.measured(4, 3.0);
  EXPECT_NEAR(t.ratio(4), before, 0.01 * before);
  EXPECT_NEAR(t.seconds(1), 0.1, 0.01);
}

TEST(PassTimes, AMachineThatSlowsDownIsFollowedForAllRows) {
  PassTimes t;
  for (int i = 0; i < 20; ++i) t.measured(1, 0.1), t.measured(6, 0.13), t.measured(9, 0.2);
  double s = 0.13;
  for (int i = 0; i < 140; ++i) t.measured(6, s *= 1.005);  // only drafts: one row is never measured
  EXPECT_NEAR(t.seconds(6), s, 0.02);
  EXPECT_GT(t.seconds(1), 0.12);  // twice as slow: followed half of the way
  EXPECT_EQ(t.since_single(), 142);
  t.measured(1, 0.2);
  EXPECT_EQ(t.since_single(), 0);
}

TEST(PassTimes, ASuddenChangeIsBelievedTheSecondTime) {
  PassTimes t;
  for (int i = 0; i < 20; ++i) t.measured(1, 0.1), t.measured(6, 0.13);
  t.measured(6, 0.5);
  EXPECT_NEAR(t.seconds(6), 0.13, 0.01);
  t.measured(6, 0.5);
  EXPECT_NEAR(t.seconds(6), 0.5, 0.05);
}

TEST(PassTimes, TrustsTwiceWhatItHasSeen) {
  PassTimes t(32);
  EXPECT_EQ(t.trusted_rows(), 2);
  t.measured(3, 1);
  t.measured(1, 1);
  EXPECT_EQ(t.trusted_rows(), 6);
  t.measured(100, 1);
  EXPECT_EQ(t.trusted_rows(), 64);
}

TEST(PassTimes, NoiseOfTenPerCentIsAveragedOut) {
  PassTimes t;
  std::mt19937 rng(3);
  std::normal_distribution<double> noise(1, 0.1);
  for (int i = 0; i < 60; ++i)
    for (const int64_t n : {1, 2, 8}) t.measured(n, (1 + 0.02 * static_cast<double>(n)) * noise(rng));
  EXPECT_NEAR(t.ratio(8), 1.16 / 1.02, 0.12);
}

}  // namespace
}  // namespace watra::engine
