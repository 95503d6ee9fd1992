// ModelOutline: a model without its weights: which tensors it has, how large they are, how much of each one token
// reads.
//
// Everything a plan needs (engine/plan.h), whether the model is a file that was opened, a synthetic one, or a
// well-known shape that nobody has downloaded yet. Pure data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/hparams.h"
#include "model/model.h"
#include "model/quant_mix.h"

namespace watra::model {

struct OutlineTensor {
  std::string name;  // as in a GGUF file
  tensor::DType dtype = tensor::DType::f32;
  int64_t rows = 0, cols = 0;  // experts: the rows of all of them
  int32_t layer = -1;          // -1: not of a layer
  int32_t rank = 2;            // 1: a norm, a bias, or a table of which rows are added: kept as floats
  enum class Read : uint8_t {
    whole,     // every weight in every pass
    gathered,  // one row for each token: an embedding table that does not predict
    experts,   // n_experts_used of n_experts for each token
    never,     // no weight of the network: it is not loaded
  } read = Read::whole;
  // Rows that serve one role: a fused matrix has several such slices. Two slices of one `pair` are finished together
  // (gate and up) and lie alike. Empty = one slice of all rows.
  struct Slice {
    int64_t begin = 0, end = 0;
    int32_t pair = -1;
  };
  std::vector<Slice> slices;

  int64_t elements() const { return rows * cols; }
  uint64_t row_bytes() const { return tensor::row_bytes(dtype, cols); }
  uint64_t bytes() const { return row_bytes() * static_cast<uint64_t>(rows); }
};

struct ModelOutline {
  std::string name;   // for people: "Llama 3.3 70B"
  std::string quant;  // "Q4_K_M"; empty when nobody said
  std::string architecture;
  int32_t n_layers = 0, n_experts = 0, n_experts_used = 0;
  int64_t d_model = 0, n_vocab = 0, n_ctx_train = 0;
  bool tied_embeddings = false;
  bool is_encoder = false;             // it reads each text in one pass and keeps nothing (HParams)
  std::vector<LayerHParams> layers;    // heads, widths, windows
  std::vector<OutlineTensor> tensors;  // in file order

  int64_t n_params() const;
  int64_t n_active_params() const;  // that take part in one token; of a gathered table none
  uint64_t weight_bytes() const;
  // Share of a tensor's bytes that a pass over m tokens reads. Of experts: those that at least one token chose, if
  // choices were even: 1 - (1 - used / all)^m.
  double read_share(const OutlineTensor& t, int64_t m = 1) const;
  double pass_bytes(int64_t m = 1) const;
  // Multiply-accumulates of the products for one token.
  double macs_of(const OutlineTensor& t) const;
  double pass_macs() const;
  // Bytes of cached keys and values: of one position in all layers, of a layer, and of all that a token at position
  // `depth` reads (a layer with a window no more than that).
  uint64_t kv_bytes_per_position(kernels::KvType k, kernels::KvType v) const;
  uint64_t kv_bytes_per_position(int layer, kernels::KvType k, kernels::KvType v) const;
  uint64_t kv_read_bytes(int layer, int64_t depth, kernels::KvType k, kernels::KvType v) const;
  MixNetwork mix_network() const;
};

// A model that was opened.
ModelOutline outline_of(const Model& model);

// The same network quantized another way.
ModelOutline requantized(const ModelOutline& outline, QuantMix mix);
// Its copy in fewer bits, as workshop/requantize.h makes it (low_bit_dtype()).
ModelOutline low_bit_copy(const ModelOutline& outline, tensor::DType type);

// ---- well-known models (shapes.cpp) ----

struct KnownShape {
  std::string_view name;     // "llama-3.3-70b"
  std::string_view label;    // "Llama 3.3 70B"
  std::string_view aliases;  // other names, separated by blanks
  std::string_view architecture;
  int32_t n_layers;
  int64_t d_model, d_ff;  // d_ff 0: no dense MLP beside the experts
  int32_t n_heads, n_kv_heads, d_head;
  int64_t n_vocab, n_ctx;
  bool tied = false;
  int32_t n_experts = 0, n_experts_used = 0;
  int64_t d_ff_expert = 0;
  bool gated = true;  // MLP of three matrices
  bool fused_qkv = false;
  bool qkv_bias = false;
  int64_t window = 0;          // of layers that see only the nearest positions
  int32_t window_pattern = 0;  // every so many-th layer sees everything; 0: all have the window, if there is one
};

std::span<const KnownShape> well_known_shapes();
// By name or alias, any case. Error "model.unknown_shape" lists the names that come close, or all.
Result<const KnownShape*> find_shape(std::string_view name);
ModelOutline outline_of(const KnownShape& shape, QuantMix mix);

// "Q4_K_M" -> mix. Error "model.unknown_quant" lists what there is.
Result<QuantMix> parse_quant_mix(std::string_view name);

}  // namespace watra::model
