#include "engine/sampling_params.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace watra::engine {
namespace {

constexpr size_t kVocab = 100;

TEST(SamplingParams, DefaultsAreThoseOfLlamaCpp) {
  const SamplingParams p;
  EXPECT_TRUE(p.validate(kVocab).has_value());
  EXPECT_EQ(p.temperature, 0.8);
  EXPECT_EQ(p.top_k, 40);
  EXPECT_EQ(p.top_p, 0.95);
  EXPECT_EQ(p.min_p, 0.05);
  EXPECT_EQ(p.repeat_last_n, 64);
  EXPECT_EQ(p.repeat_penalty, 1);
  EXPECT_EQ(p.dry_multiplier, 0);
  EXPECT_EQ(p.xtc_probability, 0);
  EXPECT_EQ(p.mirostat, 0);
}

TEST(SamplingParams, SentinelsAndEndsOfRangesAreAllowed) {
  const std::function<void(SamplingParams&)> allowed[] = {
      [](auto& p) { p.seed = std::numeric_limits<uint64_t>::max(); },
      [](auto& p) { p.temperature = 0; },
      [](auto& p) { p.temperature = 5; },
      [](auto& p) { p.top_k = -1; },
      [](auto& p) { p.top_k = 0; },
      [](auto& p) { p.top_p = 0; },
      [](auto& p) { p.min_p = 1; },
      [](auto& p) { p.top_n_sigma = -1; },
      [](auto& p) { p.repeat_last_n = -1; },
      [](auto& p) { p.mirostat = 2; },
      [](auto& p) { p.dry_penalty_last_n = -1; },
      [](auto& p) { p.order.clear(); },
      [](auto& p) {
        p.dry_breakers = {{0}, {99, 0}};
      },
      [](auto& p) { p.n_probs = 1000000; },
      [](auto& p) {
        p.logit_bias = {{99, -std::numeric_limits<float>::infinity()}};
      },
      [](auto& p) { p.presence_penalty = -2; }};
  for (const auto& change : allowed) {
    SamplingParams p;
    change(p);
    const Status status = p.validate(kVocab);
    EXPECT_TRUE(status.has_value()) << (status ? "" : status.error().to_string());
  }
}

TEST(SamplingParams, ARefusalNamesFieldRangeAndValue) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  struct Case {
    std::function<void(SamplingParams&)> change;
    const char* message_begins;
  };
  const Case cases[] = {
      {[](auto& p) { p.temperature = 7; }, "temperature: needs 0 to 5, found 7"},
      {[=](auto& p) { p.temperature = nan; }, "temperature: needs 0 to 5, found nan"},
      {[](auto& p) { p.top_k = -2; }, "top_k: needs -1 or more, found -2"},
      {[](auto& p) { p.top_p = 1.5; }, "top_p: needs 0 to 1, found 1.5"},
      {[](auto& p) { p.min_p = -0.1; }, "min_p: needs 0 to 1, found -0.1"},
      {[](auto& p) { p.typical_p = 2; }, "typical_p: needs"},
      {[](auto& p) { p.top_n_sigma = -2; }, "top_n_sigma: needs"},
      {[](auto& p) { p.xtc_probability = 1.1; }, "xtc_probability: needs"},
      {[](auto& p) { p.xtc_threshold = -1; }, "xtc_threshold: needs"},
      {[](auto& p) { p.min_keep = -1; }, "min_keep: needs 0 or more, found -1"},
      {[](auto& p) { p.repeat_last_n = -2; }, "repeat_last_n: needs"},
      {[](auto& p) { p.repeat_penalty = 0; }, "repeat_penalty: needs more than 0"},
      {[](auto& p) { p.repeat_penalty = -1; }, "repeat_penalty: needs"},
      {[](auto& p) { p.frequency_penalty = 2.1; }, "frequency_penalty: needs -2 to 2, found 2.1"},
      {[=](auto& p) { p.presence_penalty = inf; }, "presence_penalty: needs -2 to 2, found inf"},
      {[](auto& p) { p.dry_multiplier = -1; }, "dry_multiplier: needs"},
      {[](auto& p) { p.dry_base = 0.5; }, "dry_base: needs"},
      {[](auto& p) { p.dry_allowed_length = -1; }, "dry_allowed_length: needs"},
      {[](auto& p) { p.dry_penalty_last_n = -2; }, "dry_penalty_last_n: needs"},
      {[](auto& p) { p.dry_breakers = {{}}; }, "dry_sequence_breakers: needs sequences of 1 to 64 tokens, found 0"},
      {[](auto& p) { p.dry_breakers = {{100}}; }, "dry_sequence_breakers: needs token ids 0 to 99, found 100"},
      {[](auto& p) { p.mirostat = 1; }, "mirostat: needs 0 (off) or 2"},
      {[](auto& p) { p.mirostat_tau = -1; }, "mirostat_tau: needs"},
      {[](auto& p) { p.mirostat_eta = 2; }, "mirostat_eta: needs"},
      {[](auto& p) { p.dynatemp_range = 6; }, "dynatemp_range: needs"},
      {[](auto& p) { p.dynatemp_exponent = -1; }, "dynatemp_exponent: needs"},
      {[](auto& p) {
         p.logit_bias = {{100, 1}};
       },
       "logit_bias: needs token ids 0 to 99, found 100"},
      {[](auto& p) {
         p.logit_bias = {{-1, 1}};
       },
       "logit_bias: needs token ids 0 to 99, found -1"},
      {[](auto& p) {
         p.logit_bias = {{3, std::numeric_limits<float>::infinity()}};
       },
       "logit_bias: needs a finite number or -inf"},
      {[](auto& p) {
         p.logit_bias = {{3, std::nanf("")}};
       },
       "logit_bias: needs a finite number or -inf"},
      {[](auto& p) { p.n_probs = -1; }, "n_probs: needs"},
      {[](auto& p) {
         p.order = {SamplerKind::top_k, SamplerKind::top_k};
       },
       "samplers: needs every name at most once"},
  };
  for (const Case& c : cases) {
    SamplingParams p;
    c.change(p);
    const Status status = p.validate(kVocab);
    ASSERT_FALSE(status.has_value()) << c.message_begins;
    EXPECT_EQ(status.error().code, "engine.bad_parameter");
    EXPECT_EQ(status.error().message.rfind(c.message_begins, 0), 0u) << status.error().message;
  }
}

