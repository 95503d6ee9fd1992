// Llama 2, 3, 3.1 (rope factors as a tensor), 3.3 and Mistral. Both are "llama" in GGUF, with the rows of q and k in
// the order of adjacent rotary pairs.
#include "workshop/convert/family.h"

namespace watra::workshop {

Result<FamilyPlan> plan_llama(const HfConfig& c) {
  PlanBuilder b(c, "llama");
  b.set("vocab_size", meta_u32(c.n_vocab));
  b.set_shape();
  b.set_head_lengths();
  b.set("rope.dimension_count", meta_u32(c.d_head));
  WATRA_TRY(b.set_rope(/*with_llama3=*/true));
  // Mistral 7B v0.1 and its kin. llama.cpp neither writes nor reads this key for "llama" and attends to everything.
  if (c.sliding_window) b.set("attention.sliding_window", meta_u32(*c.sliding_window));

  b.embedding();
  for (int64_t n = 0; n < c.n_layers; ++n) {
    b.layer(n, "attn_norm.weight", "input_layernorm.weight", {c.d_model});
    b.attention(n, /*rope_pairs=*/true);
    b.layer(n, "ffn_norm.weight", "post_attention_layernorm.weight", {c.d_model});
    b.gated_ffn(n);
    b.layer(n, "ffn_gate.bias", "mlp.gate_proj.bias", {c.d_ff}).optional = true;
    b.layer(n, "ffn_up.bias", "mlp.up_proj.bias", {c.d_ff}).optional = true;
    b.layer(n, "ffn_down.bias", "mlp.down_proj.bias", {c.d_model}).optional = true;
  }
  b.output(Change::none);
  return b.take();
}

}  // namespace watra::workshop
