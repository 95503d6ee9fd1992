#include "engine/internal/steps.h"

#include <algorithm>
#include <optional>
#include <span>

#include "engine/internal/row_cut.h"
#include "engine/internal/stream_units.h"

namespace watra::engine::internal {
namespace {

using model::Heads;
using model::Op;
using model::OpKind;

class Compiler {
 public:
  Compiler(const model::Model& model, const Residency& weights, const kernels::Kernels& k, bool fuse)
      : hp_(model.hparams()), model_(model), weights_(weights), kernels_(k), fuse_(fuse) {}

  CompiledGraph run() {
    CompiledGraph out;
    for (const Op& op : model_.graph().embed)
      if (op.kind != OpKind::embed) out.embed.push_back(embed_op(op));
    for (int layer = 0; layer < hp_.n_layers; ++layer) {
      out.first_step.push_back(out.layers.size());
      steps_ = &out.layers;
      layer_ = layer;
      break_step();  // a pass may stop here: the residual stream is complete between layers
      add_all(model_.graph().layer_ops(layer));
      out.layers.back().ends_layer = true;
    }
    out.first_step.push_back(out.layers.size());
    layer_ = hp_.n_layers;
    rest_ = model_.graph().head;
    for (const Op& op : model_.graph().head) {
      rest_ = rest_.subspan(1);
      const bool takes_rows = op.kind == OpKind::rms_norm || op.kind == OpKind::copy;  // those that want results
      steps_ = takes_rows ? &out.final_norm : &out.logits;
      if (takes_rows) break_step();
      add(op);
      if (takes_rows) {
        out.final_norm.back().program.back().gathered = true;
        break_step();
      }
    }
    if (weights_.stream()) order_units(out, weights_.stream()->unit_bytes());
    const Step* next = nullptr;
    for (auto* steps : {&out.logits, &out.final_norm, &out.layers})
      for (size_t i = steps->size(); i-- > 0;) {
        Step& s = (*steps)[i];
        s.next_products = next;
        if (s.kind == Step::Kind::linears) next = &s;
      }
    out.first_products = next;
    return out;
  }

 private:
  const LoadedWeight& weight(const Op& op) const {
    return model::is_layer_role(op.role) ? weights_.layer(layer_, op.role) : weights_.global(op.role);
  }
  const model::LayerHParams& layer_hparams() const {
    return hp_.layers[static_cast<size_t>(std::min(layer_, hp_.n_layers - 1))];
  }

  void break_step() {
    for (auto& c : converted_) c.reset();
    open_ = false;
    query_ops_.clear();
    key_ops_.clear();
  }

  Step& step(Step::Kind kind, const Op& op) {
    const bool joins = open_ && fuse_ && !steps_->empty() && steps_->back().kind == kind && kind != Step::Kind::attend;
    if (!joins) {
      steps_->push_back({.kind = kind, .layer = layer_});
      open_ = true;
    }
    steps_->back().op = fuse_ ? nullptr : &op;
    return steps_->back();
  }

  void written(Act act) {
    for (auto& c : converted_)
      if (c == act) c.reset();
  }

  void add_all(std::span<const Op> ops) {
    for (rest_ = ops; !rest_.empty();) {
      const Op& op = rest_.front();
      rest_ = rest_.subspan(1);
      add(op);
    }
  }

  void add(const Op& op) {
    const auto& l = layer_hparams();
    switch (op.kind) {
      case OpKind::embed:
        break;  // the pass begins with it
      case OpKind::rms_norm:
        row_op({.kind = RowOp::Kind::rms_norm,
                .in = op.in,
                .out = op.out,
                .width = hp_.d_model,
                .weight = weight(op).vector},
               op);
        break;
      case OpKind::layer_norm:
        row_op(layer_norm(op), op);
        break;
      case OpKind::add_position:
      case OpKind::add_type:
        break;  // of the embedding
      case OpKind::head_norm:
        head_op({.kind = RowOp::Kind::head_norm,
                 .in = op.in,
                 .out = op.out,
                 .width = l.d_head,
                 .n_heads = n_heads(op),
                 .weight = weight(op).vector},
                op);
        break;
      case OpKind::rope:
        head_op({.kind = RowOp::Kind::rope,
                 .in = op.in,
                 .out = op.out,
                 .width = l.d_head,
                 .n_heads = n_heads(op),
                 .rope = l.rope},
                op);
        break;
      case OpKind::add:
        row_op({.kind = RowOp::Kind::add, .in = op.in, .out = op.out, .width = hp_.d_model}, op);
        break;
      case OpKind::copy:
        row_op({.kind = RowOp::Kind::copy, .in = op.in, .out = op.out, .width = hp_.d_model}, op);
        break;
      case OpKind::glu:
        glu(op, l.d_ff);
        break;
      case OpKind::activation:
        row_op({.kind = RowOp::Kind::glu, .in = op.in, .out = op.out, .width = l.d_ff, .glu = op.glu, .has_up = false},
               op);
        break;
      case OpKind::softcap:
        row_op({.kind = RowOp::Kind::softcap, .in = op.in, .out = op.out, .width = hp_.n_vocab}, op);
        break;
      case OpKind::linear:
        linear(op);
        break;
      case OpKind::attention: {
        Step& s = step(Step::Kind::attend, op);
        s.q = op.in, s.k = op.in2, s.v = op.in3, s.attention_out = op.out;
        s.query_ops = std::move(query_ops_);
        s.key_ops = std::move(key_ops_);
        query_ops_.clear();
        key_ops_.clear();
        written(op.out);
        break;
      }
    }
  }

