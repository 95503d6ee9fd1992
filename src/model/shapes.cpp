// The shapes of well-known models, as their makers published them (config.json of each).
#include <algorithm>
#include <string>

#include "model/outline.h"

namespace watra::model {
namespace {

constexpr KnownShape biased(KnownShape s) {  // q, k and v have biases
  s.qkv_bias = true;
  return s;
}
constexpr KnownShape fused(KnownShape s) {  // q, k and v are one matrix
  s.fused_qkv = true;
  return s;
}
constexpr KnownShape ungated(KnownShape s) {
  s.gated = false;
  return s;
}
constexpr KnownShape windows(KnownShape s, int64_t window, int32_t pattern) {
  s.window = window;
  s.window_pattern = pattern;
  return s;
}

// name, label, aliases, architecture, layers, d_model, d_ff, heads, kv heads, d_head, vocabulary, context, tied
// embeddings, experts, experts used, d_ff of an expert
constexpr KnownShape kShapes[] = {
    // ---- up to 8 billion ----
    {"smollm2-135m", "SmolLM2 135M", "smollm2", "llama", 30, 576, 1536, 9, 3, 64, 49152, 8192, true},
    {"smollm2-1.7b", "SmolLM2 1.7B", "", "llama", 24, 2048, 8192, 32, 32, 64, 49152, 8192, true},
    {"llama-3.2-1b", "Llama 3.2 1B", "llama-1b", "llama", 16, 2048, 8192, 32, 8, 64, 128256, 131072, true},
    {"llama-3.2-3b", "Llama 3.2 3B", "llama-3b", "llama", 28, 3072, 8192, 24, 8, 128, 128256, 131072, true},
    {"llama-3.1-8b", "Llama 3.1 8B", "llama-3-8b llama-8b", "llama", 32, 4096, 14336, 32, 8, 128, 128256, 131072},
    {"llama-2-7b", "Llama 2 7B", "", "llama", 32, 4096, 11008, 32, 32, 128, 32000, 4096},
    biased(
        {"qwen2.5-0.5b", "Qwen2.5 0.5B", "qwen2.5-coder-0.5b", "qwen2", 24, 896, 4864, 14, 2, 64, 151936, 32768, true}),
    biased({"qwen2.5-1.5b", "Qwen2.5 1.5B", "qwen2.5-coder-1.5b", "qwen2", 28, 1536, 8960, 12, 2, 128, 151936, 32768,
            true}),
    biased({"qwen2.5-3b", "Qwen2.5 3B", "", "qwen2", 36, 2048, 11008, 16, 2, 128, 151936, 32768, true}),
    biased({"qwen2.5-7b", "Qwen2.5 7B", "qwen2.5-coder-7b", "qwen2", 28, 3584, 18944, 28, 4, 128, 152064, 131072}),
    {"qwen3-0.6b", "Qwen3 0.6B", "", "qwen3", 28, 1024, 3072, 16, 8, 128, 151936, 40960, true},
    {"qwen3-1.7b", "Qwen3 1.7B", "", "qwen3", 28, 2048, 6144, 16, 8, 128, 151936, 40960, true},
    {"qwen3-4b", "Qwen3 4B", "", "qwen3", 36, 2560, 9728, 32, 8, 128, 151936, 40960, true},
    {"qwen3-8b", "Qwen3 8B", "", "qwen3", 36, 4096, 12288, 32, 8, 128, 151936, 40960},
    {"mistral-7b", "Mistral 7B", "mistral-7b-v0.3", "llama", 32, 4096, 14336, 32, 8, 128, 32768, 32768},
    windows({"gemma-2-2b", "Gemma 2 2B", "gemma2-2b", "gemma2", 26, 2304, 9216, 8, 4, 256, 256000, 8192, true}, 4096,
            2),
    windows({"gemma-3-270m", "Gemma 3 270M", "gemma3-270m", "gemma3", 18, 640, 2048, 4, 1, 256, 262144, 32768, true},
            512, 6),
    windows({"gemma-3-1b", "Gemma 3 1B", "gemma3-1b", "gemma3", 26, 1152, 6912, 4, 1, 256, 262144, 32768, true}, 512,
            6),
    windows({"gemma-3-4b", "Gemma 3 4B", "gemma3-4b", "gemma3", 34, 2560, 10240, 8, 4, 256, 262208, 131072, true}, 1024,
            6),
    fused({"phi-3-mini", "Phi-3 mini 3.8B", "phi-3.5-mini", "phi3", 32, 3072, 8192, 32, 32, 96, 32064, 131072}),
    fused({"phi-4-mini", "Phi-4 mini 3.8B", "", "phi3", 32, 3072, 8192, 24, 8, 128, 200064, 131072, true}),
    // ---- 9 to 35 billion ----
    windows({"gemma-2-9b", "Gemma 2 9B", "gemma2-9b", "gemma2", 42, 3584, 14336, 16, 8, 256, 256000, 8192, true}, 4096,
            2),
    {"bielik-11b", "Bielik 11B", "bielik-11b-v2.3", "llama", 50, 4096, 14336, 32, 8, 128, 32128, 32768},
    {"mistral-nemo-12b", "Mistral Nemo 12B", "mistral-nemo", "llama", 40, 5120, 14336, 32, 8, 128, 131072, 131072},
    windows({"gemma-3-12b", "Gemma 3 12B", "gemma3-12b", "gemma3", 48, 3840, 15360, 16, 8, 256, 262208, 131072, true},
            1024, 6),
    {"llama-2-13b", "Llama 2 13B", "", "llama", 40, 5120, 13824, 40, 40, 128, 32000, 4096},
    fused({"phi-4", "Phi-4 14B", "phi-4-14b", "phi3", 40, 5120, 17920, 40, 10, 128, 100352, 16384}),
    biased({"qwen2.5-14b", "Qwen2.5 14B", "", "qwen2", 48, 5120, 13824, 40, 8, 128, 152064, 131072}),
    {"qwen3-14b", "Qwen3 14B", "", "qwen3", 40, 5120, 17408, 40, 8, 128, 151936, 40960},
    {"mistral-small-24b", "Mistral Small 24B", "mistral-small", "llama", 40, 5120, 32768, 32, 8, 128, 131072, 32768},
    windows({"gemma-2-27b", "Gemma 2 27B", "gemma2-27b", "gemma2", 46, 4608, 36864, 32, 16, 128, 256000, 8192, true},
            4096, 2),
    windows({"gemma-3-27b", "Gemma 3 27B", "gemma3-27b", "gemma3", 62, 5376, 21504, 32, 16, 128, 262208, 131072, true},
            1024, 6),
    {"qwen3-30b-a3b", "Qwen3 30B-A3B", "", "qwen3moe", 48, 2048, 0, 32, 4, 128, 151936, 40960, false, 128, 8, 768},
    biased({"qwen2.5-32b", "Qwen2.5 32B", "qwq-32b qwen2.5-coder-32b", "qwen2", 64, 5120, 27648, 40, 8, 128, 152064,
            131072}),
    {"qwen3-32b", "Qwen3 32B", "", "qwen3", 64, 5120, 25600, 64, 8, 128, 151936, 40960},
    {"mixtral-8x7b", "Mixtral 8x7B", "", "llama", 32, 4096, 0, 32, 8, 128, 32000, 32768, false, 8, 2, 14336},
    // ---- large ----
    {"llama-3.3-70b", "Llama 3.3 70B", "llama-3.1-70b llama-3-70b llama-70b hermes-4-70b hermes-3-70b 70b", "llama", 80,
     8192, 28672, 64, 8, 128, 128256, 131072},
    {"llama-2-70b", "Llama 2 70B", "", "llama", 80, 8192, 28672, 64, 8, 128, 32000, 4096},
    biased(
        {"qwen2.5-72b", "Qwen2.5 72B", "qwen-72b qwen2-72b 72b", "qwen2", 80, 8192, 29568, 64, 8, 128, 152064, 131072}),
    {"command-r-plus-104b", "Command R+ 104B", "command-r-plus", "command-r", 64, 12288, 33792, 96, 8, 128, 256000,
     131072, true},
    {"mistral-large-123b", "Mistral Large 123B", "mistral-large 123b", "llama", 88, 12288, 28672, 96, 8, 128, 32768,
     131072},
    fused({"glm-130b", "GLM-130B", "", "glm", 70, 12288, 32768, 96, 96, 128, 150528, 2048, true}),
    {"mixtral-8x22b", "Mixtral 8x22B", "", "llama", 56, 6144, 0, 48, 8, 128, 32768, 65536, false, 8, 2, 16384},
    ungated(fused({"falcon-180b", "Falcon 180B", "falcon", "falcon", 80, 14848, 59392, 232, 8, 64, 65024, 2048})),
    {"qwen3-235b-a22b", "Qwen3 235B-A22B", "", "qwen3moe", 94, 4096, 0, 64, 4, 128, 151936, 40960, false, 128, 8, 1536},
    {"grok-2", "Grok-2", "grok2", "grok", 64, 8192, 32768, 64, 8, 128, 131072, 131072, false, 8, 2, 16384},
    {"grok-1", "Grok-1", "", "grok", 64, 6144, 0, 48, 8, 128, 131072, 8192, false, 8, 2, 32768},
    {"llama-3.1-405b", "Llama 3.1 405B", "llama-405b hermes-3-405b hermes-4-405b 405b", "llama", 126, 16384, 53248, 128,
     8, 128, 128256, 131072},
};

std::string normal(std::string_view name) {
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return c == '_' || c == ' ' ? '-' : static_cast<char>(std::tolower(c)); });
  for (std::string_view end : {"-instruct", "-it", "-chat"})
    if (out.ends_with(end)) out.resize(out.size() - end.size());
  return out;
}

