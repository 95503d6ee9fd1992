// watra convert over the golden folders: what lands in the file, and what is refused.
#include "workshop/convert.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/fault.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors.h"
#include "source_folder.h"
#include "tensor/quantize.h"

namespace watra::workshop {
namespace {

using checkpoint::Checkpoint;
using nlohmann::json;
using tensor::DType;

const fs::path kGolden = fs::path(kSourceFolder) / "tests/golden";

class ConvertTest : public ::testing::Test {
 protected:
  ConvertTest() : folder_(fs::temp_directory_path() / fmt::format("watra-convert-{}-{}", getpid(), counter_++)) {
    fs::create_directories(folder_);
  }
  ~ConvertTest() override { fs::remove_all(folder_); }

  Result<ConvertReport> convert_to(const fs::path& source, OutType type = OutType::f32) {
    ConvertOptions o;
    o.source = source;
    o.target = target();
    o.out_type = type;
    o.threads = 2;
    return convert(o);
  }
  fs::path target() const { return folder_ / "out.gguf"; }

  Checkpoint converted(const std::string& name, OutType type = OutType::f32) {
    auto report = convert_to(kGolden / name, type);
    EXPECT_TRUE(report) << report.error().to_string();
    auto file = Checkpoint::open(target());
    EXPECT_TRUE(file) << file.error().to_string();
    return std::move(*file);
  }

  // A copy of a golden folder that a test may spoil.
  fs::path copy_of(const std::string& name) {
    fs::path to = folder_ / (name + "-copy");
    fs::remove_all(to);
    fs::copy(kGolden / name, to, fs::copy_options::recursive);
    return to;
  }
  static json read_json(const fs::path& path) { return json::parse(std::ifstream(path)); }
  static void write_json(const fs::path& path, const json& value) { std::ofstream(path) << value.dump(); }

  // The code of the refusal when `key` of config.json is set to `value`.
  std::string refusal(const std::string& name, const std::string& key, const json& value) {
    const fs::path folder = copy_of(name);
    json config = read_json(folder / "config.json");
    config[key] = value;
    write_json(folder / "config.json", config);
    auto report = convert_to(folder);
    if (report) {
      fs::remove(target());
      return "converted";
    }
    EXPECT_FALSE(fs::exists(target()));
    return report.error().code;
  }

  static std::vector<float> floats(const Checkpoint& file, const std::string& name) {
    const checkpoint::TensorInfo* t = file.find(name);
    EXPECT_TRUE(t) << name;
    std::vector<std::byte> raw(t->size_bytes);
    EXPECT_TRUE(file.read(*t, raw));
    std::vector<float> out(t->shape.elements());
    tensor::dequantize_row(t->dtype, raw.data(), out.data(), t->shape.elements());
    return out;
  }
  static std::vector<float> floats(const checkpoint::Safetensors& file, const std::string& name) {
    const checkpoint::TensorInfo* t = file.find(name);
    EXPECT_TRUE(t) << name;
    std::vector<std::byte> raw(t->size_bytes);
    EXPECT_TRUE(file.read(*t, raw));
    std::vector<float> out(t->shape.elements());
    tensor::dequantize_row(t->dtype, raw.data(), out.data(), t->shape.elements());
    return out;
  }

