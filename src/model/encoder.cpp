// The forward pass of every encoder we run, on one page: norms come after what they follow (post-norm), and the
// residual stream is normed itself.
#include "model/arch.h"

namespace watra::model {
namespace {

Op norm(Role role) { return {.kind = OpKind::layer_norm, .role = role, .in = Act::x, .out = Act::x}; }
Op linear(Role role, Act in, Act out) { return {.kind = OpKind::linear, .role = role, .in = in, .out = out}; }
Op rope(Act x, Heads heads) { return {.kind = OpKind::rope, .in = x, .out = x, .heads = heads}; }
Op add(Act in, Act out) { return {.kind = OpKind::add, .in = in, .out = out}; }

}  // namespace

Graph build_encoder(const HParams& hp, const EncoderStyle& style, bool has_types) {
  Graph g;
  g.embed.push_back({.kind = OpKind::embed, .role = Role::token_embd, .out = Act::x});
  if (style.learned_positions)
    g.embed.push_back({.kind = OpKind::add_position, .role = Role::position_embd, .out = Act::x});
  if (has_types) g.embed.push_back({.kind = OpKind::add_type, .role = Role::token_types, .out = Act::x});
  g.embed.push_back(norm(Role::token_embd_norm));

  std::vector<Op> ops;

  // attention
  ops.push_back(linear(Role::attn_q, Act::x, Act::q));
  ops.push_back(linear(Role::attn_k, Act::x, Act::k));
  ops.push_back(linear(Role::attn_v, Act::x, Act::v));
  if (!style.learned_positions) {
    ops.push_back(rope(Act::q, Heads::query));
    ops.push_back(rope(Act::k, Heads::kv));
  }
  ops.push_back({.kind = OpKind::attention, .in = Act::q, .in2 = Act::k, .in3 = Act::v, .out = Act::attn});
  ops.push_back(linear(Role::attn_output, Act::attn, Act::h));
  ops.push_back(add(Act::h, Act::x));
  ops.push_back(norm(Role::attn_output_norm));

  // MLP
  if (style.is_gated) {
    ops.push_back(linear(Role::ffn_gate, Act::x, Act::gate));
    ops.push_back(linear(Role::ffn_up, Act::x, Act::up));
    ops.push_back({.kind = OpKind::glu, .in = Act::gate, .in2 = Act::up, .out = Act::gate, .glu = style.activation});
    ops.push_back(linear(Role::ffn_down, Act::gate, Act::h));
  } else {
    ops.push_back(linear(Role::ffn_up, Act::x, Act::up));
    ops.push_back({.kind = OpKind::activation, .in = Act::up, .out = Act::up, .glu = style.activation});
    ops.push_back(linear(Role::ffn_down, Act::up, Act::h));
  }
  ops.push_back(add(Act::h, Act::x));
  ops.push_back(norm(Role::layer_output_norm));

  g.layer_kinds = {std::move(ops)};
  g.kind_of_layer.assign(static_cast<size_t>(hp.n_layers), 0);
  g.head = {{.kind = OpKind::copy, .in = Act::x, .out = Act::h}};
  return g;
}

}  // namespace watra::model
