#include "workshop/convert/family.h"

#include <cmath>
#include <numbers>

namespace watra::workshop {

using checkpoint::MetaType;
using checkpoint::MetaValue;
using tensor::Shape;

MetaValue meta_u32(uint64_t v) { return {MetaType::u32, v}; }
MetaValue meta_i32(int64_t v) { return {MetaType::i32, v}; }
MetaValue meta_f32(double v) { return {MetaType::f32, static_cast<double>(static_cast<float>(v))}; }
MetaValue meta_bool(bool v) { return {MetaType::boolean, v}; }
MetaValue meta_string(std::string v) { return {MetaType::string, std::move(v)}; }

Result<FamilyPlan> plan_family(const HfConfig& config) {
  switch (config.family) {
    case HfFamily::llama:
    case HfFamily::mistral:
      return plan_llama(config);
    case HfFamily::qwen2:
    case HfFamily::qwen3:
      return plan_qwen(config);
    case HfFamily::gemma2:
    case HfFamily::gemma3:
      return plan_gemma(config);
    case HfFamily::phi3:
      return plan_phi3(config);
    case HfFamily::bert:
      return plan_bert(config);
    case HfFamily::nomic_bert:
      return plan_nomic_bert(config);
  }
  return fail("convert.unknown_architecture", config.architecture);
}

PlanBuilder::PlanBuilder(const HfConfig& config, std::string architecture) : config_(config) {
  plan_.architecture = std::move(architecture);
}

void PlanBuilder::set(const char* key, MetaValue value) {
  plan_.metadata.set(plan_.architecture + "." + key, std::move(value));
}

void PlanBuilder::set_shape() {
  set("block_count", meta_u32(config_.n_layers));
  set("context_length", meta_u32(config_.n_ctx));
  set("embedding_length", meta_u32(config_.d_model));
  set("feed_forward_length", meta_u32(config_.d_ff));
  set("attention.head_count", meta_u32(config_.n_heads));
  set("attention.head_count_kv", meta_u32(config_.n_kv_heads));
  set(is_encoder(config_.family) ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
      meta_f32(config_.norm_eps));
  if (config_.pooling_type) set("pooling_type", meta_u32(*config_.pooling_type));
}

void PlanBuilder::set_head_lengths() {
  set("attention.key_length", meta_u32(config_.d_head));
  set("attention.value_length", meta_u32(config_.d_head));
}

namespace {

// Divisors of the rotary frequencies of Llama 3.1 ("llama3" in transformers' rope utilities): long waves are slowed by
// the factor, short ones left alone, those between interpolated. Float32 as the published files were computed.
std::vector<float> llama3_factors(const HfConfig& c) {
  const RopeScaling& r = c.rope;
  const double low_wavelength = static_cast<double>(r.original_context) / r.low_freq_factor;
  const double high_wavelength = static_cast<double>(r.original_context) / r.high_freq_factor;
  std::vector<float> factors;
  for (int64_t i = 0; i < c.d_head; i += 2) {
    const float frequency =
        1.0f / std::pow(static_cast<float>(c.rope_theta), static_cast<float>(i) / static_cast<float>(c.d_head));
    const float wavelength = static_cast<float>(2 * std::numbers::pi) / frequency;
    if (wavelength < high_wavelength) {
      factors.push_back(1.0f);
    } else if (wavelength > low_wavelength) {
      factors.push_back(static_cast<float>(r.factor));
    } else {
      const float smooth =
          (static_cast<float>(r.original_context) / wavelength - static_cast<float>(r.low_freq_factor)) /
          static_cast<float>(r.high_freq_factor - r.low_freq_factor);
      factors.push_back(1.0f / ((1.0f - smooth) / static_cast<float>(r.factor) + smooth));
    }
  }
  return factors;
}

}  // namespace

Status PlanBuilder::set_rope(bool with_llama3) {
  const RopeScaling& rope = config_.rope;
  set("rope.freq_base", meta_f32(config_.rope_theta));
  if (config_.partial_rotary_factor != 1)
    return fail("convert.unsupported_config",
                fmt::format("config.json: partial_rotary_factor {}: {} in GGUF rotates whole heads",
                            config_.partial_rotary_factor, plan_.architecture));
  switch (rope.kind) {
    case RopeScaling::Kind::none:
      break;
    case RopeScaling::Kind::linear:
      set("rope.scaling.type", meta_string("linear"));
      set("rope.scaling.factor", meta_f32(rope.factor));
      break;
    case RopeScaling::Kind::yarn:
      set("rope.scaling.type", meta_string("yarn"));
      set("rope.scaling.factor", meta_f32(rope.factor));
      set("rope.scaling.original_context_length", meta_u32(rope.original_context));
      if (rope.extrapolation_factor) set("rope.scaling.yarn_ext_factor", meta_f32(*rope.extrapolation_factor));
      if (rope.attention_factor) set("rope.scaling.yarn_attn_factor", meta_f32(*rope.attention_factor));
      if (rope.beta_fast) set("rope.scaling.yarn_beta_fast", meta_f32(*rope.beta_fast));
      if (rope.beta_slow) set("rope.scaling.yarn_beta_slow", meta_f32(*rope.beta_slow));
      break;
    case RopeScaling::Kind::llama3: {
      if (!with_llama3)
        return fail("convert.unsupported_config",
                    fmt::format("config.json: llama3 rope scaling is not known for {} in GGUF", plan_.architecture));
      PlannedTensor t;
      t.name = "rope_freqs.weight";
      t.values = llama3_factors(config_);
      t.shape = Shape{static_cast<int64_t>(t.values.size())};
      add(std::move(t));
      break;
    }
    case RopeScaling::Kind::longrope:
      return fail("convert.unsupported_config",
                  fmt::format("config.json: longrope is not known for {} in GGUF", plan_.architecture));
  }
  return {};
}

PlannedTensor& PlanBuilder::add(PlannedTensor tensor) { return plan_.tensors.emplace_back(std::move(tensor)); }

void PlanBuilder::embedding() {
  PlannedTensor t;
  t.name = "token_embd.weight";
  t.source = "model.embed_tokens.weight";
  t.shape = Shape{config_.n_vocab, config_.d_model};
  add(std::move(t));
}

void PlanBuilder::output(Change norm_change) {
  PlannedTensor norm;
  norm.name = "output_norm.weight";
  norm.source = "model.norm.weight";
  norm.shape = Shape{config_.d_model};
  norm.change = norm_change;
  add(std::move(norm));
  if (config_.tied_embeddings) return;
  PlannedTensor t;
  t.name = "output.weight";
  t.source = "lm_head.weight";
  t.shape = Shape{config_.n_vocab, config_.d_model};
  add(std::move(t));
}

PlannedTensor& PlanBuilder::layer(int64_t layer, const char* suffix, const char* source, Shape shape) {
  PlannedTensor t;
  t.name = fmt::format("blk.{}.{}", layer, suffix);
  t.source = fmt::format("model.layers.{}.{}", layer, source);
  t.shape = shape;
  return add(std::move(t));
}

void PlanBuilder::attention(int64_t n, bool rope_pairs) {
  const HfConfig& c = config_;
  const int64_t q_rows = c.n_heads * c.d_head, kv_rows = c.n_kv_heads * c.d_head;
  struct Projection {
    const char *weight, *bias, *source_weight, *source_bias;
    int64_t rows;
    bool rotated;
  };
  for (const Projection& p : {
           Projection{"attn_q.weight", "attn_q.bias", "self_attn.q_proj.weight", "self_attn.q_proj.bias", q_rows, true},
           Projection{"attn_k.weight", "attn_k.bias", "self_attn.k_proj.weight", "self_attn.k_proj.bias", kv_rows,
                      true},
           Projection{"attn_v.weight", "attn_v.bias", "self_attn.v_proj.weight", "self_attn.v_proj.bias", kv_rows,
                      false},
       }) {
    auto mark = [&](PlannedTensor& t) {
      if (!p.rotated || !rope_pairs) return;
      t.change = Change::rope_pairs;
      t.head_rows = c.d_head;
    };
    mark(layer(n, p.weight, p.source_weight, Shape{p.rows, c.d_model}));
    PlannedTensor& bias = layer(n, p.bias, p.source_bias, Shape{p.rows});
    bias.optional = true;
    mark(bias);
  }
  layer(n, "attn_output.weight", "self_attn.o_proj.weight", Shape{c.d_model, q_rows});
  layer(n, "attn_output.bias", "self_attn.o_proj.bias", Shape{c.d_model}).optional = true;
}

void PlanBuilder::gated_ffn(int64_t n) {
  const HfConfig& c = config_;
  layer(n, "ffn_gate.weight", "mlp.gate_proj.weight", Shape{c.d_ff, c.d_model});
  layer(n, "ffn_up.weight", "mlp.up_proj.weight", Shape{c.d_ff, c.d_model});
  layer(n, "ffn_down.weight", "mlp.down_proj.weight", Shape{c.d_model, c.d_ff});
}

std::string canonical_tensor_name(std::string name) {
  constexpr std::string_view wrapper = "language_model.";
  if (auto at = name.find(wrapper); at != std::string::npos) name.erase(at, wrapper.size());
  for (std::string_view encoder : {"bert.", "nomic_bert."})
    if (name.starts_with(encoder)) name.erase(0, encoder.size());
  return name;
}

bool is_left_out(const std::string& name, const HfConfig& config) {
  auto ends = [&](std::string_view tail) { return name.ends_with(tail); };
  if (ends(".rotary_emb.inv_freq") || ends(".attention.masked_bias") || ends(".attention.bias")) return true;
  if (is_encoder(config.family) && (ends("position_ids") || ends("token_type_ids") || name.starts_with("pooler.")))
    return true;
  if (config.tied_embeddings && name == "lm_head.weight") return true;
  if (!config.is_multimodal) return false;
  for (std::string_view head :
       {"vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."})
    if (name.starts_with(head)) return true;
  return false;
}

}  // namespace watra::workshop
