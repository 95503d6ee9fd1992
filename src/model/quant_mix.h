// QuantMix: which element format each tensor of a model gets when a whole file is quantized to "Q4_K_M" and its kin.
//
// The names mean what llama.cpp's quantizer makes of them, because that is what people download: attention values, the
// down projection of some layers, and the output matrix get more bits than the rest. With these rules the size of a
// file is known before it exists. Pure functions, no I/O, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "tensor/dtype.h"

namespace watra::model {

enum class QuantMix : uint8_t {
  f32,
  bf16,
  f16,
  q8_0,
  q6_k,
  q5_k_m,
  q5_k_s,
  q5_1,
  q5_0,
  q4_k_m,
  q4_k_s,
  q4_1,
  q4_0,
  iq4_nl,
  iq4_xs,
  q3_k_l,
  q3_k_m,
  q3_k_s,
  iq3_m,
  iq3_s,
  iq3_xs,
  iq3_xxs,
  q2_k,
  q2_k_s,
  iq2_m,
  iq2_s,
  iq2_xs,
  iq2_xxs,
  iq1_m,
  iq1_s,
};

struct QuantMixInfo {
  QuantMix mix;
  std::string_view name;  // "Q4_K_M", as file names have it
  tensor::DType base;     // of most tensors
};

std::span<const QuantMixInfo> quant_mixes();  // most bits first
const QuantMixInfo& quant_mix_info(QuantMix mix);
std::optional<QuantMix> quant_mix_from_name(std::string_view name);  // any case

// What the rules ask of a network.
struct MixNetwork {
  std::string_view architecture;
  int32_t n_layers = 0, n_heads = 0, n_kv_heads = 0, n_experts = 0;
  bool tied_embeddings = false;
};

// Format of a tensor by its GGUF name ("blk.3.ffn_down.weight", layer 3; layer -1 outside the layers), whose rows have
// `cols` elements and which has `rank` dimensions. Vectors and expert routers stay F32. Files with importance matrices
// are assumed where the format needs one (IQ types).
tensor::DType mixed_dtype(QuantMix mix, const MixNetwork& net, std::string_view name, int layer, int rank,
                          int64_t cols);

// Format of a tensor in a copy of a file in fewer bits (workshop/requantize.h): matrices become `wanted`, the embedding
// table and the output matrix never go below Q4_K, and what is no larger than it would become stays as it is.
tensor::DType low_bit_dtype(tensor::DType wanted, std::string_view name, tensor::DType source, int rank, int64_t cols);

}  // namespace watra::model
