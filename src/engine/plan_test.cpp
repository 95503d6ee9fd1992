#include "engine/plan.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/memory.h"
#include "engine/plan_advice.h"

namespace watra::engine {
namespace {

using model::ModelOutline;

ModelOutline shape(std::string_view name, std::string_view quant) {
  return outline_of(**model::find_shape(name), *model::parse_quant_mix(quant));
}

Hardware machine(std::string_view name) { return *parse_hardware(*known_hardware_json(name)); }

Plan plan_of(const ModelOutline& o, const Hardware& hw, const PlanOptions& options = {}) {
  auto plan = make_plan(o, hw, options);
  if (!plan) ADD_FAILURE() << plan.error().to_string();
  return plan ? *plan : Plan{};
}

// A machine with round numbers: no card, 10 GB at 10 GB/s, a disk of 1 GB/s.
Hardware simple() {
  Hardware hw;
  hw.name = "simple";
  hw.ram = {.bytes = 10'000'000'000, .gb_s = 10};
  hw.disks = {{.path = "A", .gb_s = 1}, {.path = "B", .gb_s = 0.5}};
  hw.cpu.cores = 4;
  hw.cpu.int8_gop_s = 1000;
  return hw;
}

struct Bound {
  std::string_view quant;
  double seconds, tps;
};
// Sections 2.3 and 2.4 of the arithmetic this project began with: 21.5 GB at 936, 118 at 75, NVMe 6.5.
constexpr Bound kBounds70b[] = {{"BF16", 1.64, 0.61},   {"Q8_0", 0.74, 1.36},   {"Q6_K", 0.51, 1.97},
                                {"Q5_K_M", 0.40, 2.49}, {"Q4_K_M", 0.30, 3.30}, {"Q3_K_S", 0.15, 6.7},
                                {"Q2_K", 0.09, 11.3},   {"IQ2_XXS", 0.02, 49}};
constexpr Bound kBounds405b[] = {{"BF16", 103, 0.0097},   {"Q8_0", 44.9, 0.022},   {"Q6_K", 29.8, 0.034},
                                 {"Q5_K_M", 22.7, 0.044}, {"Q4_K_M", 16.0, 0.063}, {"Q3_K_S", 5.5, 0.18},
                                 {"Q2_K", 1.86, 0.54},    {"IQ2_M", 1.56, 0.64},   {"IQ2_XXS", 1.17, 0.86},
                                 {"IQ1_M", 0.98, 1.02}};

TEST(Plan, BoundsAreThoseOfTheArithmetic) {
  const Hardware pc = machine("reference-pc");
  for (const Bound& b : kBounds70b)
    EXPECT_NEAR(1 / bound_seconds(shape("llama-3.3-70b", b.quant), pc) / b.tps, 1, 0.035) << "70B " << b.quant;
  for (const Bound& b : kBounds405b)
    EXPECT_NEAR(1 / bound_seconds(shape("llama-3.1-405b", b.quant), pc) / b.tps, 1, 0.035) << "405B " << b.quant;
  // The bars of the issue.
  EXPECT_NEAR(1 / bound_seconds(shape("llama-3.3-70b", "Q8_0"), pc), 1.36, 0.01);
  EXPECT_NEAR(1 / bound_seconds(shape("llama-3.3-70b", "Q6_K"), pc), 1.97, 0.015);
  EXPECT_NEAR(1 / bound_seconds(shape("llama-3.3-70b", "Q4_K_M"), pc), 3.30, 0.03);
}

double looking_up(const Plan& p) {
  double seconds = 0;
  for (const Loss& l : p.losses)
    if (l.reason.find("looked up") != l.reason.npos) seconds += l.seconds;
  return seconds;
}

TEST(Plan, PredictionsLieBelowTheBoundAndEveryLossHasAReason) {
  const Hardware pc = machine("reference-pc");
  for (const char* name : {"llama-3.3-70b", "llama-3.1-405b"})
    for (const model::QuantMix mix : table_quants()) {
      const std::string quant(model::quant_mix_info(mix).name);
      const Plan p = plan_of(shape(name, quant), pc);
      EXPECT_LE(p.no_speculation_tps, p.bound_tps) << name << " " << quant;
      EXPECT_GE(1 / (p.plain_seconds - looking_up(p)), 0.8 * p.bound_tps) << name << " " << quant;
      if (!quant.starts_with("IQ")) {
        EXPECT_EQ(looking_up(p), 0) << name << " " << quant;
      }
      double sum = p.bound_seconds;
      for (const Loss& l : p.losses) {
        EXPECT_FALSE(l.reason.empty());
        sum += l.seconds;
      }
      EXPECT_NEAR(sum, p.plain_seconds, 1e-9 * p.plain_seconds);
      double parts = 0;
      for (const auto& part : p.pass.parts) parts += part.exposed;
      EXPECT_NEAR(parts, p.pass.seconds, 1e-9);
    }
}

// 96 heads, none shared: 3.4 MB a position. They displace weights of files of few bits and are read themselves.
TEST(Plan, WhereAPredictionIsFarBelowTheBoundKeysAndValuesAreTheReason) {
  const Hardware pc = machine("reference-pc");
  for (const model::QuantMix mix : table_quants()) {
    const std::string quant(model::quant_mix_info(mix).name);
    const model::ModelOutline o = shape("glm-130b", quant);
    const Plan p = plan_of(o, pc);
    double room_and_reading = 0, others = 0;
    for (const Loss& l : p.losses) (l.reason.find("keys") != l.reason.npos ? room_and_reading : others) += l.seconds;
    others -= looking_up(p);
    EXPECT_GE(p.bound_seconds, 0.8 * (p.bound_seconds + others)) << quant;
    if (1 / (p.plain_seconds - looking_up(p)) < 0.8 * p.bound_tps) {
      EXPECT_GT(room_and_reading, others) << quant;
    }
    const Plan in_8_bits = plan_of(o, pc, {.kv_types = KvTypes(KvType::q8_0, KvType::q8_0)});
    EXPECT_GE(1 / (in_8_bits.plain_seconds - looking_up(in_8_bits)), 0.8 * in_8_bits.bound_tps) << quant;
  }
}

TEST(Plan, APassIsBytesOverRates) {
  const Hardware hw = simple();
  PassLoad load;
  load.ram.entries = {{tensor::DType::q8_0, model::OutlineTensor::Read::whole, 4e9, 4e9 / 1.0625}};
  load.disk.entries = {{tensor::DType::q8_0, model::OutlineTensor::Read::whole, 1e9, 1e9 / 1.0625}};
  load.disk_bytes = {1e9};
  load.disk_rates = {1};
  const PassTime ideal = pass_time(load, hw, 1, 0, Efficiency::ideal());
  EXPECT_DOUBLE_EQ(ideal[Part::ram].seconds, (4 + 2 * 1) / 10.0);  // R + 2 D
  EXPECT_DOUBLE_EQ(ideal[Part::disk].seconds, 1.0);
  EXPECT_DOUBLE_EQ(ideal.seconds, 1.0);  // the disk is slower and runs beside it
  EXPECT_DOUBLE_EQ(ideal[Part::disk].exposed, 0.4);
  load.disk_rates = {10};
  EXPECT_DOUBLE_EQ(pass_time(load, hw, 1, 0, Efficiency::ideal()).seconds, 0.6);
  // Keys and values are read, too.
  load.kv_ram_bytes = 1e9;
  EXPECT_DOUBLE_EQ(pass_time(load, hw, 1, 0, Efficiency::ideal()).seconds, 0.7);
}

TEST(Plan, WhatStreamedRowsCostTheProcessorIsMeasured) {
  Hardware hw = simple();
  hw.kernels = {{tensor::DType::q8_0, 1, 8}, {tensor::DType::q4_k, 1, 6}};
  hw.cpu.streamed_gb_s = 4;  // half: putting rows in order takes as long as the product
  PassLoad load;
  load.disk.entries = {{tensor::DType::q4_k, model::OutlineTensor::Read::whole, 1e9, 1e9 / 0.5625}};
  load.disk_bytes = {1e9};
  load.disk_rates = {1};
  const PassTime t = pass_time(load, hw, 1, 0, Efficiency::expected());
  EXPECT_NEAR(t[Part::ram].seconds, 1.0 / 6 + (1.0 / 4 - 1.0 / 8), 1e-9);
  EXPECT_DOUBLE_EQ(t.seconds, t[Part::disk].seconds);
  hw.cpu.streamed_gb_s = 9;  // kernels that take rows as they are
  EXPECT_NEAR(pass_time(load, hw, 1, 0, Efficiency::expected())[Part::ram].seconds, 1.0 / 6, 1e-9);
}

TEST(Plan, MoreTokensAreFreeUntilArithmeticIsTheWall) {
  const Hardware hw = simple();
  const Efficiency e = Efficiency::expected();
  const double one = cpu_seconds(hw, tensor::DType::q8_0, 1e9, 0.94e9, 1, 0, e);
  EXPECT_DOUBLE_EQ(one, 0.1 / e.cpu_read);
  EXPECT_DOUBLE_EQ(cpu_seconds(hw, tensor::DType::q8_0, 1e9, 0.94e9, 8, 0, e), one);
  EXPECT_DOUBLE_EQ(cpu_seconds(hw, tensor::DType::q8_0, 1e9, 0.94e9, 40, 0, e),
                   2 * 0.94e9 * 40 / (1000e9 * e.cpu_int8_few));
}

TEST(Plan, MeasuredRatesReplaceConstants) {
  Hardware hw = simple();
  hw.kernels = {{tensor::DType::q8_0, 1, 8}, {tensor::DType::q8_0, 16, 2}, {tensor::DType::q8_0, 512, 0.1}};
  const Efficiency e = Efficiency::expected();
  const auto seconds = [&](int64_t m) { return cpu_seconds(hw, tensor::DType::q8_0, 1e9, 1e9, m, 0, e); };
  EXPECT_DOUBLE_EQ(seconds(1), 1 / 8.0);
  EXPECT_DOUBLE_EQ(seconds(16), 1 / 2.0);
  EXPECT_DOUBLE_EQ(seconds(6), 1 / 8.0 + (5.0 / 15) * (1 / 2.0 - 1 / 8.0));
  EXPECT_DOUBLE_EQ(seconds(1024), 20.0);
  // A format nobody measured costs as much arithmetic a weight as its neighbour, and its own bytes.
  EXPECT_DOUBLE_EQ(cpu_seconds(hw, tensor::DType::q6_k, 1e9, 1e9, 1, 0, e), 1 / 8.0);
  EXPECT_GT(cpu_seconds(hw, tensor::DType::q6_k, 1e9, 1e9, 16, 0, e), seconds(16));
}

TEST(Plan, LookingUpIsWorkOfTheCores) {
  Hardware hw = simple();
  hw.ram.by_threads = {{1, hw.ram.gb_s}};  // one thread reads all that memory gives
  const Efficiency e = Efficiency::expected();
  const int all = hw.compute_threads();
  const auto seconds = [&](tensor::DType dtype, int threads) {
    return cpu_seconds(hw, dtype, 1e9, 1e9, 1, threads, e);
  };
  const auto bits = [](tensor::DType dtype) { return 8.0 * tensor::traits(dtype).block_bytes / 256; };
  ASSERT_GT(all, 1);
  hw.kernels = {{tensor::DType::q8_0, 1, 8}, {tensor::DType::iq2_s, 1, 4}};
  EXPECT_DOUBLE_EQ(seconds(tensor::DType::iq2_s, all), 1 / 4.0);
  EXPECT_DOUBLE_EQ(seconds(tensor::DType::iq2_s, 1), all / 4.0);
  EXPECT_DOUBLE_EQ(seconds(tensor::DType::q8_0, 1), 1 / 8.0);
  EXPECT_NEAR(seconds(tensor::DType::iq1_s, all), 1 / 4.0 * bits(tensor::DType::iq2_s) / bits(tensor::DType::iq1_s),
              1e-12);
  // Measured before such types were: at least what looking up takes anywhere, and more threads than cores do not help.
  hw.kernels = {{tensor::DType::q8_0, 1, 1000}};
  const double looked_up = seconds(tensor::DType::iq1_s, all);
  EXPECT_GT(looked_up, 1 / 1000.0);
  EXPECT_NEAR(seconds(tensor::DType::iq1_s, 1), all * looked_up, 1e-12);
  EXPECT_EQ(seconds(tensor::DType::iq1_s, 4 * all), looked_up);
}

TEST(Plan, ThreadsChangeTheRate) {
  Hardware hw = simple();
  hw.ram.by_threads = {{1, 4}, {2, 7}, {4, 10}};
  EXPECT_DOUBLE_EQ(hw.ram_gb_s(1), 4);
  EXPECT_DOUBLE_EQ(hw.ram_gb_s(3), 8.5);
  EXPECT_DOUBLE_EQ(hw.ram_gb_s(8), 10);
  EXPECT_DOUBLE_EQ(hw.ram_gb_s(), 10);
  const ModelOutline o = shape("llama-3.1-8b", "Q4_K_M");
  EXPECT_GT(plan_of(o, hw, {.threads = 4}).decode_tokens_per_s,
            1.8 * plan_of(o, hw, {.threads = 1}).decode_tokens_per_s);
}

TEST(Plan, TauIsAGeometricSum) {
  EXPECT_DOUBLE_EQ(expected_tau(0.5, 2), 1.75);
  EXPECT_DOUBLE_EQ(expected_tau(0.8, 0), 1);
  EXPECT_DOUBLE_EQ(expected_tau(1, 4), 5);
  EXPECT_FALSE(expected_acceptance("ngram", 0, 1e9, "", {}).measured);
  const auto measured = expected_acceptance(
      "model", 1e9, 70e9, "Small", {{.method = "model", .model = "Small", .accept_rate = 0.9, .n_answers = 12}});
  EXPECT_TRUE(measured.measured);
  EXPECT_DOUBLE_EQ(measured.p, 0.9);
  EXPECT_EQ(measured.source, "from your last 12 answers");
}

TEST(Plan, DraftsAreChosenByWhatTheyYield) {
  const Hardware pc = machine("reference-pc");
  const ModelOutline o = shape("llama-3.3-70b", "Q8_0");
  PlanOptions options{.draft = "best", .drafts = draft_candidates(o)};
  ASSERT_EQ(options.drafts.size(), 3u);  // 8B, 3B, 1B
  const Plan p = plan_of(o, pc, options);
  EXPECT_EQ(p.draft.method, "model");
  EXPECT_GT(p.draft.n, 0);
  EXPECT_NEAR(p.decode_tokens_per_s, p.draft.tau / p.seconds, 1e-12);
  EXPECT_GT(p.decode_tokens_per_s, 2.5 * p.no_speculation_tps);
  EXPECT_EQ(p.draft.tier, Tier::vram);
  // A draft that is never right is not asked.
  options.draft = "ngram";
  options.measured_drafts = {{.method = "ngram", .speed_up = 0.99, .n_answers = 50}};
  const Plan none = plan_of(o, pc, options);
  EXPECT_EQ(none.draft.n, 0);
  EXPECT_DOUBLE_EQ(none.decode_tokens_per_s, none.no_speculation_tps);
  // What came of answers here is what is predicted.
  options.measured_drafts = {
      {.method = "ngram", .accept_rate = 0.6, .tau = 1.5, .nodes_per_pass = 0.8, .speed_up = 1.4, .n_answers = 50}};
  const Plan measured = plan_of(o, pc, options);
  EXPECT_DOUBLE_EQ(measured.decode_tokens_per_s, 1.4 * measured.no_speculation_tps);
  EXPECT_EQ(measured.draft.n, 1);
  EXPECT_EQ(measured.draft.tau, 1.5);
  EXPECT_NEAR(measured.decode_tokens_per_s, measured.draft.tau / measured.seconds, 1e-12);
  EXPECT_FALSE(make_plan(shape("falcon-180b", "Q4_K_M"), pc, {.draft = "model"}));
}

// A model that lies half on a disk, and what may draft for it.
struct HalfOnDisk {
  Hardware hw = simple();
  ModelOutline o = shape("qwen2.5-14b", "Q8_0");
  PlanOptions options{.draft = "auto", .drafts = draft_candidates(o)};
};

TEST(Plan, AutoTakesWhatIsReadyAndClearlyPays) {
  HalfOnDisk t;
  ASSERT_FALSE(t.options.drafts.empty());
  const Plan words = plan_of(t.o, t.hw, t.options);
  EXPECT_EQ(words.draft.word, "ngram") << "nothing else is here";
  t.options.drafts.back().is_ready = true;
  const Plan ready = plan_of(t.o, t.hw, t.options);
  EXPECT_EQ(ready.draft.word, t.options.drafts.back().word);
  EXPECT_GT(ready.decode_tokens_per_s, 1.1 * words.decode_tokens_per_s);
  EXPECT_DOUBLE_EQ(ready.undrafted_tps, plan_of(t.o, t.hw, {}).decode_tokens_per_s);
  // Answers that showed otherwise are believed.
  t.options.measured_drafts = {
      {.method = "model", .model = t.options.drafts.back().outline.name, .tau = 1.1, .speed_up = 0.98, .n_answers = 9}};
  EXPECT_EQ(plan_of(t.o, t.hw, t.options).draft.word, "ngram");
  // What has to be made first is part of "best" alone.
  t.options.measured_drafts.clear();
  t.options.draft = "best";
  EXPECT_GE(plan_of(t.o, t.hw, t.options).decode_tokens_per_s, ready.decode_tokens_per_s);
  // Where nobody measured the machine nothing can promise anything.
  t.options.draft = "auto";
  t.hw.ram.gb_s = 0;
  EXPECT_EQ(plan_of(t.o, t.hw, t.options).draft.bytes, 0u);
}

TEST(Plan, ADraftThatDisplacesWeightsIsHeldAgainstNone) {
  Hardware hw = simple();
  hw.disks = {{.path = "A", .gb_s = 0.3}};
  const ModelOutline o = shape("llama-3.1-8b", "Q8_0");
  const Plan plain = plan_of(o, hw);
  ASSERT_EQ(plain.placed.disk_bytes, 0u);
  PlanOptions options{.draft = "self:q3_k"};
  const Plan named = plan_of(o, hw, options);
  EXPECT_EQ(named.draft.word, "self:q3_k") << "who names it gets it";
  EXPECT_GT(named.placed.disk_bytes, 0u);
  EXPECT_DOUBLE_EQ(named.undrafted_tps, plain.decode_tokens_per_s);
  EXPECT_TRUE(named.draft_costs());
  const auto advice = advise(o, hw, options, named, 0);
  EXPECT_TRUE(std::any_of(advice.begin(), advice.end(), [&](const Advice& a) {
    return a.option == "--draft none" && a.decode_tokens_per_s == plain.decode_tokens_per_s;
  }));
  options = {.draft = "auto", .drafts = self_drafts(o)};
  for (DraftOffer& d : options.drafts) d.is_ready = true;
  const Plan chosen = plan_of(o, hw, options);
  EXPECT_EQ(chosen.draft.word, "ngram");
  EXPECT_EQ(chosen.placed.disk_bytes, 0u);
  EXPECT_FALSE(chosen.draft_costs());
}

TEST(Plan, SelfIsTheCopyThatFits) {
  const ModelOutline o = shape("llama-3.1-8b", "Q8_0");
  const auto copies = self_drafts(o);
  ASSERT_EQ(copies.size(), 2u);
  EXPECT_EQ(copies[0].word, "self:q3_k");
  EXPECT_EQ(copies[1].word, "self:q2_k");
  const uint64_t q3 = copies[0].outline.weight_bytes(), q2 = copies[1].outline.weight_bytes();
  ASSERT_GT(q3, q2 + 500'000'000);
  for (const double ram_gb_s : {10.0, 0.0}) {  // whether speeds are known or not
    Hardware hw = simple();
    hw.ram.gb_s = ram_gb_s;
    const PlanOptions options{.n_ctx = 512, .ram_bytes = q3, .draft = "self"};
    const PlanOptions small{.n_ctx = 512, .ram_bytes = q3, .draft = "self:q2_k"};
    EXPECT_EQ(plan_of(o, hw, options).draft.bytes, plan_of(o, hw, small).draft.bytes);
    EXPECT_FALSE(make_plan(o, hw, {.n_ctx = 512, .ram_bytes = q3, .draft = "self:q3_k"}));
    // Neither: what is missing, and a limit that works.
    const auto refused = make_plan(o, hw, {.n_ctx = 512, .ram_bytes = q2, .draft = "self"});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("draft"), std::string::npos);
    const size_t at = refused.error().hint.find("--ram ");
    ASSERT_NE(at, std::string::npos) << refused.error().hint;
    const auto ram = parse_bytes(refused.error().hint.substr(at + 6, refused.error().hint.find(':', at) - at - 6));
    ASSERT_TRUE(ram) << refused.error().hint;
    EXPECT_TRUE(make_plan(o, hw, {.n_ctx = 512, .ram_bytes = *ram, .draft = "self"}));
    EXPECT_LT(*ram, q3 + 300'000'000) << "and not much more than it takes";
  }
}

TEST(Plan, WhatDraftsYieldSaysWhereItIsFrom) {
  EXPECT_EQ(expected_acceptance("self", 0, 1.5e9, "q3_k", {}).basis, Basis::benches);
  EXPECT_GT(expected_acceptance("self", 0, 1.5e9, "q3_k", {}).p, expected_acceptance("self", 0, 1.5e9, "q2_k", {}).p);
  // The chains that were measured: five tokens, English and Polish.
  EXPECT_NEAR(expected_tau(expected_acceptance("self", 0, 1.5e9, "q3_k", {}).p, 5), (4.30 + 3.10) / 2, 0.15);
  EXPECT_NEAR(expected_tau(expected_acceptance("self", 0, 1.5e9, "q2_k", {}).p, 5), (3.63 + 2.20) / 2, 0.15);
  EXPECT_NEAR(expected_tau(expected_acceptance("model", 0.5e9, 1.5e9, "", {}).p, 5), (2.91 + 2.30) / 2, 0.15);
  EXPECT_EQ(expected_acceptance("self", 0, 1.5e9, "q4_k", {}).basis, Basis::assumed);
  EXPECT_EQ(expected_acceptance("model", 8e9, 70e9, "", {}).basis, Basis::published);
  EXPECT_EQ(expected_acceptance("model", 70e9, 405e9, "", {}).basis, Basis::assumed);
  EXPECT_EQ(expected_acceptance("ngram", 0, 70e9, "", {{.method = "ngram", .n_answers = 3}}).basis,
            Basis::answers_here);
  // In RAM a token of the copy costs half a pass: then what the policy made of it in free chat counts.
  const Plan in_ram =
      plan_of(shape("qwen2.5-7b", "Q8_0"), machine("workstation-256gb"), {.use_gpu = false, .draft = "self:q3_k"});
  EXPECT_EQ(in_ram.draft.n, 0);
  EXPECT_EQ(in_ram.draft.acceptance.basis, Basis::benches);
}

TEST(Plan, NothingOnTheCardIsMoreThanItHolds) {
  for (const auto& name : known_hardware_names()) {
    const Hardware hw = machine(name);
    for (const char* of : {"llama-3.1-8b", "llama-3.3-70b", "llama-3.1-405b", "glm-130b"})
      for (const char* quant : {"Q8_0", "Q4_K_M", "Q2_K"})
        for (const char* draft : {"none", "best"}) {
          const ModelOutline o = shape(of, quant);
          const auto p = make_plan(o, hw, {.draft = draft, .drafts = draft_candidates(o)});
          if (!p) continue;
          uint64_t vram = 0, ram = 0;
          for (const MemoryUse& m : p->memory)
            (m.tier == Tier::vram ? vram : ram) += m.tier == Tier::disk ? 0 : m.bytes;
          EXPECT_LE(vram, hw.vram.bytes) << name << " " << of << " " << quant << " " << draft;
          EXPECT_LE(ram, hw.ram.bytes) << name << " " << of << " " << quant << " " << draft;
        }
  }
}

TEST(Plan, SecondsOfAnAnswerCountItsDrafts) {
  const Plan p = plan_of(shape("llama-3.1-8b", "Q8_0"), simple());
  EXPECT_DOUBLE_EQ(p.seconds_of(10, 0), 10 * p.plain_seconds);
  EXPECT_GE(p.row_seconds, 0);
  EXPECT_DOUBLE_EQ(p.seconds_of(10, 40), 10 * p.plain_seconds + 40 * p.row_seconds);
}

TEST(Plan, EveryRowHasOnePlace) {
  const Hardware pc = machine("reference-pc");
  for (const char* name : {"llama-3.3-70b", "llama-3.1-405b", "grok-2", "falcon-180b"}) {
    const ModelOutline o = shape(name, "Q8_0");
    const Plan p = plan_of(o, pc, {.disks = {"NVMe", "SATA SSD"}});
    uint64_t bytes = 0;
    for (const auto& t : o.tensors) {
      const auto at = p.placed.placement.tensors.find(t.name);
      if (at == p.placed.placement.tensors.end()) {
        bytes += t.bytes();
        continue;
      }
      int64_t row = 0;
      for (const RowRange& r : at->second) {
        EXPECT_EQ(r.begin, row) << t.name;
        EXPECT_GT(r.end, r.begin) << t.name;
        EXPECT_EQ(r.begin % 16, 0) << t.name;
        EXPECT_LT(r.disk, 2);
        row = r.end;
        bytes += static_cast<uint64_t>(r.end - r.begin) * t.row_bytes();
      }
      EXPECT_EQ(row, t.rows) << t.name;
    }
    EXPECT_EQ(bytes, o.weight_bytes()) << name;
    EXPECT_EQ(p.placed.vram_bytes + p.placed.ram_bytes + p.placed.disk_bytes, o.weight_bytes()) << name;
    uint64_t ram = 0, vram = 0;
    for (const MemoryUse& m : p.memory) (m.tier == Tier::ram ? ram : m.tier == Tier::vram ? vram : bytes) += m.bytes;
    EXPECT_LE(ram, pc.ram.bytes) << name;
    EXPECT_LE(p.placed.vram_bytes, pc.vram.bytes) << name;
    EXPECT_LE(vram, pc.vram.bytes) << name;
  }
}

TEST(Plan, LayersLeaveEqualSharesOnTheDisk) {
  const ModelOutline o = shape("llama-3.1-8b", "Q8_0");
  const double rates[] = {1.0};
  const PlacedOutline placed = place_outline(o, {.ram_bytes = 5'000'000'000, .disk_rates = rates});
  EXPECT_TRUE(placed.fits);
  EXPECT_LE(placed.ram_bytes, 5'000'000'000u);
  EXPECT_GT(placed.ram_bytes, 4'950'000'000u);
  std::vector<double> of_layer(static_cast<size_t>(o.n_layers), 0);
  for (const auto& t : o.tensors)
    if (const auto at = placed.placement.tensors.find(t.name); at != placed.placement.tensors.end())
      for (const RowRange& r : at->second)
        if (r.tier == Tier::disk && t.layer >= 0)
          of_layer[static_cast<size_t>(t.layer)] +=
              static_cast<double>(r.end - r.begin) * static_cast<double>(t.row_bytes());
  const double mean = std::accumulate(of_layer.begin(), of_layer.end(), 0.0) / o.n_layers;
  EXPECT_GT(mean, 0);
  for (double bytes : of_layer) EXPECT_NEAR(bytes / mean, 1, 0.01);
  // Norms stay; the table of which one row is read goes first.
  EXPECT_FALSE(placed.placement.tensors.contains("blk.0.attn_norm.weight"));
  EXPECT_EQ(placed.placement.tensors.at("token_embd.weight")[0].tier, Tier::disk);
  EXPECT_TRUE(place_outline(o, {.ram_bytes = o.weight_bytes(), .disk_rates = rates}).placement.all_in_ram());
}

TEST(Plan, TwoDisksShareByTheirRates) {
  const Hardware hw = simple();
  const ModelOutline o = shape("qwen2.5-14b", "Q8_0");
  const Plan one = plan_of(o, hw), two = plan_of(o, hw, {.disks = {"A", "B"}});
  EXPECT_EQ(one.disks, std::vector<std::string>{"A"});
  EXPECT_NEAR(two.decode_tokens_per_s / one.decode_tokens_per_s, 1.5, 0.02);
  double on[2] = {0, 0};
  for (const auto& t : o.tensors)
    if (const auto at = two.placed.placement.tensors.find(t.name); at != two.placed.placement.tensors.end())
      for (const RowRange& r : at->second)
        if (r.tier == Tier::disk)
          on[r.disk] += static_cast<double>(r.end - r.begin) * static_cast<double>(t.row_bytes());
  EXPECT_NEAR(on[0] / on[1], 2, 0.05);
  const auto wrong = make_plan(o, hw, {.disks = {"C"}});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, "plan.unknown_disk");
}

TEST(Plan, TheCardHasItsSeat) {
  Hardware hw = simple();
  hw.vram = {.bytes = 4'000'000'000, .gb_s = 100};  // simulated
  hw.pcie_gb_s = 10;
  const ModelOutline o = shape("llama-3.1-8b", "Q8_0");
  const Plan with = plan_of(o, hw), without = plan_of(o, hw, {.use_gpu = false});
  EXPECT_GT(with.placed.n_gpu_layers, 10);
  EXPECT_EQ(executor_of(Tier::vram), Executor::gpu);
  EXPECT_EQ(executor_of(Tier::disk), Executor::cpu);
  EXPECT_EQ(with.placed.placement.tensors.at("blk.0.ffn_up.weight")[0].tier, Tier::vram);
  EXPECT_GT(with.pass[Part::vram].seconds, 0);
  EXPECT_GT(with.pass[Part::pcie].seconds, 0);
  EXPECT_GT(with.decode_tokens_per_s, 1.4 * without.decode_tokens_per_s);
  EXPECT_EQ(without.placed.vram_bytes, 0u);
  EXPECT_EQ(plan_of(o, hw, {.vram_bytes = 1'000'000'000}).vram_limit_bytes, 1'000'000'000u);
}

TEST(Plan, ATokenOfAMixtureReadsFewExperts) {
  const Hardware pc = machine("reference-pc");
  const ModelOutline grok = shape("grok-2", "Q4_K_M");
  const Plan p = plan_of(grok, pc);
  // 115 of 270 billion parameters.
  EXPECT_LT(p.bound_seconds, bound_seconds(shape("falcon-180b", "Q8_0"), pc));
  EXPECT_LE(p.no_speculation_tps, p.bound_tps * 1.0001);
  EXPECT_GE(p.no_speculation_tps, 0.6 * p.bound_tps);
}

TEST(Plan, LongConversationsAreSlowerAndCompactTypesHelp) {
  const Hardware hw = simple();
  const ModelOutline o = shape("llama-2-7b", "Q4_K_M");  // no shared heads: 0.5 MB a token
  const Plan start = plan_of(o, hw, {.n_ctx = 4096, .depth = 0}), end = plan_of(o, hw, {.n_ctx = 4096, .depth = 4096});
  EXPECT_GT(start.decode_tokens_per_s, 1.3 * end.decode_tokens_per_s);
  const Plan compact = plan_of(o, hw, {.n_ctx = 4096, .depth = 4096, .kv_types = KvTypes(KvType::q8_0, KvType::q8_0)});
  EXPECT_GT(compact.decode_tokens_per_s, 1.1 * end.decode_tokens_per_s);
  EXPECT_GT(end.ttft_s, 0);
  EXPECT_GT(plan_of(o, hw, {.n_prompt = 2048}).ttft_s, 3.5 * plan_of(o, hw, {.n_prompt = 512}).ttft_s);
}

TEST(Plan, LayersThatThereAreNotHaveNoTypeOfTheirOwn) {
  const ModelOutline o = shape("llama-3.3-70b", "Q8_0");
  const auto types = KvTypes::parse("q4_0/0-80:q8_0");
  ASSERT_TRUE(types);
  const auto plan = make_plan(o, simple(), {.kv_types = *types});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().message, "--kv-type names layer 80, the model has layers 0-79");
}

TEST(Plan, PrefillFromTheDiskIsOneReadOrTheArithmetic) {
  Hardware hw = simple();
  hw.ram.bytes = 3'000'000'000;
  hw.cpu.fp32_gflop_s = 1e6;  // attention costs nothing here
  const ModelOutline o = shape("llama-3.1-8b", "Q8_0");
  const Plan p = plan_of(o, hw, {.n_ctx = 4096, .n_prompt = 2048, .micro_batch = 2048});
  EXPECT_EQ(p.micro_batch, 2048);
  const double compute = 2 * o.pass_macs() * 2048 / (1000e9 * Efficiency::expected().cpu_int8_many);
  EXPECT_NEAR(p.ttft_s / compute, 1, 0.15);
  // Without the arithmetic: one read for each micro-batch.
  hw.cpu.int8_gop_s = 1e6;
  const double one_read = static_cast<double>(p.placed.disk_bytes) / 1e9 / Efficiency::expected().disk_read;
  EXPECT_NEAR(plan_of(o, hw, {.n_ctx = 4096, .n_prompt = 2048, .micro_batch = 2048}).ttft_s / one_read, 1, 0.15);
  EXPECT_NEAR(plan_of(o, hw, {.n_ctx = 4096, .n_prompt = 2048, .micro_batch = 1024}).ttft_s / one_read, 2, 0.3);
}

TEST(Plan, WhatDoesNotFitIsRefusedWithStepsThatPass) {
  Hardware hw = simple();
  hw.disks.clear();
  hw.ram.bytes = 10'200'000'000;
  const ModelOutline o = shape("qwen2.5-14b", "Q8_0");  // 15.7 GB
  const auto refused = make_plan(o, hw, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "plan.no_fit");
  EXPECT_NE(refused.error().message.find("weights"), std::string::npos);
  EXPECT_NE(refused.error().hint.find("the file in Q4_K_M"), std::string::npos) << refused.error().hint;
  EXPECT_TRUE(make_plan(model::requantized(o, model::QuantMix::q4_k_m), hw, {}));
  // With a limit of one's own: the limit that is offered passes.
  const ModelOutline small = shape("llama-3.1-8b", "Q8_0");
  const auto limited = make_plan(small, hw, {.ram_bytes = 4'000'000'000});
  ASSERT_FALSE(limited);
  const std::string& hint = limited.error().hint;
  const size_t at = hint.find("--ram ");
  ASSERT_NE(at, std::string::npos) << hint;
  const auto bytes = parse_bytes(hint.substr(at + 6, hint.find(':', at) - at - 6));
  ASSERT_TRUE(bytes) << hint;
  EXPECT_TRUE(make_plan(small, hw, {.ram_bytes = *bytes}));
}

TEST(Plan, TheSameArgumentsGiveTheSamePlan) {
  const Hardware pc = machine("reference-pc");
  const ModelOutline o = shape("llama-3.1-405b", "Q4_K_M");
  const Plan a = plan_of(o, pc), b = plan_of(o, pc);
  EXPECT_EQ(a.decode_tokens_per_s, b.decode_tokens_per_s);
  EXPECT_EQ(a.placed.placement.tensors, b.placed.placement.tensors);
}

}  // namespace
}  // namespace watra::engine
