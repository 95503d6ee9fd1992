// Synthetic models: the right shapes with random weights, made in memory, so that speed can be measured without a
// download.
//
// "llama-1b:q4_k_m" = SHAPE:QUANT. A QUANT is an element format for all matrices, or one of llama.cpp's mixes q4_k_m
// and q5_k_m. They have no vocabulary and their words mean nothing.
#pragma once

#include <string_view>

#include "checkpoint/checkpoint.h"

namespace watra::model {

// Errors: "model.unknown_shape" and "model.unknown_quant" list what there is.
Result<checkpoint::Checkpoint> synthetic_checkpoint(std::string_view spec);

// Fills `out` with whole blocks of `dtype`, one that synthetic_checkpoint() knows: gaussian weights of a trained
// model's size, quantized once and repeated; in IQ1 to IQ3 random bits whose weights are as large.
Status fill_synthetic(tensor::DType dtype, std::span<std::byte> out, uint64_t seed);

}  // namespace watra::model
