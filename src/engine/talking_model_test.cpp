#include "engine/talking_model_test.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <random>

#include "base/must_test.h"
#include "checkpoint/gguf_writer.h"

namespace watra::engine {
namespace {

using checkpoint::MetaValue;

constexpr int64_t kModel = 32, kFeedForward = 64, kHeads = 4, kKvHeads = 2, kHead = 16;

void write_model(const fs::path& path, int n_layers) {
  checkpoint::Metadata meta;
  const auto number = [&](const char* key, int64_t v) { meta.set(key, MetaValue::of_u32(static_cast<uint32_t>(v))); };
  meta.set("general.architecture", MetaValue::of_string("llama"));
  meta.set("general.name", MetaValue::of_string("talking"));
  number("llama.block_count", n_layers);
  number("llama.context_length", 4096);
  number("llama.embedding_length", kModel);
  number("llama.feed_forward_length", kFeedForward);
  number("llama.attention.head_count", kHeads);
  number("llama.attention.head_count_kv", kKvHeads);
  number("llama.attention.key_length", kHead);
  number("llama.attention.value_length", kHead);
  meta.set("llama.attention.layer_norm_rms_epsilon", MetaValue::of_f32(1e-5f));
  meta.set("llama.rope.freq_base", MetaValue::of_f32(10000.0f));
  meta.set("tokenizer.ggml.model", MetaValue::of_string("no_vocab"));

  auto writer = must(checkpoint::GgufWriter::create(path, std::move(meta)));
  struct Tensor {
    std::string name;
    tensor::Shape shape;
    double scale;  // standard deviation; 0 = all ones
  };
  const double in = 1.5 / std::sqrt(kModel);
  std::vector<Tensor> tensors = {{"token_embd.weight", {kTalkingVocab, kModel}, 1.0}};
  for (int i = 0; i < n_layers; ++i) {
    const std::string p = fmt::format("blk.{}.", i);
    tensors.insert(tensors.end(), {{p + "attn_norm.weight", {kModel}, 0},
                                   {p + "attn_q.weight", {kHeads * kHead, kModel}, in},
                                   {p + "attn_k.weight", {kKvHeads * kHead, kModel}, in},
                                   {p + "attn_v.weight", {kKvHeads * kHead, kModel}, in},
                                   {p + "attn_output.weight", {kModel, kHeads * kHead}, in},
                                   {p + "ffn_norm.weight", {kModel}, 0},
                                   {p + "ffn_gate.weight", {kFeedForward, kModel}, in},
                                   {p + "ffn_up.weight", {kFeedForward, kModel}, in},
                                   {p + "ffn_down.weight", {kModel, kFeedForward}, in}});
  }
  tensors.push_back({"output_norm.weight", {kModel}, 0});
  tensors.push_back({"output.weight", {kTalkingVocab, kModel}, in});
  for (const auto& t : tensors) must(writer.declare(t.name, tensor::DType::f32, t.shape));
  std::mt19937 rng(7);
  for (const auto& t : tensors) {
    std::normal_distribution<float> gauss(0, static_cast<float>(std::max(t.scale, 1e-9)));
    std::vector<float> weights(static_cast<size_t>(t.shape.rows() * t.shape.cols()));
    for (float& w : weights) w = t.scale == 0 ? 1.0f : gauss(rng);
    must(writer.write(std::as_bytes(std::span(weights))));
  }
  must(writer.finish());
}

std::shared_ptr<const text::Tokenizer> talking_tokenizer() {
  text::VocabSpec spec;
  spec.kind = text::VocabKind::spm;
  const auto add = [&](std::string piece, text::TokenType type) {
    spec.pieces.push_back(std::move(piece));
    spec.types.push_back(type);
    spec.scores.push_back(-static_cast<float>(spec.pieces.size()));
  };
  add("<unk>", text::TokenType::unknown);
  add("<s>", text::TokenType::control);
  add("</s>", text::TokenType::control);
  for (int b = 0; b < 256; ++b) add(fmt::format("<0x{:02X}>", b), text::TokenType::byte);
  while (static_cast<int64_t>(spec.pieces.size()) < kTalkingVocab)
    add(fmt::format("\u2581a-rather-long-word-{}", spec.pieces.size()), text::TokenType::normal);
  spec.eos = kTalkingEnd;
  spec.end_of_generation = {kTalkingEnd};
  return must(text::Tokenizer::create(std::move(spec)));
}

}  // namespace

LoadedModel talking_model(const TalkingModelOptions& o) {
  const fs::path path = fs::temp_directory_path() / fmt::format("watra-talking-{}-{}.gguf", ::getpid(), o.n_layers);
  write_model(path, o.n_layers);
  LoadedModel m = must(load_model(path, {.threads = o.threads,
                                         .n_ctx = o.n_ctx,
                                         .kv_positions = o.kv_positions,
                                         .max_rows = o.max_rows,
                                         .max_logit_rows = o.max_logit_rows,
                                         .isa = o.isa,
                                         .kv_types = o.kv_types,
                                         .kv_store = o.kv_store}));
  m.tokenizer = talking_tokenizer();
  fs::remove(path);  // weights are in memory; the open file stays readable for root_key()
  return m;
}

}  // namespace watra::engine
