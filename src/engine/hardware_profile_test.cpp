#include "engine/hardware_profile.h"

#include <gtest/gtest.h>

#include "engine/hardware_measure.h"

namespace watra::engine {
namespace {

TEST(HardwareProfile, AHandWrittenFileNeedsLittle) {
  const auto hw = parse_hardware(R"({"name": "my PC", "vram": {"bytes": 21.5e9, "gb_s": 936},
    "ram": {"bytes": 118e9, "gb_s": 75}, "pcie_gb_s": 25, "disks": [{"path": "D:", "gb_s": 6.5}],
    "cpu": {"cores": 8, "int8_gop_s": 4800, "fp32_gflop_s": 1200}, "remark": "unknown fields are allowed"})");
  ASSERT_TRUE(hw) << hw.error().to_string();
  EXPECT_EQ(hw->vram.bytes, 21'500'000'000u);
  EXPECT_EQ(hw->ram_gb_s(), 75);
  EXPECT_EQ(hw->ram_gb_s(1), 20);  // as much as a core reads, not all of it
  EXPECT_EQ(hw->ram_gb_s(4), 75);
  EXPECT_EQ(hw->compute_threads(), 8);
  EXPECT_EQ(hw->disks.at(0).path, "D:");
  const auto least = parse_hardware(R"({"ram": {"bytes": 8e9, "gb_s": 20}, "cpu": {"cores": 2, "int8_gop_s": 500}})");
  ASSERT_TRUE(least) << least.error().to_string();
  EXPECT_FALSE(least->has_vram());
}

TEST(HardwareProfile, WrittenAndReadAgainItIsTheSame) {
  Hardware hw;
  hw.name = "here";
  hw.about = "two \"quoted\" words";
  hw.vram = {.bytes = 1000, .work_bytes = 10, .gb_s = 1.5, .fp16_tflop_s = 2, .source = "s"};
  hw.ram = {.bytes = 99, .gb_s = 3.25, .by_threads = {{1, 1.5}, {2, 3.25}}, .source = "measured"};
  hw.pcie_gb_s = 4;
  hw.disks = {{.path = "/x", .gb_s = 0.9, .free_bytes = 5, .read_bytes = 1 << 20, .depth = 32, .source = "m"}};
  hw.cpu = {.model = "m",
            .isa = "avx2",
            .cores = 4,
            .p_cores = 2,
            .e_cores = 2,
            .threads = 2,
            .int8_gop_s = 7,
            .fp32_gflop_s = 8,
            .layer_overhead_us = 12.5,
            .small_op_ns = 0.75,
            .pass_share = 0.875,
            .kv_gb_s = 24.5,
            .streamed_gb_s = 15.5,
            .source = "c"};
  hw.kernels = {{tensor::DType::q4_k, 4, 17.5}};
  hw.measured_at = "2026-11-26 00:40 UTC";
  hw.machine_id = "abc";
  const auto again = parse_hardware(hardware_json(hw));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(hardware_json(*again), hardware_json(hw));
  EXPECT_EQ(again->kernels.at(0).dtype, tensor::DType::q4_k);
  EXPECT_EQ(again->ram.by_threads.at(1).gb_s, 3.25);
}

TEST(HardwareProfile, ErrorsNameTheField) {
  const auto error = [](const char* json) {
    const auto hw = parse_hardware(json);
    return hw ? std::string("none") : hw.error().code + " " + hw.error().message;
  };
  EXPECT_NE(error("{").find("hardware.bad_json"), std::string::npos);
  EXPECT_NE(error("[]").find("hardware.bad_json"), std::string::npos);
  EXPECT_NE(error("{}").find("hardware.missing a hardware file needs ram"), std::string::npos);
  const std::string cpu = R"(, "cpu": {"cores": 2, "int8_gop_s": 500}})";
  EXPECT_NE(error((R"({"ram": {"bytes": 8e9})" + cpu).c_str()).find("ram.gb_s"), std::string::npos);
  EXPECT_NE(error((R"({"ram": {"bytes": "8 GB", "gb_s": 5})" + cpu).c_str()).find("ram.bytes: wanted a number"),
            std::string::npos);
  EXPECT_NE(error((R"({"ram": {"bytes": -1, "gb_s": 5})" + cpu).c_str()).find("found -1"), std::string::npos);
  EXPECT_NE(
      error(
          (R"({"ram": {"bytes": 8e9, "gb_s": 5}, "vram": {"bytes": 1e9, "work_bytes": 2e9, "gb_s": 9})" + cpu).c_str())
          .find("vram.work_bytes"),
      std::string::npos);
  EXPECT_NE(error((R"({"ram": {"bytes": 8e9, "gb_s": 5}, "disks": [1])" + cpu).c_str()).find("disks"),
            std::string::npos);
  EXPECT_NE(
      error((R"({"ram": {"bytes": 8e9, "gb_s": 5}, "kernels": [{"dtype": "q9", "m": 1, "gb_s": 2}])" + cpu).c_str())
          .find("q9"),
      std::string::npos);
}

TEST(HardwareProfile, TheKnownMachinesAreValidAndSaySources) {
  const auto names = known_hardware_names();
  EXPECT_GE(names.size(), 6u);
  for (const std::string& name : names) {
    const auto hw = parse_hardware(*known_hardware_json(name));
    ASSERT_TRUE(hw) << name << ": " << hw.error().to_string();
    EXPECT_FALSE(hw->name.empty()) << name;
    EXPECT_FALSE(hw->ram.source.empty()) << name;
    EXPECT_FALSE(hw->cpu.source.empty()) << name;
    for (const auto& d : hw->disks) EXPECT_FALSE(d.source.empty()) << name;
    EXPECT_EQ(hw->has_vram(), !hw->vram.source.empty() && !hw->pcie_source.empty()) << name;
  }
  const auto reference = parse_hardware(*known_hardware_json("reference-pc"));
  EXPECT_EQ(reference->ram.gb_s, 75);
  EXPECT_EQ(parse_hardware(*known_hardware_json("reference-pc-four-sticks"))->ram.gb_s, 54);
  EXPECT_EQ(reference->compute_threads(), 8);
  EXPECT_FALSE(known_hardware_json("no-such-machine"));
}

// A server that stops does not wait for a minute's measuring.
TEST(HardwareProfile, MeasuringEndsWhenItIsCancelled) {
  int n_steps = 0;
  const auto hw = measure_hardware(
      **kernels::select(""),
      {.threads = 1, .now = [&](std::string_view, int, int) { ++n_steps; }, .cancelled = [] { return true; }});
  ASSERT_FALSE(hw);
  EXPECT_EQ(hw.error().code, "hardware.cancelled");
  EXPECT_EQ(n_steps, 1);
}

}  // namespace
}  // namespace watra::engine
