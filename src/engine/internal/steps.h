// Steps: the op lists of a Graph, compiled into pieces of work that a thread team shares out, each ended by a barrier.
//
//   rows     a program of row-wise ops; a thread claims rows and runs the whole program on each
//   linears  products that read the same input; a thread claims ranges of output rows. Gate and up may be finished with
//   their GLU attend   head norms and RoPE and the cache's new rows, then partial results by chunk, then their merge
#pragma once

#include <vector>

#include "engine/residency.h"
#include "kernels/ops.h"
#include "model/graph.h"

namespace watra::engine::internal {

using kernels::ActFormat;
using model::Act;

struct RowOp {
  enum class Kind : uint8_t {
    rms_norm,
    layer_norm,
    head_norm,
    rope,
    add,
    add_position,
    add_type,
    copy,
    glu,
    softcap,
    convert
  } kind;
  Act in = Act::x, in2 = Act::x, out = Act::x;
  int64_t width = 0;  // floats of the row (of one head for head_norm and rope)
  int32_t n_heads = 0;
  const float* weight = nullptr;  // norms, tables
  const float* bias = nullptr;    // layer_norm
  int32_t rope = 0;
  kernels::GluKind glu = kernels::GluKind::silu;
  bool has_up = true;                 // glu: in2 is a factor
  ActFormat format = ActFormat::f32;  // convert
  bool gathered = false;              // reads the rows that want results instead of all
};

struct Linear {
  const LoadedWeight* weight;
  Act in, out;
  ActFormat format;
};
// Rows in RAM that are claimed together: [row_begin, row_end) of a part (LoadedWeight::resident) of a linear's weight.
struct Chunk {
  int32_t linear;
  int32_t part;
  int64_t row_begin, row_end;  // of the part
  int64_t part_end;            // the step's first chunk behind it that is of another part
};

struct Step {
  enum class Kind : uint8_t { rows, linears, attend } kind;
  int layer = 0;
  bool ends_layer = false;
  std::vector<RowOp> program;    // rows
  std::vector<Linear> linears;   // linears
  std::vector<Chunk> chunks;     // of what lies in RAM
  UnitRange units;               // of what is streamed, in CompiledGraph::stream_order
  bool finish_with_glu = false;  // linears are {gate, up}; out = glu(gate, up), in gate
  kernels::GluKind glu = kernels::GluKind::silu;
  std::vector<RowOp> query_ops, key_ops;  // attend: on q and on k before they are used
  Act q = Act::q, k = Act::k, v = Act::v, attention_out = Act::attn;
  const model::Op* op = nullptr;        // with taps: the one op this step is
  const Step* next_products = nullptr;  // of the pass: the next step of kind linears, whose weights may be fetched
};

struct CompiledGraph {
  std::vector<RowOp> embed;        // on each row, once its token is there
  std::vector<Step> layers;        // of all layers, in order
  std::vector<size_t> first_step;  // by layer, and one past the end
  std::vector<Step> final_norm;    // rows that want results: x -> h
  std::vector<Step> logits;        // h -> logits; none of an encoder
  const Step* first_products = nullptr;
  StreamOrder stream_order;         // of the layers' steps, then those of the logits
  std::vector<int64_t> first_unit;  // by layer, one past the end, and one past those of the logits
  UnitRange logit_units() const {
    const size_t n = first_unit.size();
    return n < 2 ? UnitRange{} : UnitRange{first_unit[n - 2], first_unit[n - 1]};
  }
};

// `fuse` = false gives one step per op, for taps.
CompiledGraph compile(const model::Model& model, const Residency& weights, const kernels::Kernels& k, bool fuse);

}  // namespace watra::engine::internal
