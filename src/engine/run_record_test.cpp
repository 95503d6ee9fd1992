#include "engine/run_record.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace watra::engine {
namespace {

RunRecord slow_run() {
  RunRecord r;
  r.model = "m";
  r.predicted_tps = 10;
  r.measured_tps = 5;
  r.n_gen = 100;
  r.n_prompt = 20;
  r.end_positions = 120;
  r.planned_depth = 120;
  r.threads = 4;
  r.cores = 4;
  r.load = {.wall_s = 20, .cpu_s = 79};
  return r;
}

TEST(RunRecord, ARunAsPredictedNeedsNoReason) {
  RunRecord r = slow_run();
  r.measured_tps = 9.5;
  EXPECT_FALSE(is_slower(r));
  r.load.major_faults = 100000;
  EXPECT_TRUE(explain_run(r).empty());
  r.measured_tps = 5;
  r.predicted_tps = 0;  // nobody predicted anything
  EXPECT_FALSE(is_slower(r));
}

TEST(RunRecord, NothingMeasuredMeansNoReason) { EXPECT_TRUE(explain_run(slow_run()).empty()); }

TEST(RunRecord, EachCauseIsFoundByItsFigures) {
  const auto first = [](const RunRecord& r) {
    const auto causes = explain_run(r);
    return causes.empty() ? std::string() : causes[0].what;
  };
  RunRecord r = slow_run();
  r.load.cpu_pressure_s = 12;
  EXPECT_NE(first(r).find("another program"), std::string::npos);
  r = slow_run();
  r.load.major_faults = 80000;
  EXPECT_NE(first(r).find("memory ran short"), std::string::npos);
  r = slow_run();
  r.end_positions = 8000;
  r.kv_seconds_per_position = 1e-5;
  EXPECT_NE(first(r).find("conversation was longer"), std::string::npos);
  r = slow_run();
  r.fast_cores = 2;
  EXPECT_NE(first(r).find("efficiency cores"), std::string::npos);
  r = slow_run();
  r.cores = 2;
  EXPECT_NE(first(r).find("more threads than cores"), std::string::npos);
  r = slow_run();
  r.clock_before = {4600, 5000};
  r.clock_after = {2100, 5000};
  EXPECT_NE(first(r).find("clock"), std::string::npos);
  r = slow_run();
  r.load.cpu_s = 20;
  EXPECT_NE(first(r).find("did not get the processor"), std::string::npos);
}

TEST(RunRecord, TheWeightiestComesFirst) {
  RunRecord r = slow_run();
  r.load.cpu_pressure_s = 3;
  r.clock_after = {1500, 5000};
  const auto causes = explain_run(r);
  ASSERT_EQ(causes.size(), 2u);
  EXPECT_NE(causes[0].what.find("clock"), std::string::npos);
  for (const Cause& c : causes) {
    EXPECT_FALSE(c.figure.empty());
    EXPECT_LE(c.slows_by, 0.5);
  }
}

TEST(RunRecord, TheLastRunsAreKept) {
  const fs::path home = fs::temp_directory_path() /
                        ("watra_run_record_" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) + "_" +
                         utc_now().substr(11, 5));
  fs::remove_all(home);
  EXPECT_TRUE(load_runs(home).empty());
  for (size_t i = 0; i < kMostRecords + 3; ++i) {
    RunRecord r = slow_run();
    r.n_gen = static_cast<int64_t>(i);
    r.load.major_faults = 7;
    r.planned_tps = 3;
    ASSERT_TRUE(save_run(home, r));
  }
  const auto runs = load_runs(home);
  ASSERT_EQ(runs.size(), kMostRecords);
  EXPECT_EQ(runs[0].n_gen, static_cast<int64_t>(kMostRecords + 2));
  EXPECT_EQ(runs[0].load.major_faults, 7u);
  EXPECT_EQ(runs[0].planned_tps, 3);
  EXPECT_EQ(runs[0].load.cpu_s, 79);
  std::ofstream(home / "runs.json") << "{\"runs\": [{\"model\": 3}";
  EXPECT_TRUE(load_runs(home).empty());
  ASSERT_TRUE(save_run(home, slow_run()));
  EXPECT_EQ(load_runs(home).size(), 1u);
  fs::remove_all(home);
}

}  // namespace
}  // namespace watra::engine
