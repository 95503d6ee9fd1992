#include "home/read_json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace watra::home {
namespace {

TEST(ReadJson, SaysWhatTheTextSays) {
  for (const char* text :
       {"null", "true", "-7", "18446744073709551615", "1.5e3", "\"a\\u0142\\n\"", "[]", "{}",
        "[1, [2, {\"a\": []}], {}]", R"({"b": 1, "a": {"z": [true, null], "y": {"x": "w"}}, "c": [{"d": {}}]})"}) {
    const auto read = read_json(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(read->dump(), Json::parse(text).dump());
  }
}

TEST(ReadJson, OfAKeyToldTwiceTheLastValueStandsInTheFirstPlace) {
  for (const char* text : {R"({"a": 1, "b": 2, "a": 3})", R"({"a": {"x": 1}, "b": 2, "a": [4], "c": 5, "a": "last"})",
                           R"([{"k": 1, "k": {"q": 1, "q": 2}}])"})
    EXPECT_EQ(read_json(text)->dump(), Json::parse(text).dump());
}

TEST(ReadJson, RefusesWhatIsNoJsonOrNotUtf8) {
  for (const char* text :
       {"", "{", "[1", "{\"a\":}", "{\"a\" 1}", "nul", "{\"a\": \"\xff\"}", "{} x", "[1e999]", "[1,]"})
    EXPECT_FALSE(read_json(text)) << text;
}

// A vocabulary's worth of keys in one object: a parser that looks for each among those before it takes minutes.
TEST(ReadJson, TimeGrowsWithTheText) {
  std::string text = "{";
  for (int i = 0; i < 300'000; ++i)
    text += fmt::format("{}\"a long name that is the same but for its end {}\":0", i ? "," : "", i);
  text += "}";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(read_json(text)->size(), 300'000u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace watra::home
