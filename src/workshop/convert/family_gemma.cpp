// Gemma 2 and the text part of Gemma 3. Norm weights are written plus one. The attention scale is not in the file:
// runtimes take 1/sqrt(d_head), and 1/sqrt(d_model/n_heads) for the 27B models, which they know by their number of
// layers.
#include "workshop/convert/family.h"

namespace watra::workshop {

namespace {

constexpr int64_t kLayersOfGemma2_27B = 46;
constexpr int64_t kLayersOfGemma3_27B = 62;
constexpr int64_t kUsualPeriod = 6;  // Gemma 3: five layers with a window, then one without

Status check_attention_scale(const HfConfig& c) {
  const bool is_27b = c.n_layers == (c.family == HfFamily::gemma2 ? kLayersOfGemma2_27B : kLayersOfGemma3_27B);
  const int64_t implied = is_27b ? c.d_model / c.n_heads : c.d_head;
  if (c.query_pre_attention_scalar == implied) return {};
  return fail("convert.unsupported_config",
              fmt::format("config.json: query_pre_attn_scalar {}: a GGUF of this model with {} layers means {}",
                          c.query_pre_attention_scalar, c.n_layers, implied),
              "GGUF has no key for it, so the file would compute something else");
}

}  // namespace

Result<FamilyPlan> plan_gemma(const HfConfig& c) {
  const bool gemma3 = c.family == HfFamily::gemma3;
  PlanBuilder b(c, gemma3 ? "gemma3" : "gemma2");
  WATRA_TRY(check_attention_scale(c));
  if (!c.tied_embeddings)
    return fail("convert.unsupported_config",
                "config.json: tie_word_embeddings is false; Gemma in GGUF has one matrix for both");
  if (gemma3 && c.attention_softcap)
    return fail("convert.unsupported_config", "config.json: attn_logit_softcapping is not known for gemma3 in GGUF");
  if (!gemma3 && (!c.attention_softcap || !c.final_softcap))
    return fail("convert.unsupported_config", "config.json: a softcap is null; gemma2 in GGUF always has both");

  b.set_shape();
  b.set_head_lengths();
  if (gemma3 || c.rope_theta != 10000 || c.rope.kind != RopeScaling::Kind::none)
    WATRA_TRY(b.set_rope(/*with_llama3=*/false));
  if (gemma3) b.set("rope.freq_base_swa", meta_f32(c.rope_theta_local));
  if (c.attention_softcap) b.set("attn_logit_softcapping", meta_f32(*c.attention_softcap));
  if (c.final_softcap) b.set("final_logit_softcapping", meta_f32(*c.final_softcap));
  if (c.sliding_window) b.set("attention.sliding_window", meta_u32(*c.sliding_window));
  if (gemma3 && c.sliding_window && c.sliding_window_period != kUsualPeriod)
    b.set("attention.sliding_window_pattern", meta_u32(c.sliding_window_period));

  b.embedding();
  auto norm = [&](int64_t n, const char* name, const char* source, int64_t width) {
    b.layer(n, name, source, {width}).change = Change::plus_one;
  };
  for (int64_t n = 0; n < c.n_layers; ++n) {
    norm(n, "attn_norm.weight", "input_layernorm.weight", c.d_model);
    b.attention(n, /*rope_pairs=*/false);
    if (gemma3) {
      norm(n, "attn_q_norm.weight", "self_attn.q_norm.weight", c.d_head);
      norm(n, "attn_k_norm.weight", "self_attn.k_norm.weight", c.d_head);
    }
    norm(n, "post_attention_norm.weight", "post_attention_layernorm.weight", c.d_model);
    norm(n, "ffn_norm.weight", "pre_feedforward_layernorm.weight", c.d_model);
    b.gated_ffn(n);
    norm(n, "post_ffw_norm.weight", "post_feedforward_layernorm.weight", c.d_model);
  }
  b.output(Change::plus_one);
  return b.take();
}

}  // namespace watra::workshop
