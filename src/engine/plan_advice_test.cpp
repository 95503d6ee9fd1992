#include "engine/plan_advice.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace watra::engine {
namespace {

model::ModelOutline shape(std::string_view name, std::string_view quant) {
  return outline_of(**model::find_shape(name), *model::parse_quant_mix(quant));
}
Hardware machine(std::string_view name) { return *parse_hardware(*known_hardware_json(name)); }

bool offers(const std::vector<Advice>& advice, Advice::Kind kind) {
  return std::any_of(advice.begin(), advice.end(), [&](const Advice& a) { return a.kind == kind; });
}

TEST(PlanAdvice, EveryStepIsWhatThePlannerSaysOfIt) {
  const Hardware pc = machine("reference-pc");
  const auto o = shape("llama-3.3-70b", "Q8_0");
  PlanOptions options;
  options.drafts = draft_candidates(o);
  const Plan plan = *make_plan(o, pc, options);
  const auto advice = advise(o, pc, options, plan, 5);
  ASSERT_FALSE(advice.empty());
  for (const Advice& a : advice) {
    EXPECT_GE(a.decode_tokens_per_s, 1.02 * plan.decode_tokens_per_s) << a.change;
    EXPECT_EQ(a.reaches_target, a.decode_tokens_per_s >= 5) << a.change;
    if (a.option == "--quant Q6_K") {
      EXPECT_DOUBLE_EQ(a.decode_tokens_per_s,
                       make_plan(shape("llama-3.3-70b", "Q6_K"), pc, options)->decode_tokens_per_s);
    }
    if (a.kind == Advice::Kind::draft && a.option == "--draft ngram") {
      PlanOptions with = options;
      with.draft = "ngram";
      EXPECT_DOUBLE_EQ(a.decode_tokens_per_s, make_plan(o, pc, with)->decode_tokens_per_s);
    }
  }
  EXPECT_TRUE(offers(advice, Advice::Kind::draft));
  EXPECT_TRUE(offers(advice, Advice::Kind::quant));
  EXPECT_TRUE(offers(advice, Advice::Kind::quant_and_draft));
  EXPECT_FALSE(offers(advice, Advice::Kind::second_disk));  // nothing lies on the disk
  // Those that reach the wish stand first.
  const auto first_miss = std::find_if(advice.begin(), advice.end(), [](const Advice& a) { return !a.reaches_target; });
  EXPECT_TRUE(std::none_of(first_miss, advice.end(), [](const Advice& a) { return a.reaches_target; }));
}

TEST(PlanAdvice, WhatLiesOnTheDiskWantsDisksAndMemory) {
  const Hardware pc = machine("reference-pc");
  const auto o = shape("llama-3.1-405b", "Q4_K_M");
  const Plan plan = *make_plan(o, pc, {});
  const auto advice = advise(o, pc, {}, plan, 0);
  const auto second =
      std::find_if(advice.begin(), advice.end(), [](const Advice& a) { return a.kind == Advice::Kind::second_disk; });
  ASSERT_NE(second, advice.end());
  EXPECT_NEAR(second->decode_tokens_per_s / plan.decode_tokens_per_s, 2, 0.1);  // the cheapest step there is
  EXPECT_TRUE(offers(advice, Advice::Kind::more_ram));
}

TEST(PlanAdvice, WhatADraftNeedsFirstIsSaid) {
  const Hardware pc = machine("reference-pc");
  const auto o = shape("llama-3.3-70b", "Q8_0");
  PlanOptions options{.draft = "auto", .drafts = draft_candidates(o)};
  for (DraftOffer& d : options.drafts) d.first = "fetch " + d.word;
  const Plan plan = *make_plan(o, pc, options);
  EXPECT_EQ(plan.draft.word, "ngram");
  const auto advice = advise(o, pc, options, plan, 0);
  const auto model =
      std::find_if(advice.begin(), advice.end(), [](const Advice& a) { return a.option.starts_with("--draft llama"); });
  ASSERT_NE(model, advice.end());
  EXPECT_NE(model->change.find("first: fetch " + model->option.substr(8)), std::string::npos) << model->change;
}

TEST(PlanAdvice, FewThreadsAreNoticed) {
  Hardware hw = machine("mini-pc-64gb");
  hw.ram.by_threads = {{1, 20}, {4, 55}, {8, 62}};
  const auto o = shape("llama-3.1-8b", "Q4_K_M");
  PlanOptions one;
  one.threads = 1;
  const auto advice = advise(o, hw, one, *make_plan(o, hw, one), 0);
  EXPECT_TRUE(offers(advice, Advice::Kind::threads));
}

TEST(PlanAdvice, TheTableHasARowForEverything) {
  const Hardware machines[] = {machine("reference-pc"), machine("reference-pc-four-sticks")};
  const auto rows = plan_table(machines, {}, 5);
  EXPECT_EQ(rows.size(), table_shapes().size() * table_quants().size() * 2);
  for (size_t i = 0; i + 1 < rows.size(); i += 2) {
    const PlanRow &two = rows[i], &four = rows[i + 1];
    EXPECT_EQ(two.shape, four.shape);
    EXPECT_EQ(two.quant, four.quant);
    ASSERT_TRUE(two.fits && four.fits) << two.shape->name << two.quant;
    EXPECT_GE(two.bound_tps, four.bound_tps);
    EXPECT_LE(two.no_speculation_tps, two.bound_tps) << two.shape->name << two.quant;
    EXPECT_LE(four.no_speculation_tps, four.bound_tps) << two.shape->name << two.quant;
    EXPECT_GE(two.lossless_tps, two.no_speculation_tps);
    EXPECT_NEAR(two.needs_tau, 5 * two.seconds_per_pass, 1e-9);
    if (two.no_speculation_tps < 0.9 * two.bound_tps) {
      EXPECT_FALSE(two.main_loss.reason.empty()) << two.shape->name << two.quant;
      EXPECT_GT(two.main_loss.seconds, 0);
    }
  }
}

}  // namespace
}  // namespace watra::engine
