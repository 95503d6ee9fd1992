// The forward pass of every dense family we run, on one page.
#include "model/arch.h"

namespace watra::model {
namespace {

Op norm(Role role, Act in, Act out) { return {.kind = OpKind::rms_norm, .role = role, .in = in, .out = out}; }
Op linear(Role role, Act in, Act out) { return {.kind = OpKind::linear, .role = role, .in = in, .out = out}; }
Op head_norm(Role role, Act x, Heads heads) {
  return {.kind = OpKind::head_norm, .role = role, .in = x, .out = x, .heads = heads};
}
Op rope(Act x, Heads heads) { return {.kind = OpKind::rope, .in = x, .out = x, .heads = heads}; }
Op add(Act in, Act out) { return {.kind = OpKind::add, .in = in, .out = out}; }

}  // namespace

Graph build_decoder(const HParams& hp, const DecoderStyle& style) {
  std::vector<Op> ops;

  // attention
  ops.push_back(norm(Role::attn_norm, Act::x, Act::h));
  ops.push_back(linear(Role::attn_q, Act::h, Act::q));
  ops.push_back(linear(Role::attn_k, Act::h, Act::k));
  ops.push_back(linear(Role::attn_v, Act::h, Act::v));
  if (style.qk_norm) {
    ops.push_back(head_norm(Role::attn_q_norm, Act::q, Heads::query));
    ops.push_back(head_norm(Role::attn_k_norm, Act::k, Heads::kv));
  }
  ops.push_back(rope(Act::q, Heads::query));
  ops.push_back(rope(Act::k, Heads::kv));
  ops.push_back({.kind = OpKind::attention, .in = Act::q, .in2 = Act::k, .in3 = Act::v, .out = Act::attn});
  ops.push_back(linear(Role::attn_output, Act::attn, Act::h));
  if (style.post_norms) ops.push_back(norm(Role::attn_post_norm, Act::h, Act::h));
  ops.push_back(add(Act::h, Act::x));

  // MLP
  ops.push_back(norm(Role::ffn_norm, Act::x, Act::h));
  ops.push_back(linear(Role::ffn_gate, Act::h, Act::gate));
  ops.push_back(linear(Role::ffn_up, Act::h, Act::up));
  ops.push_back({.kind = OpKind::glu, .in = Act::gate, .in2 = Act::up, .out = Act::gate, .glu = style.glu});
  ops.push_back(linear(Role::ffn_down, Act::gate, Act::h));
  if (style.post_norms) ops.push_back(norm(Role::ffn_post_norm, Act::h, Act::h));
  ops.push_back(add(Act::h, Act::x));

  Graph g;
  g.embed = {{.kind = OpKind::embed, .role = Role::token_embd, .out = Act::x}};
  g.layer_kinds = {std::move(ops)};
  g.kind_of_layer.assign(static_cast<size_t>(hp.n_layers), 0);
  g.head = {norm(Role::output_norm, Act::x, Act::h), linear(Role::output, Act::h, Act::logits)};
  if (hp.final_softcap > 0) g.head.push_back({.kind = OpKind::softcap, .in = Act::logits, .out = Act::logits});
  return g;
}

}  // namespace watra::model
