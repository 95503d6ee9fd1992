// Phi-3, Phi-3.5 and Phi-4: q, k, v in one matrix, gate and up in one; longrope's two sets of factors as tensors.
#include <cmath>

#include "workshop/convert/family.h"

namespace watra::workshop {

namespace {

void add_factors(PlanBuilder& b, const char* name, const std::vector<float>& values) {
  PlannedTensor t;
  t.name = name;
  t.values = values;
  t.shape = tensor::Shape{static_cast<int64_t>(values.size())};
  b.add(std::move(t));
}

}  // namespace

Result<FamilyPlan> plan_phi3(const HfConfig& c) {
  PlanBuilder b(c, "phi3");
  const RopeScaling& rope = c.rope;
  const int64_t d_rope = static_cast<int64_t>(c.partial_rotary_factor * static_cast<double>(c.d_model)) / c.n_heads;
  if (rope.kind != RopeScaling::Kind::none && rope.kind != RopeScaling::Kind::longrope)
    return fail("convert.unsupported_config", "config.json: Phi-3 in GGUF knows longrope and no other rope scaling");
  if (c.d_head * c.n_heads != c.d_model)
    return fail("convert.unsupported_config",
                fmt::format("config.json: Phi-3 in GGUF has hidden_size = heads x head_dim, found {} and {} x {}",
                            c.d_model, c.n_heads, c.d_head));

  b.set_shape();
  b.set("rope.scaling.original_context_length", meta_u32(rope.original_context));
  b.set("rope.dimension_count", meta_u32(d_rope));
  b.set("rope.freq_base", meta_f32(c.rope_theta));
  b.set("attention.sliding_window", meta_u32(c.sliding_window.value_or(0)));  // 0 = none, and marks Phi-4
  if (rope.kind == RopeScaling::Kind::longrope) {
    if (static_cast<int64_t>(rope.long_factors.size()) != d_rope / 2)
      return fail("convert.unsupported_config",
                  fmt::format("config.json: longrope needs {} factors for {} rotated dimensions, found {}", d_rope / 2,
                              d_rope, rope.long_factors.size()));
    // LongRoPE (arXiv 2402.13753), the factor on cos and sin
    double attention_factor = 1;
    if (rope.factor > 1)
      attention_factor = std::sqrt(1 + std::log(rope.factor) / std::log(static_cast<double>(rope.original_context)));
    b.set("rope.scaling.attn_factor", meta_f32(rope.attention_factor.value_or(attention_factor)));
    add_factors(b, "rope_factors_long.weight", rope.long_factors);
    add_factors(b, "rope_factors_short.weight", rope.short_factors);
  }

  b.embedding();
  for (int64_t n = 0; n < c.n_layers; ++n) {
    b.layer(n, "attn_norm.weight", "input_layernorm.weight", {c.d_model});
    b.layer(n, "attn_qkv.weight", "self_attn.qkv_proj.weight", {(c.n_heads + 2 * c.n_kv_heads) * c.d_head, c.d_model});
    b.layer(n, "attn_output.weight", "self_attn.o_proj.weight", {c.d_model, c.n_heads * c.d_head});
    b.layer(n, "ffn_norm.weight", "post_attention_layernorm.weight", {c.d_model});
    b.layer(n, "ffn_up.weight", "mlp.gate_up_proj.weight", {2 * c.d_ff, c.d_model});
    b.layer(n, "ffn_down.weight", "mlp.down_proj.weight", {c.d_model, c.d_ff});
  }
  b.output(Change::none);
  return b.take();
}

}  // namespace watra::workshop
