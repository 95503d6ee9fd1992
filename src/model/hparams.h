// HParams: the shape of a network as plain data, per layer (pruned and hybrid models differ from layer to layer).
//
// Filled from a Checkpoint's metadata by read_hparams(); every value is checked for being possible before anything is
// sized by it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "kernels/ops.h"

namespace watra::model {

// How an encoder's hidden states become one vector of a text: GGUF's pooling_type.
enum class Pooling : uint8_t { mean, first, last };

enum class RopeScaling : uint8_t { none, linear, yarn, longrope };

// One way of rotating queries and keys. A model has one or two (Gemma 3: local and global layers).
struct RopeParams {
  float theta = 10000.0f;
  int32_t n_rot = 0;  // rotated dimensions of each head; even
  kernels::RopeStyle style = kernels::RopeStyle::halves;
  RopeScaling scaling = RopeScaling::none;
  float factor = 1.0f;            // positions are divided by it (linear), or stretched up to it (yarn)
  int64_t n_ctx_original = 0;     // context the model was trained with before scaling
  float attention_factor = 1.0f;  // multiplies cos and sin (yarn, longrope), as stored; 1 = the method's own
  float yarn_beta_fast = 32.0f, yarn_beta_slow = 1.0f;
  // Per-frequency divisors read from the file: rope_freqs (llama3) or the longrope factors. Empty = ones.
  std::vector<float> freq_factors;       // llama3, and longrope up to the original context
  std::vector<float> freq_factors_long;  // longrope beyond it

  // Inverse frequencies [n_rot/2] and the factor on cos and sin, for a sequence that may grow to n_ctx positions.
  struct Table {
    std::vector<double> inv_freq;
    float magnitude = 1.0f;
  };
  Table table(int64_t n_ctx) const;
};

struct LayerHParams {
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;
  int32_t d_head = 0;
  int64_t d_ff = 0;
  int64_t window = 0;  // 0 = sees everything
  int32_t rope = 0;    // index into HParams::ropes
};

struct HParams {
  std::string architecture;  // as in the file: "llama", "qwen2", ...
  std::string name;
  int32_t n_layers = 0;
  int64_t d_model = 0;
  int64_t n_vocab = 0;
  int64_t n_ctx_train = 0;
  // Every token sees its whole sequence, nothing predicts a next one: the network turns texts into vectors. There is no
  // output matrix; a sequence is read in one pass and nothing of it is kept.
  bool is_encoder = false;
  Pooling pooling = Pooling::mean;  // decoders may state one, too
  float norm_eps = 1e-5f;
  float attention_scale = 0;      // on q.k
  float attention_softcap = 0;    // 0 = none
  float final_softcap = 0;        // on the logits; 0 = none
  float embedding_scale = 1;      // on the embedded tokens
  bool tied_embeddings = false;   // the output matrix is the embedding table
  std::vector<RopeParams> ropes;  // none where positions are learned
  std::vector<LayerHParams> layers;

  // Bytes of cached keys and values for one position, all layers; of an encoder, whose layers use one place in turn,
  // the largest layer.
  int64_t kv_bytes_per_position(kernels::KvType k, kernels::KvType v) const;
  int64_t max_heads_width() const;  // largest n_heads * d_head
  int64_t max_d_ff() const;
};

// Errors: "model.unknown_architecture" (lists the known ones), "model.bad_hparams", "checkpoint.missing_key".
Result<HParams> read_hparams(const checkpoint::Checkpoint& file);

}  // namespace watra::model