TEST(SamplingParams, OrderIsReadFromNames) {
  const std::vector<std::string> names = {"temp", "min-p", "typ_p", "penalties", "top_n_sigma"};
  const auto order = parse_sampler_order(names);
  ASSERT_TRUE(order.has_value());
  EXPECT_EQ(*order, (std::vector{SamplerKind::temperature, SamplerKind::min_p, SamplerKind::typical_p,
                                 SamplerKind::penalties, SamplerKind::top_n_sigma}));
  for (const SamplerKind kind : SamplingParams{}.order) {
    const std::vector<std::string> own = {std::string(sampler_name(kind))};
    EXPECT_EQ(parse_sampler_order(own).value(), std::vector{kind});
  }
  const std::vector<std::string> unknown = {"top_k", "tfs_z"}, twice = {"temp", "temperature"};
  EXPECT_NE(parse_sampler_order(unknown).error().message.find("\"tfs_z\""), std::string::npos);
  EXPECT_NE(parse_sampler_order(twice).error().message.find("twice"), std::string::npos);
}

TEST(SamplingParams, BreakersAreTheTokensThatHoldOne) {
  const std::vector<std::string> pieces = {"a", "\n", " b\n\n", ":", "c:d", "e"};
  EXPECT_EQ(resolve_dry_breakers(pieces, kDefaultDryBreakers), (std::vector<std::vector<TokenId>>{{1}, {2}, {3}, {4}}));
}

}  // namespace
}  // namespace watra::engine
