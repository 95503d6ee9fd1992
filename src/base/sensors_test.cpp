#include "base/sensors.h"

#include <gtest/gtest.h>

namespace watra {
namespace {

TEST(Sensors, BusyIsAShareOfWhatPassed) {
  EXPECT_DOUBLE_EQ(busy_share({10, 100}, {40, 160}), 0.5);
  EXPECT_DOUBLE_EQ(busy_share({10, 100}, {10, 100}), 0);
  EXPECT_DOUBLE_EQ(busy_share({10, 100}, {5, 90}), 0);  // counters began anew
}

TEST(Sensors, CountersGrow) {
  const ProcessorTimes before = processor_times();
  volatile double x = 1;
  for (int i = 0; i < 30'000'000; ++i) x = x * 1.0000001;
  const ProcessorTimes after = processor_times();
  EXPECT_GE(after.all, before.all);
  EXPECT_GE(after.busy, before.busy);
}

TEST(Sensors, WarmthIsAWarmthOrNothing) {
  const auto celsius = processor_celsius();
  if (celsius) {
    EXPECT_GT(*celsius, 1);
    EXPECT_LT(*celsius, 150);
  }
}

}  // namespace
}  // namespace watra
