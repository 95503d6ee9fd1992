// Encoders: BERT, and nomic's with rotary positions and a gated MLP. Tables that are added row by row stay in F32.
#include "workshop/convert/family.h"

namespace watra::workshop {
namespace {

using tensor::Shape;

void add(PlanBuilder& b, std::string name, std::string source, Shape shape, bool as_f32 = false) {
  PlannedTensor t;
  t.name = std::move(name);
  t.source = std::move(source);
  t.shape = shape;
  t.as_f32 = as_f32;
  b.add(std::move(t));
}

// Weight and bias.
void add_both(PlanBuilder& b, const std::string& name, const std::string& source, Shape weight) {
  add(b, name + ".weight", source + ".weight", weight);
  add(b, name + ".bias", source + ".bias", Shape{weight[0]});
}

void set_all(PlanBuilder& b) {
  b.set_shape();
  b.set("attention.causal", meta_bool(false));
}

// Word pieces, positions where they are learned, types, and the norm on their sum.
void embeddings(PlanBuilder& b, bool positions) {
  const HfConfig& c = b.config();
  add(b, "token_embd.weight", "embeddings.word_embeddings.weight", {c.n_vocab, c.d_model});
  if (positions) add(b, "position_embd.weight", "embeddings.position_embeddings.weight", {c.n_ctx, c.d_model}, true);
  add(b, "token_types.weight", "embeddings.token_type_embeddings.weight", {c.n_token_types, c.d_model}, true);
  add_both(b, "token_embd_norm", "embeddings.LayerNorm", {c.d_model});
}

}  // namespace

Result<FamilyPlan> plan_bert(const HfConfig& c) {
  PlanBuilder b(c, "bert");
  set_all(b);
  embeddings(b, true);
  const int64_t d = c.d_model, heads = c.n_heads * c.d_head;
  for (int64_t n = 0; n < c.n_layers; ++n) {
    const std::string to = fmt::format("blk.{}.", n), from = fmt::format("encoder.layer.{}.", n);
    add_both(b, to + "attn_q", from + "attention.self.query", {heads, d});
    add_both(b, to + "attn_k", from + "attention.self.key", {heads, d});
    add_both(b, to + "attn_v", from + "attention.self.value", {heads, d});
    add_both(b, to + "attn_output", from + "attention.output.dense", {d, heads});
    add_both(b, to + "attn_output_norm", from + "attention.output.LayerNorm", {d});
    add_both(b, to + "ffn_up", from + "intermediate.dense", {c.d_ff, d});
    add_both(b, to + "ffn_down", from + "output.dense", {d, c.d_ff});
    add_both(b, to + "layer_output_norm", from + "output.LayerNorm", {d});
  }
  return b.take();
}

Result<FamilyPlan> plan_nomic_bert(const HfConfig& c) {
  PlanBuilder b(c, "nomic-bert");
  set_all(b);
  WATRA_TRY(b.set_rope(/*with_llama3=*/false));
  embeddings(b, false);
  const int64_t d = c.d_model, heads = c.n_heads * c.d_head;
  for (int64_t n = 0; n < c.n_layers; ++n) {
    const std::string to = fmt::format("blk.{}.", n), from = fmt::format("layers.{}.", n);
    add(b, to + "attn_q.weight", from + "self_attn.q_proj.weight", {heads, d});
    add(b, to + "attn_k.weight", from + "self_attn.k_proj.weight", {heads, d});
    add(b, to + "attn_v.weight", from + "self_attn.v_proj.weight", {heads, d});
    add(b, to + "attn_output.weight", from + "self_attn.o_proj.weight", {d, heads});
    add_both(b, to + "attn_output_norm", from + "post_attention_layernorm", {d});
    add(b, to + "ffn_gate.weight", from + "mlp.gate_proj.weight", {c.d_ff, d});
    add(b, to + "ffn_up.weight", from + "mlp.up_proj.weight", {c.d_ff, d});
    add(b, to + "ffn_down.weight", from + "mlp.down_proj.weight", {d, c.d_ff});
    add_both(b, to + "layer_output_norm", from + "post_mlp_layernorm", {d});
  }
  return b.take();
}

}  // namespace watra::workshop
