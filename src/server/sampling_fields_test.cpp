// Seeds and biases as each API's clients may send them. The rest of a request's sampling needs a model: tests/server.
#include "server/sampling_fields.h"

#include <gtest/gtest.h>

#include <cmath>

namespace watra::server {
namespace {

std::optional<uint64_t> seed_of(const char* text, Ranges ranges) {
  const Json body = parse_json(std::string("{\"seed\": ") + text + "}");
  std::optional<uint64_t> seed = 7;
  read_seed(Fields(body), ranges, seed);
  return seed;
}

TEST(SamplingFields, LlamaCppsSeedsHaveUpTo64Bits) {
  EXPECT_EQ(seed_of("18446744073709551615", Ranges::llamacpp), 18446744073709551615u);
  EXPECT_EQ(seed_of("9007199254740993", Ranges::llamacpp), 9007199254740993u) << "no double between";
  EXPECT_EQ(seed_of("0", Ranges::llamacpp), 0u);
  EXPECT_EQ(seed_of("5.0", Ranges::llamacpp), 5u);
  for (const char* random : {"-1", "4294967295"}) EXPECT_EQ(seed_of(random, Ranges::llamacpp), std::nullopt);
  EXPECT_EQ(seed_of("null", Ranges::llamacpp), 7u) << "absent";
  for (const char* none : {"1.5", "\"3\"", "-2", "1e300"})
    EXPECT_THROW(seed_of(none, Ranges::llamacpp), ApiError) << none;
}

TEST(SamplingFields, OpenAisSeedsHaveSixtyThreeBits) {
  EXPECT_EQ(seed_of("9007199254740993", Ranges::openai), 9007199254740993u) << "no double between";
  EXPECT_EQ(seed_of("9223372036854775807", Ranges::openai), 9223372036854775807u);
  EXPECT_EQ(seed_of("4294967295", Ranges::openai), 4294967295u);
  EXPECT_EQ(seed_of("-1", Ranges::openai), std::nullopt);
  for (const char* none : {"9223372036854775808", "-2", "18446744073709551615", "1.5"})
    EXPECT_THROW(seed_of(none, Ranges::openai), ApiError) << none;
}

TEST(SamplingFields, LettersAreNamesOfSamplers) {
  EXPECT_EQ(sampler_names_of_letters("kpt"), (std::vector<std::string>{"top_k", "top_p", "temperature"}));
  EXPECT_EQ(sampler_names_of_letters(""), std::vector<std::string>());
  EXPECT_EQ(sampler_names_of_letters("kz"), std::nullopt);
}

TEST(SamplingFields, BiasesAreAsWideAsTheirApi) {
  const std::string f = "logit_bias.5";
  for (const Ranges ranges : {Ranges::openai, Ranges::llamacpp}) {
    EXPECT_EQ(read_bias(f, -100, ranges), -100);
    EXPECT_TRUE(std::isinf(read_bias(f, false, ranges)));
    for (const Json& none : {Json(true), Json("1"), Json(nullptr)}) EXPECT_THROW(read_bias(f, none, ranges), ApiError);
  }
  EXPECT_THROW(read_bias(f, 100.5, Ranges::openai), ApiError);
  try {
    read_bias(f, 101, Ranges::openai);
  } catch (const ApiError& e) {
    EXPECT_EQ(e.param, f);
    EXPECT_EQ(e.message, "logit_bias.5 needs a number from -100 to 100, or false, found 101");
  }
  EXPECT_EQ(read_bias(f, -5000, Ranges::llamacpp), -5000);
  EXPECT_TRUE(std::isfinite(read_bias(f, 1e300, Ranges::llamacpp) + read_bias(f, 1e300, Ranges::llamacpp)));
}

}  // namespace
}  // namespace watra::server
