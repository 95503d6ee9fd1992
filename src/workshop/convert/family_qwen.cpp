// Qwen2, Qwen2.5 (biases on q, k, v) and Qwen3 (QK-norm instead).
#include "workshop/convert/family.h"

namespace watra::workshop {

Result<FamilyPlan> plan_qwen(const HfConfig& c) {
  const bool qwen3 = c.family == HfFamily::qwen3;
  PlanBuilder b(c, qwen3 ? "qwen3" : "qwen2");
  b.set_shape();
  if (qwen3 || c.d_head_given) b.set_head_lengths();
  WATRA_TRY(b.set_rope(/*with_llama3=*/false));

  b.embedding();
  for (int64_t n = 0; n < c.n_layers; ++n) {
    b.layer(n, "attn_norm.weight", "input_layernorm.weight", {c.d_model});
    b.attention(n, /*rope_pairs=*/false);
    if (qwen3) {
      b.layer(n, "attn_q_norm.weight", "self_attn.q_norm.weight", {c.d_head});
      b.layer(n, "attn_k_norm.weight", "self_attn.k_norm.weight", {c.d_head});
    }
    b.layer(n, "ffn_norm.weight", "post_attention_layernorm.weight", {c.d_model});
    b.gated_ffn(n);
  }
  b.output(Change::none);
  return b.take();
}

}  // namespace watra::workshop