  RowOp layer_norm(const Op& op) const {
    const LoadedWeight& w = weight(op);
    return {.kind = RowOp::Kind::layer_norm,
            .in = op.in,
            .out = op.out,
            .width = hp_.d_model,
            .weight = w.vector,
            .bias = w.bias};
  }

  RowOp embed_op(const Op& op) const {
    if (op.kind == OpKind::layer_norm) return layer_norm(op);
    return {.kind = op.kind == OpKind::add_position ? RowOp::Kind::add_position : RowOp::Kind::add_type,
            .in = op.out,
            .out = op.out,
            .width = hp_.d_model,
            .weight = weight(op).vector};
  }

  int32_t n_heads(const Op& op) const {
    return op.heads == Heads::query ? layer_hparams().n_heads : layer_hparams().n_kv_heads;
  }

  void row_op(RowOp r, const Op& op) {
    step(Step::Kind::rows, op).program.push_back(r);
    written(r.out);
  }

  // Head norms and RoPE wait for the attention step, which runs them head by head.
  void head_op(RowOp r, const Op& op) {
    if (!fuse_) return row_op(r, op);
    (op.heads == Heads::query ? query_ops_ : key_ops_).push_back(r);
  }

  void glu(const Op& op, int64_t d_ff) {
    Step* last = steps_->empty() ? nullptr : &steps_->back();
    const bool finishes = fuse_ && last && last->kind == Step::Kind::linears && last->linears.size() == 2 &&
                          last->linears[0].out == op.in && last->linears[1].out == op.in2 && op.out == op.in &&
                          are_placed_alike(*last->linears[0].weight, *last->linears[1].weight);
    if (!finishes) {
      row_op({.kind = RowOp::Kind::glu, .in = op.in, .in2 = op.in2, .out = op.out, .width = d_ff, .glu = op.glu}, op);
      return;
    }
    last->finish_with_glu = true;
    last->glu = op.glu;
    last->chunks = cut({last->linears[0]});
    open_ = false;
    written(op.out);
  }

  ActFormat format_of(const Op& op) const { return kernels_.act_format(weight(op).matrix.dtype); }

  void convert(const Op& op) {
    const ActFormat format = format_of(op);
    auto& converted = converted_[static_cast<int>(format)];
    if (format == ActFormat::f32 || converted == op.in) return;
    step(Step::Kind::rows, op)
        .program.push_back(
            {.kind = RowOp::Kind::convert, .in = op.in, .width = weight(op).matrix.shape.cols(), .format = format});
    converted = op.in;
    if (!fuse_) steps_->back().op = nullptr;  // the tap comes after the product
  }

  void linear(const Op& op) {
    const LoadedWeight& w = weight(op);
    const ActFormat format = format_of(op);
    convert(op);
    // The formats that the next products want of the same input, in the same step.
    for (const Op& next : rest_) {
      if (next.kind != OpKind::linear || next.in != op.in || !fuse_) break;
      if (!steps_->empty() && steps_->back().kind == Step::Kind::rows) convert(next);
    }
    if (!steps_->empty() && open_ && steps_->back().kind == Step::Kind::linears)
      for (const Linear& other : steps_->back().linears)
        if (other.out == op.in || other.in != op.in) open_ = false;
    Step& s = step(Step::Kind::linears, op);
    s.linears.push_back({&w, op.in, op.out, format});
    s.chunks = cut(s.linears);
    written(op.out);
  }

  std::vector<Chunk> cut(const std::vector<Linear>& linears) const {
    std::vector<ProductRows> products;
    for (size_t l = 0; l < linears.size(); ++l) {
      const auto& resident = linears[l].weight->resident;
      for (size_t part = 0; part < resident.size(); ++part)
        products.push_back({resident[part].matrix.shape.rows(), resident[part].matrix.row_size_bytes(),
                            static_cast<int32_t>(l), static_cast<int32_t>(part)});
    }
    return cut_rows(products);
  }

  const model::HParams& hp_;
  const model::Model& model_;
  const Residency& weights_;
  const kernels::Kernels& kernels_;
  const bool fuse_;
  int layer_ = 0;
  std::vector<Step>* steps_ = nullptr;
  bool open_ = false;                                   // the last step may be added to
  std::optional<Act> converted_[kernels::kActFormats];  // what lies in the conversion buffer of a format
  std::span<const Op> rest_;                            // ops that follow
  std::vector<RowOp> query_ops_, key_ops_;
};

}  // namespace

CompiledGraph compile(const model::Model& model, const Residency& weights, const kernels::Kernels& k, bool fuse) {
  return Compiler(model, weights, k, fuse).run();
}

}  // namespace watra::engine::internal
