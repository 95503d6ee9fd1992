#include "engine/loaded_plan.h"

#include <gtest/gtest.h>

#include "base/must_test.h"
#include "engine/tiny_model_test.h"

namespace watra::engine {
namespace {

Hardware machine() {
  Hardware hw;
  hw.ram = {.bytes = 64'000'000'000, .gb_s = 50};
  hw.cpu.cores = 8;
  hw.cpu.int8_gop_s = 500;
  return hw;
}

TEST(LoadedPlan, IsOfTheModelAsItRuns) {
  const TestFolder folder;
  const fs::path path = write_tiny_model(folder.path(), {.n_layers = 4, .d_model = 512, .d_ff = 2048});
  const LoadOptions options{.threads = 2, .n_ctx = 192, .kv_types = must(KvTypes::parse("q8_0,q4_0"))};
  const LoadedModel model = must(load_model(path, options));
  const auto plan = plan_as_loaded(model, machine(), 100);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->n_ctx, 192);
  EXPECT_EQ(plan->kv_types.text(), "q8_0,q4_0");
  EXPECT_EQ(plan->threads, 2);
  EXPECT_EQ(plan->depth, 100);
  EXPECT_GT(plan->decode_tokens_per_s, 0);
  EXPECT_GT(plan->decode_tokens_per_s, plan_as_loaded(model, machine(), 190)->decode_tokens_per_s)
      << "a longer conversation is read in every pass";
}

TEST(LoadedPlan, FitsWhereItLiesHoweverLittleIsFree) {
  const TestFolder folder;
  const LoadedModel model = must(load_model(write_tiny_model(folder.path(), {}), {.threads = 1, .n_ctx = 64}));
  Hardware full = machine();
  full.ram.bytes = 1 << 20;
  EXPECT_TRUE(plan_as_loaded(model, full, 10));
}

}  // namespace
}  // namespace watra::engine
