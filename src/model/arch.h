// Architectures: one file each in arch/. An Architecture says how its metadata is read, how its weights are bound, and
// how the standard decoder is to be varied for it.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "model/graph.h"
#include "model/hparams.h"

namespace watra::model {

// How a family varies the standard pre-norm decoder (decoder.cpp).
struct DecoderStyle {
  kernels::GluKind glu = kernels::GluKind::silu;
  bool qk_norm = false;        // RMS norm over each head of q and k, before RoPE
  bool post_norms = false;     // a norm on the output of attention and of the MLP, before it is added
  bool fused_qkv = false;      // one matrix "attn_qkv" holds the rows of q, k and v
  bool fused_gate_up = false;  // "ffn_up" holds the rows of gate, then of up
};

// How a family varies the standard post-norm encoder (encoder.cpp).
struct EncoderStyle {
  kernels::GluKind activation = kernels::GluKind::gelu_erf;
  bool is_gated = false;          // MLP of three matrices
  bool learned_positions = true;  // a table of them; else RoPE
};

struct Architecture {
  std::string_view name;      // general.architecture
  std::string_view families;  // for people
  DecoderStyle style;         // of an encoder only how its matrices are fused counts
  // Completes what read_hparams() has read from the keys all architectures share.
  Status (*complete)(const checkpoint::Checkpoint&, HParams&);
  std::optional<EncoderStyle> encoder = {};  // none: a decoder
};

std::span<const Architecture* const> architectures();
const Architecture* find_architecture(std::string_view name);

Graph build_decoder(const HParams& hp, const DecoderStyle& style);
Graph build_encoder(const HParams& hp, const EncoderStyle& style, bool has_types);  // has_types: a table of token types

// The registered ones; each is defined in arch/NAME.cpp.
extern const Architecture kLlama, kQwen2, kQwen3, kGemma, kGemma2, kGemma3, kPhi3, kBert, kNomicBert;

}  // namespace watra::model
