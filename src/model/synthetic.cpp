#include "model/synthetic.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "tensor/blocks.h"
#include "tensor/half.h"
#include "tensor/interleave.h"
#include "tensor/quantize.h"

namespace watra::model {
namespace {

using tensor::DType;

struct SyntheticShape {
  std::string_view name;
  int64_t n_layers, d_model, d_ff, n_heads, n_kv_heads, d_head, n_vocab;
  float rope_theta;
  bool tied;  // one table embeds and predicts
};

// The published shapes. "-layer" is one layer, with a vocabulary small enough not to matter beside it.
constexpr SyntheticShape kShapes[] = {
    {"smollm2-135m", 30, 576, 1536, 9, 3, 64, 49152, 100000.0f, true},
    {"qwen2.5-1.5b", 28, 1536, 8960, 12, 2, 128, 151936, 1000000.0f, true},
    {"llama-1b", 16, 2048, 8192, 32, 8, 64, 128256, 500000.0f, true},
    {"llama-3b", 28, 3072, 8192, 24, 8, 128, 128256, 500000.0f, true},
    {"llama-8b", 32, 4096, 14336, 32, 8, 128, 128256, 500000.0f, false},
    {"llama-70b-layer", 1, 8192, 28672, 64, 8, 128, 4096, 500000.0f, false},
    {"llama-405b-layer", 1, 16384, 53248, 128, 8, 128, 4096, 500000.0f, false},
};

// A linear congruential generator: cheap, and the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}
  uint64_t bits() { return state_ = state_ * 6364136223846793005u + 1442695040888963407u; }
  double uniform() { return (static_cast<double>(bits() >> 11) + 0.5) / 9007199254740992.0; }
  double gaussian() {  // Box-Muller
    const double length = std::sqrt(-2 * std::log(uniform()));
    return length * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  uint64_t state_;
};

struct Quant {
  DType base;
  DType raised;  // attn_v and ffn_down of the layers llama.cpp's mixes give more bits, and the output matrix
  bool is_mix;
};

// Types that activations are kept in have no matrices; IQ1 to IQ3 cannot be quantized to, but random bits will do.
bool can_make(DType t) {
  return (tensor::can_quantize(t) || tensor::can_interleave(t)) && t != DType::q8_1 && t != DType::q8_k;
}

Result<Quant> parse_quant(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower == "q4_k_m") return Quant{DType::q4_k, DType::q6_k, true};
  if (lower == "q5_k_m") return Quant{DType::q5_k, DType::q6_k, true};
  const auto dtype = tensor::dtype_from_name(lower);
  if (dtype && can_make(*dtype)) return Quant{*dtype, *dtype, false};
  std::string known = "q4_k_m, q5_k_m";
  for (const auto& t : tensor::all_dtypes())
    if (can_make(t.dtype)) known += ", " + std::string(t.name);
  return fail("model.unknown_quant", fmt::format("'{}' is not a format synthetic models can be made in", name),
              "one of " + known);
}

// llama.cpp's rule for the layers whose attn_v and ffn_down get more bits.
bool gets_more_bits(int64_t i, int64_t n) { return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2; }

checkpoint::MetaValue number(uint64_t v) { return {checkpoint::MetaType::u32, v}; }
checkpoint::MetaValue real(double v) { return {checkpoint::MetaType::f32, v}; }
checkpoint::MetaValue words(std::string v) { return {checkpoint::MetaType::string, std::move(v)}; }

}  // namespace

