// HfConfig: what a Hugging Face config.json says about a network, in Watra's terms, checked.
//
// Both spellings are read: rope_theta + rope_scaling (published models) and rope_parameters (newer transformers).
// Missing keys take the default of the model type's configuration class in transformers. For
// Gemma3ForConditionalGeneration the values are those of text_config.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace watra::workshop {

enum class HfFamily : uint8_t { llama, mistral, qwen2, qwen3, gemma2, gemma3, phi3, bert, nomic_bert };
constexpr bool is_encoder(HfFamily f) { return f == HfFamily::bert || f == HfFamily::nomic_bert; }

struct RopeScaling {
  enum class Kind : uint8_t { none, linear, llama3, yarn, longrope };
  Kind kind = Kind::none;
  double factor = 1;
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  int64_t original_context = 0;                      // llama3, yarn, longrope
  std::optional<double> attention_factor, extrapolation_factor, beta_fast,
      beta_slow;                                   // yarn; attention_factor: longrope too
  std::vector<float> long_factors, short_factors;  // longrope
};

struct HfConfig {
  HfFamily family = HfFamily::llama;
  std::string architecture;  // "LlamaForCausalLM"
  bool is_multimodal = false;

  int64_t n_layers = 0, d_model = 0, d_ff = 0, n_heads = 0, n_kv_heads = 0, d_head = 0, n_vocab = 0, n_ctx = 0;
  bool d_head_given = false;  // config.json has head_dim
  double norm_eps = 0;
  bool tied_embeddings = false;

  double rope_theta = 10000, rope_theta_local = 10000;
  double partial_rotary_factor = 1;
  RopeScaling rope;

  std::optional<int64_t> sliding_window;  // on the layers that have one
  int64_t sliding_window_period =
      1;  // layers whose number is a multiple of it (from 1) see everything; 1 = pattern of the family

  std::optional<double> attention_softcap, final_softcap;
  int64_t query_pre_attention_scalar = 0;  // Gemma; 0 elsewhere

  int64_t n_token_types = 0;             // encoders
  std::optional<uint32_t> pooling_type;  // GGUF's number, where modules.json (sentence-transformers) has a pooling

  std::map<std::string, int64_t>
      token_ids;  // "bos" -> id, of the *_token_id keys that hold one id or a list (its first)
};

Result<HfConfig> load_hf_config(const fs::path& folder);

}  // namespace watra::workshop