  fs::path folder_;
  static inline int counter_ = 0;
};

std::vector<std::string> golden_folders() {
  std::set<std::string> names;
  std::ifstream list(kGolden / "models.txt");
  for (std::string line; std::getline(list, line);) {
    if (line.starts_with("#")) continue;
    std::istringstream fields(line);
    std::string name, folder;
    if (fields >> name >> folder) names.insert(folder);
  }
  return {names.begin(), names.end()};
}

TEST_F(ConvertTest, EveryGoldenFolderInEveryType) {
  ASSERT_GE(golden_folders().size(), 15u);
  for (const std::string& name : golden_folders())
    for (OutType type : {OutType::automatic, OutType::f32, OutType::f16, OutType::bf16, OutType::q8_0}) {
      auto report = convert_to(kGolden / name, type);
      ASSERT_TRUE(report) << name << ": " << report.error().to_string();
      EXPECT_NE(report->out_type, OutType::automatic);
      EXPECT_EQ(report->bytes, fs::file_size(target()));
      EXPECT_GT(report->n_rows_checked, 3 * report->n_tensors - 1);
      EXPECT_TRUE(report->warnings.empty()) << name << ": " << report->warnings[0];
      auto file = Checkpoint::open(target());
      ASSERT_TRUE(file) << file.error().to_string();
      EXPECT_EQ(file->tensors().size(), report->n_tensors);
      const auto* tokens = file->metadata().get_array("tokenizer.ggml.tokens");
      ASSERT_TRUE(tokens);
      EXPECT_EQ(static_cast<int64_t>(tokens->strings.size()), file->find("token_embd.weight")->shape[0]);
      EXPECT_TRUE(file->metadata().has("tokenizer.chat_template"));
      for (const auto& t : file->tensors()) EXPECT_TRUE(t.shape.rank() == 2 || t.dtype == DType::f32) << t.name;
    }
}

TEST_F(ConvertTest, ShapeOfTheNetwork) {
  const Checkpoint llama3 = converted("llama3");
  const auto& m = llama3.metadata();
  EXPECT_EQ(m.get_string("general.architecture"), "llama");
  EXPECT_EQ(m.get_string("general.name"), "Llama3");
  EXPECT_EQ(m.get_string("general.size_label"), "115K");
  EXPECT_EQ(m.get_u64("general.file_type"), 0u);
  EXPECT_EQ(m.get_u64("llama.block_count"), 3u);
  EXPECT_EQ(m.get_u64("llama.attention.head_count"), 4u);
  EXPECT_EQ(m.get_u64("llama.attention.head_count_kv"), 2u);
  EXPECT_EQ(m.get_f64("llama.rope.freq_base"), 500000.0);
  EXPECT_EQ(m.get_u64("llama.rope.dimension_count"), 16u);
  EXPECT_FALSE(m.has("llama.rope.scaling.type"));
  EXPECT_EQ(m.get_string("tokenizer.ggml.model"), "gpt2");
  EXPECT_EQ(m.get_string("tokenizer.ggml.pre"), "llama-bpe");
  EXPECT_EQ(m.get_u64("tokenizer.ggml.bos_token_id"), 316u);
  EXPECT_EQ(m.get_u64("tokenizer.ggml.eos_token_id"), 318u);
  EXPECT_EQ(m.get_bool("tokenizer.ggml.add_bos_token"), true);

  // wavelengths 2 pi 500000^(i/8): the first is short, the second (32.4) just past the original context of 32
  const std::vector<float> factors = floats(llama3, "rope_freqs.weight");
  ASSERT_EQ(factors.size(), 8u);
  EXPECT_EQ(factors[0], 1.0f);
  for (size_t i = 1; i < 8; ++i) EXPECT_EQ(factors[i], 8.0f) << i;
}

TEST_F(ConvertTest, RopeScaling) {
  const Checkpoint linear = converted("llama-linear");
  EXPECT_EQ(linear.metadata().get_string("llama.rope.scaling.type"), "linear");
  EXPECT_EQ(linear.metadata().get_f64("llama.rope.scaling.factor"), 4.0);
  EXPECT_FALSE(linear.find("output.weight"));

  const Checkpoint yarn = converted("qwen2-yarn");
  EXPECT_EQ(yarn.metadata().get_string("qwen2.rope.scaling.type"), "yarn");
  EXPECT_EQ(yarn.metadata().get_u64("qwen2.rope.scaling.original_context_length"), 32u);
  EXPECT_TRUE(yarn.find("output.weight"));

  const Checkpoint phi = converted("phi4-mini");
  EXPECT_EQ(phi.metadata().get_u64("phi3.rope.dimension_count"), 24u);
  EXPECT_EQ(phi.metadata().get_u64("phi3.attention.sliding_window"), 0u);
  EXPECT_NEAR(*phi.metadata().get_f64("phi3.rope.scaling.attn_factor"), std::sqrt(1 + std::log(4.0) / std::log(32.0)),
              1e-6);
  EXPECT_EQ(floats(phi, "rope_factors_long.weight").back(), 6.2f);
  EXPECT_EQ(floats(phi, "rope_factors_short.weight")[1], 1.02f);
  EXPECT_EQ(phi.metadata().get_string("tokenizer.ggml.pre"), "gpt-4o");
}

TEST_F(ConvertTest, Windows) {
  EXPECT_EQ(converted("mistral-window").metadata().get_u64("llama.attention.sliding_window"), 16u);
  EXPECT_FALSE(converted("mistral").metadata().has("llama.attention.sliding_window"));
  EXPECT_EQ(converted("phi3").metadata().get_u64("phi3.attention.sliding_window"), 32u);
  const Checkpoint gemma3 = converted("gemma3-vision");
  EXPECT_EQ(gemma3.metadata().get_u64("gemma3.attention.sliding_window"), 16u);
  EXPECT_EQ(gemma3.metadata().get_f64("gemma3.rope.freq_base_swa"), 10000.0);
  EXPECT_EQ(gemma3.metadata().get_string("gemma3.rope.scaling.type"), "linear");
  EXPECT_FALSE(gemma3.metadata().has("gemma3.attention.sliding_window_pattern"));
}

TEST_F(ConvertTest, RotaryRowsOfLlamaBecomePairs) {
  const Checkpoint file = converted("llama3");
  auto source = checkpoint::Safetensors::open(kGolden / "llama3");
  ASSERT_TRUE(source);
  for (const auto& [to, from] : {std::pair{"blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight"},
                                 std::pair{"blk.1.attn_k.weight", "model.layers.1.self_attn.k_proj.weight"}}) {
    const auto got = floats(file, to), want = floats(*source, from);
    ASSERT_EQ(got.size(), want.size());
    const size_t d_head = 16, cols = 64;
    for (size_t r = 0; r < got.size() / cols; ++r) {
      const size_t head = r / d_head, i = r % d_head;
      const size_t from_row = head * d_head + (i % 2) * (d_head / 2) + i / 2;
      for (size_t c = 0; c < cols; ++c) ASSERT_EQ(got[r * cols + c], want[from_row * cols + c]) << to << " row " << r;
    }
  }
  EXPECT_EQ(floats(file, "blk.1.attn_v.weight"), floats(*source, "model.layers.1.self_attn.v_proj.weight"));
}

TEST_F(ConvertTest, GemmaNormsArePlusOne) {
  const Checkpoint file = converted("gemma3-vision");
  auto source = checkpoint::Safetensors::open(kGolden / "gemma3-vision");
  ASSERT_TRUE(source);
  for (const auto& [to, from] :
       {std::pair{"blk.6.attn_q_norm.weight", "language_model.model.layers.6.self_attn.q_norm.weight"},
        std::pair{"blk.0.post_ffw_norm.weight", "language_model.model.layers.0.post_feedforward_layernorm.weight"},
        std::pair{"output_norm.weight", "language_model.model.norm.weight"}}) {
    auto want = floats(*source, from);
    for (float& v : want) v += 1.0f;
    EXPECT_EQ(floats(file, to), want) << to;
  }
  for (const auto& t : file.tensors()) EXPECT_EQ(t.name.find("vision"), std::string::npos);
}

TEST_F(ConvertTest, Q8FallsBackToF16WhereRowsAreNotWholeBlocks) {
  const Checkpoint file = converted("mistral", OutType::q8_0);
  EXPECT_EQ(file.find("blk.0.attn_q.weight")->dtype, DType::f16);        // rows of 48
  EXPECT_EQ(file.find("blk.0.attn_output.weight")->dtype, DType::q8_0);  // rows of 128
  EXPECT_EQ(file.metadata().get_u64("general.file_type"), 7u);
  auto source = checkpoint::Safetensors::open(kGolden / "mistral");
  ASSERT_TRUE(source);
  const auto got = floats(file, "blk.0.attn_output.weight"),
             want = floats(*source, "model.layers.0.self_attn.o_proj.weight");
  double error = 0, power = 0;
  for (size_t i = 0; i < got.size(); ++i) error += (got[i] - want[i]) * (got[i] - want[i]), power += want[i] * want[i];
  EXPECT_LT(error / power, 1e-4);
  EXPECT_GT(error, 0);
}

TEST_F(ConvertTest, AutomaticKeepsSixteenBits) {
  EXPECT_EQ(converted("qwen2", OutType::automatic).find("token_embd.weight")->dtype, DType::bf16);
  EXPECT_EQ(converted("mistral", OutType::automatic).find("token_embd.weight")->dtype, DType::f16);
  EXPECT_EQ(converted("llama", OutType::automatic).find("token_embd.weight")->dtype, DType::f16);
}

TEST_F(ConvertTest, Vocabularies) {
  const Checkpoint phi_file = converted("phi3");
  const auto& phi = phi_file.metadata();
  const auto* tokens = phi.get_array("tokenizer.ggml.tokens");
  const auto* types = phi.get_array("tokenizer.ggml.token_type");
  const auto* scores = phi.get_array("tokenizer.ggml.scores");
  ASSERT_TRUE(tokens && types && scores);
  EXPECT_EQ(tokens->strings[315], "<|assistant|>");
  EXPECT_EQ(types->i64[315], 3);  // control
  EXPECT_EQ(types->i64[2], 4);    // "</s>" is listed as not special
  EXPECT_EQ(types->i64[3], 6);    // "<0x00>"
  EXPECT_EQ(tokens->strings[319], "[PAD319]");
  EXPECT_EQ(types->i64[319], 5);  // unused
  EXPECT_EQ(scores->f64[315], -1000.0);
  EXPECT_EQ(phi.get_u64("tokenizer.ggml.eos_token_id"), 314u);
  EXPECT_EQ(phi.get_bool("tokenizer.ggml.add_bos_token"), false);

  const Checkpoint gemma_file = converted("gemma2");
  EXPECT_EQ(gemma_file.metadata().get_bool("tokenizer.ggml.add_space_prefix"), false);
  EXPECT_EQ(gemma_file.metadata().get_array("tokenizer.ggml.token_type")->i64[4], 3);  // "<start_of_turn>"

  const Checkpoint qwen_file = converted("qwen2");
  const auto& qwen = qwen_file.metadata();
  EXPECT_EQ(qwen.get_string("tokenizer.ggml.pre"), "qwen2");
  EXPECT_EQ(qwen.get_u64("tokenizer.ggml.eos_token_id"), 315u);
  EXPECT_EQ(qwen.get_u64("tokenizer.ggml.padding_token_id"), 313u);
  EXPECT_EQ(qwen.get_array("tokenizer.ggml.merges")->strings[1], "Ġ t");
  // merges as strings (llama3) and as pairs (qwen2) come from the same text
  const Checkpoint llama3_file = converted("llama3");
  const auto& a = llama3_file.metadata().get_array("tokenizer.ggml.merges")->strings;
  const auto& b = qwen.get_array("tokenizer.ggml.merges")->strings;
  EXPECT_TRUE(std::equal(a.begin(), a.begin() + 50, b.begin()));
}

// The mistral folder has the llama folder's SentencePiece vocabulary as tokenizer.json: the merges must give scores of
// the same order.
TEST_F(ConvertTest, MergesBecomeScores) {
  const Checkpoint spm = converted("llama");
  const auto want_tokens = spm.metadata().get_array("tokenizer.ggml.tokens")->strings;
  const auto want = spm.metadata().get_array("tokenizer.ggml.scores")->f64;
  const Checkpoint from_json = converted("mistral");
  const auto& got_tokens = from_json.metadata().get_array("tokenizer.ggml.tokens")->strings;
  const auto& got = from_json.metadata().get_array("tokenizer.ggml.scores")->f64;
  ASSERT_EQ(got_tokens, want_tokens);
  EXPECT_EQ(from_json.metadata().get_string("tokenizer.ggml.model"), "llama");
  EXPECT_FALSE(from_json.metadata().has("tokenizer.ggml.add_space_prefix"));
  std::vector<size_t> merged;
  for (size_t i = 259; i < got_tokens.size(); ++i)
    if (got_tokens[i].size() > 1 && got_tokens[i] != "▁") merged.push_back(i);
  ASSERT_GT(merged.size(), 20u);
  for (size_t i = 1; i < merged.size(); ++i)
    EXPECT_EQ(want[merged[i - 1]] > want[merged[i]], got[merged[i - 1]] > got[merged[i]]) << got_tokens[merged[i]];
}

TEST_F(ConvertTest, TemplatesAndSamplingAndSurplusTokens) {
  const fs::path folder = copy_of("llama3");
  json c = read_json(folder / "tokenizer_config.json");
  c["chat_template"] = {
      {{"name", "default"}, {"template", "A"}}, {{"name", "tool use"}, {"template", "B"}}, {{"name", 3}}, 7};
  write_json(folder / "tokenizer_config.json", c);
  write_json(folder / "generation_config.json",
             {{"temperature", 0.6}, {"top_p", 0.9}, {"top_k", 20}, {"do_sample", true}});
  json t = read_json(folder / "tokenizer.json");
  t["added_tokens"].push_back({{"id", 320}, {"content", "<|beyond|>"}, {"special", true}});
  write_json(folder / "tokenizer.json", t);
  auto report = convert_to(folder);
  ASSERT_TRUE(report) << report.error().to_string();
  ASSERT_EQ(report->warnings.size(), 1u);
  EXPECT_NE(report->warnings[0].find("<|beyond|>"), std::string::npos);
  auto file = Checkpoint::open(target());
  ASSERT_TRUE(file);
  const auto& m = file->metadata();
  EXPECT_EQ(m.get_string("tokenizer.chat_template"), "A");
  EXPECT_EQ(m.get_string("tokenizer.chat_template.tool_use"), "B");
  EXPECT_EQ(m.get_array("tokenizer.chat_templates")->strings, std::vector<std::string>{"tool_use"});
  EXPECT_NEAR(*m.get_f64("general.sampling.temp"), 0.6, 1e-7);
  EXPECT_EQ(m.get_i64("general.sampling.top_k"), 20);
}

TEST_F(ConvertTest, RefusesWhatAGgufCannotSay) {
  EXPECT_EQ(refusal("llama", "architectures", {"MixtralForCausalLM"}), "convert.unknown_architecture");
  EXPECT_EQ(refusal("llama", "architectures", json::array()), "convert.unknown_architecture");
  EXPECT_EQ(refusal("llama", "quantization_config", {{"quant_method", "gptq"}}), "convert.unsupported_config");
  EXPECT_EQ(refusal("llama", "hidden_act", "gelu"), "convert.unsupported_config");
  EXPECT_EQ(refusal("llama", "num_key_value_heads", 3), "convert.unsupported_config");
  EXPECT_EQ(refusal("llama", "hidden_size", -4), "convert.bad_config");
  EXPECT_EQ(refusal("llama", "hidden_size", "big"), "convert.bad_config");
  EXPECT_EQ(refusal("llama", "num_hidden_layers", 1e300), "convert.bad_config");
  EXPECT_EQ(refusal("llama", "rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}), "convert.unsupported_config");
  EXPECT_EQ(refusal("llama3", "rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}), "convert.bad_config");
  EXPECT_EQ(refusal("qwen2", "rope_scaling",
                    {{"type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1}, {"high_freq_factor", 4}}),
            "convert.unsupported_config");
  EXPECT_EQ(refusal("qwen2-yarn", "max_window_layers", 1), "converted");
  EXPECT_EQ(refusal("qwen3", "layer_types", {"full_attention", "sliding_attention", "full_attention"}),
            "convert.unsupported_config");
  EXPECT_EQ(refusal("gemma2", "query_pre_attn_scalar", 31), "convert.unsupported_config");
  EXPECT_EQ(refusal("gemma2", "final_logit_softcapping", nullptr), "convert.unsupported_config");
  EXPECT_EQ(refusal("gemma3", "sliding_window_pattern", 4), "converted");
  EXPECT_EQ(refusal("phi3-longrope", "original_max_position_embeddings", 1), "convert.unsupported_config");
}

TEST_F(ConvertTest, AConfigThatOnlyNestsIsRefused) {
  const fs::path folder = copy_of("llama");
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  std::ofstream(folder / "config.json") << R"({"architectures": ["LlamaForCausalLM"], "hidden_size": )" << deep << "}";
  EXPECT_EQ(convert_to(folder).error().code, "convert.bad_json");
}

TEST_F(ConvertTest, EncodersInEveryType) {
  for (const std::string name : {"bert", "nomic-bert"})
    for (OutType type : {OutType::automatic, OutType::f32, OutType::bf16, OutType::q8_0}) {
      auto report = convert_to(kGolden / name, type);
      ASSERT_TRUE(report) << name << ": " << report.error().to_string();
      EXPECT_TRUE(report->warnings.empty()) << name;
      const auto file = Checkpoint::open(target());
      ASSERT_TRUE(file) << file.error().to_string();
      const auto& meta = file->metadata();
      EXPECT_EQ(meta.get_string("general.architecture"), name);
      EXPECT_EQ(meta.get_u64(name + ".pooling_type"), name == "bert" ? 2u : 1u);
      EXPECT_EQ(meta.get_bool(name + ".attention.causal"), false);
      EXPECT_EQ(meta.get_string("tokenizer.ggml.model"), "bert");
      EXPECT_EQ(meta.get_bool("tokenizer.ggml.normalizer.lowercase"), name == "bert");
      EXPECT_EQ(meta.get_u64("tokenizer.ggml.token_type_count"), 2u);
      EXPECT_EQ(meta.get_u64("tokenizer.ggml.cls_token_id"), 2u);
      EXPECT_EQ(meta.get_u64("tokenizer.ggml.seperator_token_id"), 3u);
      EXPECT_EQ(file->find("token_types.weight")->dtype, DType::f32) << "rows that are added as they are";
      EXPECT_FALSE(file->find("output.weight"));
    }
  const Checkpoint bert = converted("bert");
  EXPECT_EQ(bert.find("position_embd.weight")->dtype, DType::f32);
  const auto& tokens = bert.metadata().get_array("tokenizer.ggml.tokens")->strings;
  EXPECT_EQ(tokens[2], "[CLS]");
  EXPECT_TRUE(std::ranges::find(tokens, "▁the") != tokens.end()) << "begins a word";
  EXPECT_TRUE(std::ranges::none_of(tokens, [](const std::string& t) { return t.starts_with("##"); }));
}

TEST_F(ConvertTest, EncodersThatGgufCannotSayAreRefused) {
  EXPECT_EQ(refusal("bert", "position_embedding_type", "relative_key"), "convert.unsupported_config");
  EXPECT_EQ(refusal("bert", "hidden_act", "relu"), "convert.unsupported_config");
  EXPECT_EQ(refusal("bert", "type_vocab_size", 3), "convert.bad_shape");
  EXPECT_EQ(refusal("bert", "max_position_embeddings", 128), "convert.bad_shape");
  fs::path folder = copy_of("bert");
  json pooling = read_json(folder / "1_Pooling/config.json");
  pooling["pooling_mode_max_tokens"] = true;
  pooling["pooling_mode_cls_token"] = false;
  write_json(folder / "1_Pooling/config.json", pooling);
  EXPECT_EQ(convert_to(folder).error().code, "convert.unsupported_config") << "the largest of each component";
  folder = copy_of("bert");
  json modules = read_json(folder / "modules.json");
  modules[1]["path"] = "../bert";
  write_json(folder / "modules.json", modules);
  EXPECT_EQ(convert_to(folder).error().code, "convert.bad_json") << "a path that leads outside";
  folder = copy_of("bert");
  fs::remove(folder / "modules.json");
  ASSERT_TRUE(convert_to(folder));
  EXPECT_FALSE(Checkpoint::open(target())->metadata().has("bert.pooling_type")) << "nothing is known";
  fs::remove(target());
  folder = copy_of("bert");
  json tokenizer = read_json(folder / "tokenizer.json");
  tokenizer["normalizer"]["handle_chinese_chars"] = false;
  write_json(folder / "tokenizer.json", tokenizer);
  EXPECT_EQ(convert_to(folder).error().code, "convert.unsupported_tokenizer");
}

TEST_F(ConvertTest, RefusesWeightsThatDoNotFitTheConfig) {
  EXPECT_EQ(refusal("llama", "intermediate_size", 96), "convert.bad_shape");
  EXPECT_EQ(refusal("llama", "num_hidden_layers", 4), "convert.missing_tensor");
  EXPECT_EQ(refusal("llama", "num_hidden_layers", 2), "convert.unknown_tensor");
  EXPECT_EQ(refusal("llama-linear", "tie_word_embeddings", false), "convert.missing_tensor");
  const fs::path folder = copy_of("qwen2");
  fs::remove(folder / "model-00002-of-00002.safetensors");
  auto report = convert_to(folder);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code.substr(0, 11), "checkpoint.") << report.error().to_string();
}

TEST_F(ConvertTest, RefusesDamagedTokenizers) {
  fs::path folder = copy_of("llama");
  fs::remove(folder / "tokenizer.model");
  EXPECT_EQ(convert_to(folder).error().code, "convert.no_tokenizer");

  std::ofstream(folder / "tokenizer.model")
      << "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 499723\n";
  EXPECT_EQ(convert_to(folder).error().code, "convert.bad_tokenizer");

  folder = copy_of("qwen2");
  json t = read_json(folder / "tokenizer.json");
  t["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\p{L}+|.";
  write_json(folder / "tokenizer.json", t);
  EXPECT_EQ(convert_to(folder).error().code, "convert.unknown_pre_tokenizer");
  ConvertOptions o{.source = folder, .target = target(), .pre_tokenizer = "qwen2"};
  EXPECT_TRUE(convert(o));
  fs::remove(target());

  for (const json& merges : {json({"a"}), json({{"a", "b", "c"}}), json({1, 2}), json("a b")}) {
    t = read_json(kGolden / "qwen2/tokenizer.json");
    t["model"]["merges"] = merges;
    write_json(folder / "tokenizer.json", t);
    EXPECT_EQ(convert_to(folder).error().code, "convert.bad_tokenizer") << merges;
  }
  t = read_json(kGolden / "qwen2/tokenizer.json");
  t["model"]["vocab"]["zzz"] = 320;
  write_json(folder / "tokenizer.json", t);
  EXPECT_EQ(convert_to(folder).error().code, "convert.bad_tokenizer");
  t["model"] = {{"type", "Unigram"}, {"vocab", json::array()}};
  write_json(folder / "tokenizer.json", t);
  EXPECT_EQ(convert_to(folder).error().code, "convert.unsupported_tokenizer");
  EXPECT_FALSE(fs::exists(target()));
}

TEST_F(ConvertTest, ValuesBeyondF16AreNotTurnedIntoInfinity) {
  const fs::path folder = copy_of("llama");
  auto source = checkpoint::Safetensors::open(folder);
  ASSERT_TRUE(source);
  std::vector<std::vector<std::byte>> data;
  std::vector<checkpoint::SafetensorsEntry> entries;
  for (const auto& t : source->tensors()) {
    auto& bytes = data.emplace_back(t.size_bytes);
    ASSERT_TRUE(source->read(t, bytes));
    if (t.name == "model.layers.1.mlp.up_proj.weight") reinterpret_cast<float*>(bytes.data())[77] = 70000.0f;
    entries.push_back({t.name, t.dtype, t.shape, bytes});
  }
  auto rewrite = [&] { ASSERT_TRUE(checkpoint::write_safetensors(folder / "model.safetensors", entries)); };
  rewrite();
  auto report = convert_to(folder, OutType::f16);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, "convert.too_large_for_f16");
  EXPECT_TRUE(convert_to(folder, OutType::bf16));
  fs::remove(target());
  for (size_t i = 0; i < entries.size(); ++i)
    if (entries[i].name == "model.layers.1.mlp.up_proj.weight") reinterpret_cast<float*>(data[i].data())[77] = NAN;
  rewrite();
  EXPECT_EQ(convert_to(folder, OutType::bf16).error().code, "convert.not_finite");
  EXPECT_FALSE(fs::exists(target()));
}

TEST_F(ConvertTest, AFailingDiskLeavesNothingBehind) {
  for (const char* point : {"file.open", "file.read", "file.write", "file.sync", "file.rename"}) {
    bool fired = true;
    int n = 0;
    for (; fired && n < 2000; n += n < 40 ? 1 : 37) {
      fault::Arm arm(point, static_cast<uint64_t>(n));
      auto report = convert_to(kGolden / "phi3-longrope", OutType::q8_0);
      fired = arm.fired();
      EXPECT_EQ(fired, !report) << point << " " << n;
      EXPECT_TRUE(!fired || fs::is_empty(folder_)) << point << " " << n;
      fs::remove(target());
    }
    EXPECT_FALSE(fired) << point << ": never got through";
  }
}

TEST_F(ConvertTest, ProgressEndsAtTheWhole) {
  ConvertOptions o{.source = kGolden / "phi3", .target = target()};
  uint64_t last = 0, total = 0;
  o.progress = [&](const ConvertProgress& p) {
    EXPECT_GT(p.done_bytes, last);
    last = p.done_bytes;
    total = p.total_bytes;
  };
  ASSERT_TRUE(convert(o));
  EXPECT_GT(total, 0u);
  EXPECT_EQ(last, total);
}

}  // namespace
}  // namespace watra::workshop
