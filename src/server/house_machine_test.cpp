#include "server/house_machine.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/hardware_profile.h"

namespace watra::server {
namespace {

engine::Hardware machine_of(double ram_gb_s, double int8_gop_s = 1000) {
  const auto parsed = engine::parse_hardware(fmt::format(
      R"({{"name": "x", "ram": {{"bytes": 120000000000, "gb_s": {}}}, "disks": [{{"path": "/", "gb_s": 3}}],
          "cpu": {{"cores": 8, "int8_gop_s": {}, "fp32_gflop_s": 500}}}})",
      ram_gb_s, int8_gop_s));
  EXPECT_TRUE(parsed.has_value());
  return *parsed;
}

TEST(MachineVerdict, SaysThePaceInWordsAndNeverThatAModelSaysNothingASecond) {
  const home::Json quick = machine_verdict(machine_of(75));
  EXPECT_NE(quick["pl"].get<std::string>().find("o 8 miliardach parametrów odpowiada szybciej, niż się czyta"),
            std::string::npos)
      << quick["pl"];
  EXPECT_NE(quick["pl"].get<std::string>().find("o 70 miliardach parametrów mówi powoli (około 1,"), std::string::npos)
      << quick["pl"];
  EXPECT_NE(quick["en"].get<std::string>().find("8 billion parameters answers faster than one reads"),
            std::string::npos)
      << quick["en"];

  const home::Json slow = machine_verdict(machine_of(2));
  EXPECT_NE(slow["pl"].get<std::string>().find("o 8 miliardach parametrów mówi bardzo powoli: token co 3 s"),
            std::string::npos)
      << slow["pl"];
  for (const double gb_s : {0.05, 0.4, 2.0, 10.0, 75.0, 400.0}) {
    const std::string pl = machine_verdict(machine_of(gb_s))["pl"];
    EXPECT_EQ(pl.find("0,0"), std::string::npos) << pl;
    EXPECT_EQ(pl.find("token co 0 s"), std::string::npos) << pl;
  }
  EXPECT_NE(machine_verdict(machine_of(0.05))["pl"].get<std::string>().find("jest tu za duży"), std::string::npos);
  EXPECT_NE(machine_verdict(std::nullopt)["pl"].get<std::string>().find("nie była jeszcze mierzona"),
            std::string::npos);
}

}  // namespace
}  // namespace watra::server