Result<checkpoint::Checkpoint> synthetic_checkpoint(std::string_view spec) {
  const size_t colon = spec.find(':');
  const std::string_view name = spec.substr(0, colon);
  const auto* shape =
      std::find_if(std::begin(kShapes), std::end(kShapes), [&](const SyntheticShape& s) { return s.name == name; });
  if (shape == std::end(kShapes)) {
    std::string known;
    for (const auto& s : kShapes) known += fmt::format("{}{}", known.empty() ? "" : ", ", s.name);
    return fail("model.unknown_shape", fmt::format("'{}' is not a shape Watra knows", name),
                "synthetic:SHAPE:QUANT with one of " + known);
  }
  WATRA_ASSIGN(const Quant quant, parse_quant(colon == std::string_view::npos ? "q8_0" : spec.substr(colon + 1)));
  const SyntheticShape& s = *shape;

  checkpoint::Metadata meta;
  meta.set("general.architecture", words("llama"));
  meta.set("general.name", words(fmt::format("synthetic {}", spec)));
  meta.set("llama.block_count", number(static_cast<uint64_t>(s.n_layers)));
  meta.set("llama.context_length", number(131072));
  meta.set("llama.embedding_length", number(static_cast<uint64_t>(s.d_model)));
  meta.set("llama.feed_forward_length", number(static_cast<uint64_t>(s.d_ff)));
  meta.set("llama.attention.head_count", number(static_cast<uint64_t>(s.n_heads)));
  meta.set("llama.attention.head_count_kv", number(static_cast<uint64_t>(s.n_kv_heads)));
  meta.set("llama.attention.key_length", number(static_cast<uint64_t>(s.d_head)));
  meta.set("llama.attention.value_length", number(static_cast<uint64_t>(s.d_head)));
  meta.set("llama.attention.layer_norm_rms_epsilon", real(1e-5));
  meta.set("llama.rope.freq_base", real(s.rope_theta));
  meta.set("llama.vocab_size", number(static_cast<uint64_t>(s.n_vocab)));
  meta.set("tokenizer.ggml.model", words("no_vocab"));

  std::vector<checkpoint::TensorInfo> tensors;
  uint64_t offset = 0;
  const auto add = [&](std::string tensor_name, DType dtype, tensor::Shape dims) {
    const auto block = static_cast<int64_t>(tensor::traits(dtype).block_elements);
    if (dims.cols() % block) dtype = DType::q8_0;  // as quantizers do with rows that are not whole super-blocks
    const uint64_t bytes = tensor::row_bytes(dtype, dims.cols()) * static_cast<uint64_t>(dims.rows());
    tensors.push_back({std::move(tensor_name), dtype, dims, 0, offset, bytes});
    offset += (bytes + 31) / 32 * 32;
  };
  const int64_t q = s.n_heads * s.d_head, kv = s.n_kv_heads * s.d_head;
  add("token_embd.weight", s.tied ? quant.raised : quant.base, {s.n_vocab, s.d_model});
  for (int64_t i = 0; i < s.n_layers; ++i) {
    const std::string p = fmt::format("blk.{}.", i);
    const DType more = quant.is_mix && gets_more_bits(i, s.n_layers) ? quant.raised : quant.base;
    add(p + "attn_norm.weight", DType::f32, {s.d_model});
    add(p + "attn_q.weight", quant.base, {q, s.d_model});
    add(p + "attn_k.weight", quant.base, {kv, s.d_model});
    add(p + "attn_v.weight", more, {kv, s.d_model});
    add(p + "attn_output.weight", quant.base, {s.d_model, q});
    add(p + "ffn_norm.weight", DType::f32, {s.d_model});
    add(p + "ffn_gate.weight", quant.base, {s.d_ff, s.d_model});
    add(p + "ffn_up.weight", quant.base, {s.d_ff, s.d_model});
    add(p + "ffn_down.weight", more, {s.d_model, s.d_ff});
  }
  add("output_norm.weight", DType::f32, {s.d_model});
  if (!s.tied) add("output.weight", quant.raised, {s.n_vocab, s.d_model});
  return checkpoint::Checkpoint::describe(std::move(meta), std::move(tensors));
}

namespace {

void set_scale(DType dtype, std::byte* block, uint16_t half) {
  if (dtype != DType::iq1_m) {
    std::memcpy(block + tensor::interleave_plan(dtype).half_offset, &half, sizeof(half));
    return;
  }
  tensor::BlockIQ1M b;  // four bits of the half on top of each word
  std::memcpy(&b, block, sizeof(b));
  for (int i = 0; i < 4; ++i)
    b.scales[i] = static_cast<uint16_t>((b.scales[i] & 0x0fff) | (half >> (4 * i) & 15) << 12);
  std::memcpy(block, &b, sizeof(b));
}

// Random bits for a type of which there is no quantizer, with the scale of a block that gives weights the deviation
// `sigma` on average.
void fill_codebook(DType dtype, std::span<std::byte> blocks, Random& random, double sigma) {
  const auto& t = tensor::traits(dtype);
  for (auto& b : blocks) b = static_cast<std::byte>(random.bits() >> 56);
  const auto set_scales = [&](uint16_t half) {
    for (size_t at = 0; at < blocks.size(); at += t.block_bytes) set_scale(dtype, &blocks[at], half);
  };
  set_scales(tensor::f32_to_f16(1.0f));
  std::vector<float> weights(blocks.size() / t.block_bytes * t.block_elements);
  tensor::dequantize_row(dtype, blocks.data(), weights.data(), static_cast<int64_t>(weights.size()));
  double squares = 0;
  for (const float w : weights) squares += static_cast<double>(w) * w;
  set_scales(tensor::f32_to_f16(static_cast<float>(sigma / std::sqrt(squares / static_cast<double>(weights.size())))));
}

}  // namespace

Status fill_synthetic(DType dtype, std::span<std::byte> out, uint64_t seed) {
  const auto& t = tensor::traits(dtype);
  const size_t n_blocks = out.size() / t.block_bytes;
  const size_t pattern_blocks = std::min<size_t>(n_blocks, std::max<size_t>(1, 65536 / t.block_elements));
  Random random(seed);
  constexpr double kSigma = 0.02;  // what transformers are initialized with and stay close to
  std::vector<std::byte> pattern(pattern_blocks * t.block_bytes);
  if (tensor::can_quantize(dtype)) {
    std::vector<float> weights(pattern_blocks * t.block_elements);
    for (float& w : weights) w = static_cast<float>(kSigma * random.gaussian());
    tensor::quantize_row(dtype, weights.data(), pattern.data(), static_cast<int64_t>(weights.size()));
  } else {
    fill_codebook(dtype, pattern, random, kSigma);
  }
  for (size_t at = 0; at < out.size();) {
    const size_t n = std::min(pattern.size(), out.size() - at);
    std::memcpy(out.data() + at, pattern.data(), n);
    at += n;
  }
  return {};
}

}  // namespace watra::model
