// Gemma 1, 2 and 3 (text). Norm weights are stored plus one already; embeddings are scaled by sqrt(d_model) and tied.
//
// What is not in the files: Gemma 2's and 3's attention scale (1/sqrt(d_head), but 1/sqrt(d_model/n_heads) for the 27B
// models), and in older Gemma 3 files the sliding-window pattern (every 6th layer is global) and the local rope base
// (10,000).
#include <cmath>

#include "model/arch.h"

namespace watra::model {
namespace {

void embed_like_gemma(HParams& hp) { hp.embedding_scale = std::sqrt(static_cast<float>(hp.d_model)); }

// Every `period`-th layer sees everything, the others only the window.
void set_window_pattern(HParams& hp, int64_t window, int period, int local_rope) {
  for (int i = 0; i < hp.n_layers; ++i) {
    if ((i + 1) % period == 0) continue;
    hp.layers[i].window = window;
    hp.layers[i].rope = local_rope;
  }
}

// Explicit pattern of newer files: an array of booleans (true = local), or the period as a number.
bool set_window_pattern_from_file(const checkpoint::Metadata& meta, const std::string& key, HParams& hp, int64_t window,
                                  int local_rope) {
  if (const auto* a = meta.get_array(key); a && a->size() == static_cast<size_t>(hp.n_layers) && !a->u64.empty()) {
    for (int i = 0; i < hp.n_layers; ++i)
      if (a->u64[i]) hp.layers[i].window = window, hp.layers[i].rope = local_rope;
    return true;
  }
  if (const auto period = meta.get_u64(key); period && *period > 0 && *period < 1000) {
    set_window_pattern(hp, window, static_cast<int>(*period), local_rope);
    return true;
  }
  return false;
}

void scale_27b_attention(HParams& hp, int n_layers_27b) {
  if (hp.n_layers == n_layers_27b)
    hp.attention_scale = 1.0f / std::sqrt(static_cast<float>(hp.d_model / hp.layers[0].n_heads));
}

}  // namespace

const Architecture kGemma{
    .name = "gemma",
    .families = "Gemma 1",
    .style = {.glu = kernels::GluKind::gelu_tanh},
    .complete = [](const checkpoint::Checkpoint&, HParams& hp) -> Status {
      embed_like_gemma(hp);
      return {};
    },
};

const Architecture kGemma2{
    .name = "gemma2",
    .families = "Gemma 2",
    .style = {.glu = kernels::GluKind::gelu_tanh, .post_norms = true},
    .complete = [](const checkpoint::Checkpoint& file, HParams& hp) -> Status {
      const auto& meta = file.metadata();
      embed_like_gemma(hp);
      hp.attention_softcap = static_cast<float>(meta.get_f64("gemma2.attn_logit_softcapping").value_or(50.0));
      hp.final_softcap = static_cast<float>(meta.get_f64("gemma2.final_logit_softcapping").value_or(30.0));
      const int64_t window = meta.get_i64("gemma2.attention.sliding_window").value_or(4096);
      if (!set_window_pattern_from_file(meta, "gemma2.attention.sliding_window_pattern", hp, window, 0))
        set_window_pattern(hp, window, 2, 0);
      scale_27b_attention(hp, 46);
      return {};
    },
};

const Architecture kGemma3{
    .name = "gemma3",
    .families = "Gemma 3 (text)",
    .style = {.glu = kernels::GluKind::gelu_tanh, .qk_norm = true, .post_norms = true},
    .complete = [](const checkpoint::Checkpoint& file, HParams& hp) -> Status {
      const auto& meta = file.metadata();
      embed_like_gemma(hp);
      hp.final_softcap = static_cast<float>(meta.get_f64("gemma3.final_logit_softcapping").value_or(0.0));
      RopeParams local = hp.ropes[0];
      local.theta = static_cast<float>(meta.get_f64("gemma3.rope.freq_base_swa").value_or(10000.0));
      local.scaling = RopeScaling::none;
      local.factor = 1.0f;
      hp.ropes.push_back(std::move(local));
      const int64_t window = meta.get_i64("gemma3.attention.sliding_window").value_or(0);
      if (window > 0 && !set_window_pattern_from_file(meta, "gemma3.attention.sliding_window_pattern", hp, window, 1))
        set_window_pattern(hp, window, 6, 1);
      scale_27b_attention(hp, 62);
      return {};
    },
};

}  // namespace watra::model
