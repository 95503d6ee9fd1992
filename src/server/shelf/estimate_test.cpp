#include "server/shelf/estimate.h"

#include <gtest/gtest.h>

#include "engine/hardware_profile.h"
#include "model/outline.h"

namespace watra::server {
namespace {

engine::Hardware machine() {
  const auto parsed = engine::parse_hardware(
      R"({"name": "x", "ram": {"bytes": 120000000000, "gb_s": 75}, "disks": [{"path": "/", "gb_s": 3}],
          "cpu": {"cores": 8, "int8_gop_s": 1000, "fp32_gflop_s": 500}})");
  EXPECT_TRUE(parsed.has_value());
  return *parsed;
}

model::ModelOutline outline(const char* shape, const char* quant) {
  return model::outline_of(**model::find_shape(shape), *model::parse_quant_mix(quant));
}

TEST(Estimate, WithDraftsIsAPlanOfItsOwnBesideTheOneWithout) {
  const engine::Hardware hw = machine();
  const model::ModelOutline large = outline("llama-3.3-70b", "Q8_0");
  engine::PlanOptions options;
  const Json plain = estimate_json(large, hw, options, false);
  EXPECT_TRUE(plain["with_drafts"].is_null());
  options.draft = "model";
  options.drafts = {{.method = "model",
                     .word = "llama-3.2-1b",
                     .outline = outline("llama-3.2-1b", "Q8_0"),
                     .is_ready = true,
                     .first = ""}};
  const Json drafted = with_drafts_json(large, hw, options);
  ASSERT_TRUE(drafted.is_object());
  EXPECT_EQ(drafted["draft"], "llama-3.2-1b");
  EXPECT_GT(drafted["tau"], 1.0);
  EXPECT_GT(drafted["decode_tokens_per_s"].get<double>(), 1.2 * plain["decode_tokens_per_s"].get<double>());
}

TEST(Estimate, OfWhatDraftsNothingSaysSo) {
  engine::PlanOptions options;
  EXPECT_TRUE(with_drafts_json(outline("llama-3.1-8b", "Q4_K_M"), machine(), options).is_null());
  options.draft = "ngram";
  model::ModelOutline encoder = outline("llama-3.1-8b", "Q4_K_M");
  encoder.is_encoder = true;
  EXPECT_TRUE(with_drafts_json(encoder, machine(), options).is_null());
}

}  // namespace
}  // namespace watra::server
