// Graph: the forward pass as a list of ops. Data only; engine/forward walks it, kernels/ compute it.
//
// One op list per kind of layer, plus one before the layers (embed: it begins with the op of that name, what follows
// looks at one row at a time) and one after (head: of rows that want results, x -> h, then their logits; an encoder has
// none of these). Ops name weights by role and
// activations by index; shapes come from HParams and the bound weights, so one list serves layers of different widths.
//
// Activations are [M, width] float rows, reused from layer to layer.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels/ops.h"
#include "model/hparams.h"

namespace watra::model {

// What a weight is for. GGUF names: role_name() with "blk.N." in front for those of a layer.
enum class Role : uint8_t {
  token_embd,
  position_embd,
  token_types,
  token_embd_norm,
  output_norm,
  output,  // whole model
  attn_norm,
  attn_q,
  attn_k,
  attn_v,
  attn_q_norm,
  attn_k_norm,
  attn_output,
  attn_post_norm,
  ffn_norm,
  ffn_gate,
  ffn_up,
  ffn_down,
  ffn_post_norm,
  attn_output_norm,
  layer_output_norm,  // one per layer
  count,
};
inline constexpr int kRoles = static_cast<int>(Role::count);
std::string_view role_name(Role role);
inline bool is_layer_role(Role r) { return r >= Role::attn_norm && r < Role::count; }

enum class OpKind : uint8_t {
  embed,         // token ids (or given rows) -> out, times HParams::embedding_scale
  add_position,  // out += the table's row of the position in the sequence
  add_type,      // out += the table's first row: all tokens are of one type
  rms_norm,      // in -> out, over the whole row
  layer_norm,    // in -> out, over the whole row, with a bias
  head_norm,     // in place, over each head of n_heads (or n_kv_heads) x d_head
  linear,        // in -> out: out = W in (+ bias)
  rope,          // in place, heads of in
  attention,     // q = in, k = in2, v = in3 -> out; stores k and v in the cache first
  glu,           // gate = in, up = in2 -> out
  activation,    // in place, of up
  add,           // out += in
  copy,          // in -> out
  softcap,       // in place: HParams::final_softcap
};

enum class Heads : uint8_t { none, query, kv };

// Activations of the standard decoder. `x` is the residual stream.
enum class Act : uint8_t { x, h, q, k, v, attn, gate, up, logits, count };
inline constexpr int kActs = static_cast<int>(Act::count);
std::string_view act_name(Act act);

struct Op {
  OpKind kind;
  Role role = Role::count;  // weight, where there is one
  Act in = Act::x, in2 = Act::x, in3 = Act::x, out = Act::x;
  Heads heads = Heads::none;
  kernels::GluKind glu = kernels::GluKind::silu;
};

struct Graph {
  std::vector<Op> embed;
  std::vector<std::vector<Op>> layer_kinds;
  std::vector<uint8_t> kind_of_layer;  // by layer: index into layer_kinds
  std::vector<Op> head;                // on the rows that want logits

  const std::vector<Op>& layer_ops(int layer) const { return layer_kinds[kind_of_layer[layer]]; }
};

}  // namespace watra::model