bool is_called(const KnownShape& s, const std::string& name) {
  if (s.name == name) return true;
  const std::string padded = " " + std::string(s.aliases) + " ";
  return padded.find(" " + name + " ") != std::string::npos;
}

}  // namespace

std::span<const KnownShape> well_known_shapes() { return kShapes; }

Result<const KnownShape*> find_shape(std::string_view name) {
  const std::string wanted = normal(name);
  if (!wanted.empty())
    for (const KnownShape& s : kShapes)
      if (is_called(s, wanted)) return &s;
  // Those of the same family, by what stands before the first '-'; all when there is none.
  const std::string family = wanted.substr(0, wanted.find('-'));
  std::string close, all;
  for (const KnownShape& s : kShapes) {
    if (!family.empty() && s.name.starts_with(family)) close += (close.empty() ? "" : ", ") + std::string(s.name);
    all += (all.empty() ? "" : ", ") + std::string(s.name);
  }
  return fail("model.unknown_shape", fmt::format("'{}' is not a shape Watra knows", name),
              "one of " + (close.empty() ? all : close));
}

Result<QuantMix> parse_quant_mix(std::string_view name) {
  if (const auto mix = quant_mix_from_name(name)) return *mix;
  std::string known;
  for (const auto& m : quant_mixes()) known += (known.empty() ? "" : ", ") + std::string(m.name);
  return fail("model.unknown_quant", fmt::format("'{}' is not a quantization Watra knows", name), "one of " + known);
}

}  // namespace watra::model
