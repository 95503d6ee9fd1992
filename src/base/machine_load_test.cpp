#include "base/machine_load.h"

#include <gtest/gtest.h>

#include <atomic>

namespace watra {
namespace {

TEST(MachineLoad, CountersGrowWithWork) {
  const MachineLoad before = machine_load();
  std::atomic<uint64_t> sum{0};
  while (machine_load().cpu_s < before.cpu_s + 0.05) sum.fetch_add(1);
  const MachineLoad during = machine_load() - before;
  EXPECT_GE(during.cpu_s, 0.05);
  EXPECT_GT(during.wall_s, 0);
  EXPECT_GE(during.cpu_pressure_s, 0);
  EXPECT_LE(during.cpu_pressure_s, during.wall_s + 5);  // the system updates it from time to time
}

TEST(MachineLoad, DifferencesAreNeverNegative) {
  const MachineLoad small{.wall_s = 1, .major_faults = 2}, large{.wall_s = 3, .major_faults = 9};
  const MachineLoad d = small - large;
  EXPECT_EQ(d.wall_s, 0);
  EXPECT_EQ(d.major_faults, 0u);
  EXPECT_EQ((large - small).major_faults, 7u);
}

TEST(MachineLoad, ClocksAreKnownOrZero) {
  const ClockRate rate = clock_rate();
  EXPECT_GE(rate.mhz, 0);
  if (rate.max_mhz > 0) {
    EXPECT_LT(rate.mhz, 20000);
  }
}

TEST(MachineLoad, PathsOnOneDisk) {
  EXPECT_TRUE(same_disk("/", "/"));
  EXPECT_FALSE(same_disk("/", "/no/such/path"));
  EXPECT_FALSE(same_disk("/", "/proc"));
}

TEST(MachineLoad, TimesAreForPeople) {
  const std::string now = utc_now();
  ASSERT_EQ(now.size(), 20u) << now;
  EXPECT_TRUE(now.starts_with("20") && now.ends_with(" UTC")) << now;
}

}  // namespace
}  // namespace watra
