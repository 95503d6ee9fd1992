#include "model/outline.h"

#include <gtest/gtest.h>

#include "model/synthetic.h"

namespace watra::model {
namespace {

ModelOutline shape(std::string_view name, std::string_view quant) {
  return outline_of(**find_shape(name), *parse_quant_mix(quant));
}

struct Published {
  std::string_view quant;
  double gb_70b, gb_405b;  // 0 = not published
};
// Sizes of files people download (Llama-3.3-70B, Hermes-3-Llama-3.1-405B).
constexpr Published kPublished[] = {
    {"BF16", 141.1, 811.7},  {"Q8_0", 75.0, 431.3},    {"Q6_K", 57.9, 333.0},    {"Q5_K_M", 49.9, 286.7},
    {"Q4_K_M", 42.5, 243.2}, {"Q4_K_S", 40.3, 230.6},  {"IQ4_XS", 37.9, 218.7},  {"Q3_K_M", 34.3, 195.5},
    {"Q3_K_S", 30.9, 175.3}, {"IQ3_XXS", 27.5, 155.9}, {"Q2_K", 26.4, 149.4},    {"IQ2_M", 24.1, 136.8},
    {"IQ2_S", 22.2, 125.7},  {"IQ2_XS", 21.1, 119.4},  {"IQ2_XXS", 19.1, 107.4}, {"IQ1_M", 16.8, 93.6},
    {"IQ1_S", 0, 85.3},
};

TEST(Outline, FileSizesAreThoseOfPublishedFiles) {
  for (const Published& p : kPublished) {
    if (p.gb_70b > 0) {
      EXPECT_NEAR(static_cast<double>(shape("llama-3.3-70b", p.quant).weight_bytes()) / 1e9 / p.gb_70b, 1, 0.01)
          << p.quant;
    }
    if (p.gb_405b > 0) {
      EXPECT_NEAR(static_cast<double>(shape("llama-3.1-405b", p.quant).weight_bytes()) / 1e9 / p.gb_405b, 1, 0.01)
          << p.quant;
    }
  }
}

TEST(Outline, ParametersAreThePublishedOnes) {
  const std::pair<std::string_view, double> billions[] = {
      {"llama-3.2-1b", 1.236},
      {"llama-3.2-3b", 3.213},
      {"llama-3.1-8b", 8.030},
      {"llama-3.3-70b", 70.55},
      {"qwen2.5-0.5b", 0.494},
      {"qwen2.5-1.5b", 1.544},
      {"qwen2.5-72b", 72.71},
      {"qwen3-8b", 8.19},
      {"qwen3-32b", 32.76},
      {"mistral-large-123b", 122.6},
      {"mistral-7b", 7.248},
      {"gemma-2-27b", 27.23},
      {"gemma-3-12b", 11.77},
      {"phi-4", 14.66},
      {"bielik-11b", 11.17},
      {"command-r-plus-104b", 103.8},
      {"falcon-180b", 179.5},
      {"mixtral-8x7b", 46.70},
      {"mixtral-8x22b", 140.6},
      {"grok-2", 269.5},
      {"grok-1", 314},
      {"glm-130b", 130},
      {"llama-3.1-405b", 405.9},
      {"qwen3-30b-a3b", 30.53},
      {"qwen3-235b-a22b", 235.1},
  };
  for (const auto& [name, b] : billions)
    EXPECT_NEAR(static_cast<double>(shape(name, "Q8_0").n_params()) / 1e9 / b, 1, 0.012) << name;
}

TEST(Outline, ExpertsThatAreNotChosenAreNotRead) {
  const ModelOutline grok = shape("grok-2", "Q8_0");
  EXPECT_NEAR(static_cast<double>(grok.n_active_params()) / 1e9, 115, 2);
  const ModelOutline mixtral = shape("mixtral-8x7b", "Q4_K_M");
  EXPECT_NEAR(static_cast<double>(mixtral.n_active_params()) / 1e9, 12.9, 0.3);
  const OutlineTensor experts{.rows = 8, .cols = 32, .read = OutlineTensor::Read::experts};
  EXPECT_DOUBLE_EQ(mixtral.read_share(experts), 0.25);
  EXPECT_DOUBLE_EQ(mixtral.read_share(experts, 2), 1 - 0.75 * 0.75);
  EXPECT_LT(mixtral.pass_bytes(1), mixtral.pass_bytes(8));
  EXPECT_LE(mixtral.pass_bytes(512), static_cast<double>(mixtral.weight_bytes()));
}

TEST(Outline, AnOpenedModelAndItsOutlineAgree) {
  for (const char* spec : {"llama-8b:q4_k_m", "llama-1b:q8_0", "smollm2-135m:q5_k_m"}) {
    const auto model = *Model::from(*synthetic_checkpoint(spec));
    const ModelOutline o = outline_of(*model);
    EXPECT_EQ(o.n_params(), model->n_params()) << spec;
    EXPECT_EQ(o.weight_bytes(), model->weight_bytes()) << spec;
    EXPECT_EQ(static_cast<uint64_t>(o.pass_bytes()), model->pass_bytes()) << spec;
    EXPECT_NEAR(o.pass_macs() / static_cast<double>(model->pass_macs()), 1, 1e-3) << spec;  // norms are no products
    EXPECT_EQ(static_cast<int64_t>(o.kv_bytes_per_position(kernels::KvType::f16, kernels::KvType::q8_0)),
              model->hparams().kv_bytes_per_position(kernels::KvType::f16, kernels::KvType::q8_0));
  }
  EXPECT_EQ(outline_of(**Model::from(*synthetic_checkpoint("llama-8b:q4_k_m"))).quant, "Q4_K_M");
  EXPECT_EQ(outline_of(**Model::from(*synthetic_checkpoint("llama-8b:q8_0"))).quant, "Q8_0");
}

TEST(Outline, ARequantizedModelHasTheSizeOfTheShape) {
  const ModelOutline q8 = shape("llama-3.1-8b", "Q8_0");
  EXPECT_EQ(requantized(q8, QuantMix::q4_k_m).weight_bytes(), shape("llama-3.1-8b", "Q4_K_M").weight_bytes());
  EXPECT_EQ(requantized(q8, QuantMix::q4_k_m).quant, "Q4_K_M");
}

TEST(Outline, RowsThatAreNoSuperBlocksTakeSmallerBlocks) {
  const MixNetwork qwen{
      .architecture = "qwen2", .n_layers = 24, .n_heads = 14, .n_kv_heads = 2, .tied_embeddings = true};
  EXPECT_EQ(mixed_dtype(QuantMix::q4_k_m, qwen, "blk.5.attn_q.weight", 5, 2, 896), tensor::DType::q5_0);
  EXPECT_EQ(mixed_dtype(QuantMix::q4_k_m, qwen, "blk.5.ffn_down.weight", 5, 2, 4864), tensor::DType::q6_k);
  EXPECT_EQ(mixed_dtype(QuantMix::q4_k_m, qwen, "token_embd.weight", -1, 2, 896), tensor::DType::q8_0);
  EXPECT_EQ(mixed_dtype(QuantMix::q4_k_m, qwen, "blk.5.attn_norm.weight", 5, 1, 896), tensor::DType::f32);
  EXPECT_EQ(mixed_dtype(QuantMix::iq2_xxs, qwen, "blk.5.ffn_up.weight", 5, 2, 80), tensor::DType::f16);
}

TEST(Outline, WindowsBoundWhatIsRead) {
  const ModelOutline gemma = shape("gemma-3-4b", "Q8_0");
  const auto f16 = kernels::KvType::f16;
  EXPECT_EQ(gemma.kv_read_bytes(0, 8192, f16, f16), gemma.kv_read_bytes(0, 1024, f16, f16));
  EXPECT_EQ(gemma.kv_read_bytes(5, 8192, f16, f16), 8 * gemma.kv_read_bytes(5, 1024, f16, f16));
  // 70B: 0.328 MB a position in f16.
  EXPECT_EQ(shape("llama-3.3-70b", "Q8_0").kv_bytes_per_position(f16, f16), 327680u);
}

TEST(Outline, NamesAreForgivingAndErrorsHelp) {
  EXPECT_EQ((*find_shape("Llama-3.1-70B-Instruct"))->name, "llama-3.3-70b");
  EXPECT_EQ((*find_shape("hermes-4-70b"))->name, "llama-3.3-70b");
  const auto wrong = find_shape("qwen9-1b");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, "model.unknown_shape");
  EXPECT_NE(wrong.error().hint.find("llama-3.3-70b"), std::string::npos);
  EXPECT_NE(find_shape("llama-9b").error().hint.find("llama-3.2-1b"), std::string::npos);
  EXPECT_EQ(*parse_quant_mix("q4_k_m"), QuantMix::q4_k_m);
  const auto quant = parse_quant_mix("Q8_K_M");
  ASSERT_FALSE(quant);
  EXPECT_EQ(quant.error().code, "model.unknown_quant");
}

}  // namespace
}  // namespace watra::model
