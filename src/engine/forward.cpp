#include "engine/forward.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "base/checked.h"
#include "engine/internal/forward_impl.h"
#include "tensor/interleave.h"

namespace watra::engine {
namespace {

using internal::CompiledGraph;
using internal::Linear;
using internal::RowOp;
using internal::Step;
using model::Act;
using model::Role;
using Clock = std::chrono::steady_clock;

// Partial attention results of at most this many bytes at a time.
constexpr int64_t kPartialBytes = 64 << 20;

constexpr int64_t round_up(int64_t n, int64_t step) { return ceil_div(n, step) * step; }

}  // namespace

Forward::Forward(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Forward::~Forward() = default;

Result<std::unique_ptr<Forward>> Forward::create(std::shared_ptr<const model::Model> model,
                                                 std::shared_ptr<const Residency> weights,
                                                 std::shared_ptr<ThreadTeam> team, const kernels::Kernels& kernels,
                                                 const ForwardOptions& options) {
  if (const DeviceBuffer& there = weights->on_device(); there.size_bytes() > 0)
    return fail("forward.no_executor",
                fmt::format("{} of the weights lie on {}, and nothing computes there yet",
                            format_bytes(there.size_bytes()), there.device()->name()),
                "a placement in RAM and on disk");
  auto impl = std::make_unique<Impl>(options.shared_kv);
  impl->model = std::move(model);
  impl->weights = std::move(weights);
  impl->team = std::move(team);
  impl->k = &kernels;
  for (auto& r : impl->ranges) r = internal::WorkRanges(impl->team->size());
  impl->fetch = internal::FetchChoice(impl->model->hparams().n_layers);
  impl->options = options;
  // An encoder's pass holds a whole text, or several; of a decoder's nobody needs more than a context.
  impl->options.max_rows = impl->model->hparams().is_encoder
                               ? std::max(options.max_rows, options.n_ctx)
                               : std::max<int64_t>(1, std::min(options.max_rows, options.n_ctx));
  impl->options.max_logit_rows = std::max<int64_t>(1, std::min(options.max_logit_rows, impl->options.max_rows));
  if (options.shared_kv) {
    if (!options.shared_kv->fits(impl->model->hparams(), options.kv_types))
      return fail("kv.other_shape", "the cache to be shared belongs to a network of another shape, or has other types",
                  "a copy of the same model, with the same --kv-type");
  } else {
    WATRA_ASSIGN(
        impl->own_kv,
        KvCache::create(impl->model->hparams(), options.kv_types, std::max(options.n_ctx, options.kv_positions),
                        options.budget, options.n_sequences > 0 ? options.n_sequences : impl->options.max_logit_rows,
                        impl->options.max_rows));
    WATRA_ASSIGN(impl->key_shift,
                 internal::KeyShift::create(impl->model->hparams(), options.kv_types, *impl->weights, options.budget));
  }
  impl->steps = internal::compile(*impl->model, *impl->weights, kernels, true);
  impl->stream = impl->weights->stream();
  WATRA_TRY(impl->allocate());
  return std::unique_ptr<Forward>(new Forward(std::move(impl)));
}

Status Forward::Impl::allocate() {
  const auto& hp = model->hparams();
  const int64_t m = options.max_rows;
  int64_t kv_width = 0, max_cols = hp.d_model;
  for (const auto& l : hp.layers) {
    kv_width = std::max<int64_t>(kv_width, int64_t{l.n_kv_heads} * l.d_head);
    max_cols = std::max({max_cols, l.d_ff, int64_t{l.n_heads} * l.d_head});
  }
  const int64_t widths[model::kActs] = {hp.d_model,    hp.d_model,    hp.max_heads_width(),
                                        kv_width,      kv_width,      hp.max_heads_width(),
                                        hp.max_d_ff(), hp.max_d_ff(), hp.is_encoder ? 0 : hp.n_vocab};
  int64_t floats = 0;
  for (int a = 0; a < model::kActs; ++a) {
    act_stride[a] = round_up(widths[a], 16);
    floats += act_stride[a] * (a == static_cast<int>(Act::logits) ? options.max_logit_rows : m);
  }
  WATRA_ASSIGN(activations,
               Buffer::allocate(options.budget, "activations", static_cast<uint64_t>(floats) * sizeof(float)));
  float* at = activations.as<float>();
  for (int a = 0; a < model::kActs; ++a) {
    act[a] = at;
    at += act_stride[a] * (a == static_cast<int>(Act::logits) ? options.max_logit_rows : m);
  }

  int64_t converted_bytes[kernels::kActFormats] = {};
  for (const auto* steps_of : {&steps.layers, &steps.final_norm, &steps.logits})
    for (const Step& s : *steps_of) {
      for (const RowOp& op : s.program)
        if (op.kind == RowOp::Kind::convert)
          converted_bytes[static_cast<int>(op.format)] =
              std::max(converted_bytes[static_cast<int>(op.format)], k->act_bytes(op.format, m, op.width));
      for (const Linear& l : s.linears)
        if (!k->supports(l.weight->matrix.dtype))
          return fail("kernels.unsupported_dtype",
                      fmt::format("the {} kernels cannot multiply {} matrices", k->isa,
                                  tensor::dtype_name(l.weight->matrix.dtype)),
                      "use a file in another quantization, or another --isa");
    }
  for (int f = 0; f < kernels::kActFormats; ++f) {
    WATRA_ASSIGN(converted[f],
                 Buffer::allocate(options.budget, "converted activations", static_cast<uint64_t>(converted_bytes[f])));
  }
  const auto table_row_bytes = static_cast<int64_t>(weights->global(Role::token_embd).matrix.row_size_bytes());
  int64_t group_bytes = 0;  // of streamed rows, while they are interleaved
  for (const auto* steps_of : {&steps.layers, &steps.logits})
    for (const Step& s : *steps_of)
      for (const Linear& l : s.linears)
        if (s.units.size() > 0 && l.weight->matrix.layout == tensor::Layout::interleaved_16)
          group_bytes =
              std::max(group_bytes, static_cast<int64_t>(l.weight->matrix.row_size_bytes()) * tensor::kInterleavedRows);
  scratch_stride = round_up(std::max({k->matmul_scratch_bytes(max_cols), table_row_bytes, group_bytes}), 64);
  WATRA_ASSIGN(scratch, Buffer::allocate(options.budget, "kernel scratch",
                                         static_cast<uint64_t>(scratch_stride) * team->size()));

  const LoadedWeight& table = weights->global(Role::token_embd);
  if (!table.streamed.empty()) {
    WATRA_ASSIGN(row_reader, internal::RowReader::create(table, weights->files()->alignment(), options.budget));
    read_rows.reserve(static_cast<size_t>(m));
  }

  int64_t partial_row_bytes = 0, scratch_bytes = 0;
  const int64_t n_chunks = ceil_div<int64_t>(options.n_ctx, kernels::kAttentionChunk);
  block_rows = m;
  for (const auto& l : hp.layers) {
    const int64_t floats_of_row = kernels::attention_partial_floats(1, l.n_heads, l.d_head, n_chunks);
    partial_row_bytes = std::max(partial_row_bytes, floats_of_row * static_cast<int64_t>(sizeof(float)));
    scratch_bytes = std::max(scratch_bytes, k->attention_scratch_bytes(l.d_head));
    block_rows = std::min<int64_t>(block_rows, kernels::kAttentionPairs * l.n_kv_heads / l.n_heads);
  }
  block_rows = std::clamp<int64_t>(kPartialBytes / partial_row_bytes, 1, std::max<int64_t>(block_rows, 1));
  WATRA_ASSIGN(partial, Buffer::allocate(options.budget, "attention partials",
                                         static_cast<uint64_t>(partial_row_bytes * block_rows)));
  attention_scratch_stride = round_up(scratch_bytes, 64);
  WATRA_ASSIGN(attention_scratch, Buffer::allocate(options.budget, "attention scratch",
                                                   static_cast<uint64_t>(attention_scratch_stride) * team->size()));

  int64_t rotation_floats = 0;
  for (const auto& rope : hp.ropes) rotation_floats += m * rope.n_rot;
  WATRA_ASSIGN(rotations,
               Buffer::allocate(options.budget, "rotations", static_cast<uint64_t>(rotation_floats) * sizeof(float)));
  at = rotations.as<float>();
  for (const auto& rope : hp.ropes) {
    rope_tables.push_back(rope.table(options.n_ctx));
    rope_cos.push_back(at);
    rope_sin.push_back(at + m * (rope.n_rot / 2));
    at += m * rope.n_rot;
  }
  const auto rows = static_cast<size_t>(m);
  attention_rows.resize(rows);
  attention_blocks.reserve(rows);
  slots.resize(rows);
  positions.resize(rows);
  tail_begin.resize(rows);
  tails.reserve(rows * 32);
  out_rows.reserve(rows);
  sequences.reserve(rows);
  return {};
}

void Forward::Impl::clear_claims() {
  for (auto& c : counters) c.next.store(0, std::memory_order_relaxed);
  for (auto& r : ranges)
    for (int member = 0; member < team->size(); ++member) r.clear(member);
}

void Forward::Impl::run_row_op(const RowOp& op, int64_t i, int64_t n_rows, int64_t in_first) {
  const int64_t source = op.gathered ? out_rows[static_cast<size_t>(i)] : op.in == Act::h ? i + in_first : i;
  const float* in = row(op.in, source);
  switch (op.kind) {
    case RowOp::Kind::rms_norm:
      k->rms_norm(in, op.weight, row(op.out, i), op.width, model->hparams().norm_eps);
      break;
    case RowOp::Kind::layer_norm:
      k->layer_norm(in, op.weight, op.bias, row(op.out, i), op.width, model->hparams().norm_eps);
      break;
    case RowOp::Kind::add:
      k->add(row(op.out, i), in, op.width);
      break;
    case RowOp::Kind::add_position:
      k->add(row(op.out, i), op.weight + positions[static_cast<size_t>(i)] * op.width, op.width);
      break;
    case RowOp::Kind::add_type:
      k->add(row(op.out, i), op.weight, op.width);
      break;
    case RowOp::Kind::copy:
      std::memcpy(row(op.out, i), in, static_cast<size_t>(op.width) * sizeof(float));
      break;
    case RowOp::Kind::glu:
      k->glu(op.glu, in, op.has_up ? row(op.in2, i) : nullptr, row(op.out, i), op.width);
      break;
    case RowOp::Kind::softcap:
      k->softcap(row(op.out, i), model->hparams().final_softcap, op.width);
      break;
    case RowOp::Kind::convert:
      k->convert_act_row(op.format, in, converted[static_cast<int>(op.format)].data(), i, n_rows, op.width);
      break;
    case RowOp::Kind::head_norm:
    case RowOp::Kind::rope:
      for (int32_t h = 0; h < op.n_heads; ++h) run_head({op}, i, h, row(op.out, i));
      break;
  }
}

// Runs norms and RoPE on one head of a row of q or k.
void Forward::Impl::run_head(const std::vector<RowOp>& ops, int64_t i, int head, float* x) {
  for (const RowOp& op : ops) {
    float* at = x + head * op.width;
    if (op.kind == RowOp::Kind::head_norm) {
      k->rms_norm(at, op.weight, at, op.width, model->hparams().norm_eps);
    } else {
      const auto& rope = model->hparams().ropes[static_cast<size_t>(op.rope)];
      const int64_t half = rope.n_rot / 2;
      k->rope(at, 1, op.width, rope.n_rot, rope.style, rope_cos[static_cast<size_t>(op.rope)] + i * half,
              rope_sin[static_cast<size_t>(op.rope)] + i * half);
    }
  }
}

void Forward::Impl::run_step(const Step& s, Member& me, int64_t n_rows, int64_t in_first) {
  // A pass whose stream has failed computes what cannot be used until its layer ends: all must leave at one place.
  if (s.ends_layer && me.rank == 0 &&
      ((pass.cancel && pass.cancel->load(std::memory_order_relaxed)) || (stream && stream->has_failed())))
    abort.store(true, std::memory_order_relaxed);
  look_ahead(s.next_products, me, n_rows);
  switch (s.kind) {
    case Step::Kind::rows:
      share(me, n_rows, n_rows > 32 ? 4 : 1, [&](int64_t b, int64_t e) {
        for (; b < e; ++b)
          for (const RowOp& op : s.program) run_row_op(op, b, n_rows, in_first);
      });
      break;
    case Step::Kind::linears:
      run_linears(s, me, n_rows, in_first);
      break;
    case Step::Kind::attend:
      attend(s, me, n_rows);
      break;
  }
  if (s.op) {
    if (me.rank == 0) call_tap(s, n_rows);
    team->barrier();
  }
}

int64_t Forward::Impl::width(Act a, int layer) const {
  const auto& hp = model->hparams();
  const auto& l = hp.layers[static_cast<size_t>(std::min(layer, hp.n_layers - 1))];
  switch (a) {
    case Act::x:
    case Act::h:
      return hp.d_model;
    case Act::q:
    case Act::attn:
      return int64_t{l.n_heads} * l.d_head;
    case Act::k:
    case Act::v:
      return int64_t{l.n_kv_heads} * l.d_head;
    case Act::gate:
    case Act::up:
      return l.d_ff;
    case Act::logits:
    case Act::count:
      break;
  }
  return hp.n_vocab;
}

void Forward::Impl::call_tap(const Step& s, int64_t n_rows) {
  const model::Op& op = *s.op;
  (*pass.tap)({.layer = s.layer,
               .op = &op,
               .n_rows = n_rows,
               .input = row(op.in, 0),
               .input_width = width(op.in, s.layer),
               .input_stride = act_stride[static_cast<int>(op.in)],
               .output = row(op.out, 0),
               .output_width = width(op.out, s.layer),
               .output_stride = act_stride[static_cast<int>(op.out)]});
}

void Forward::Impl::run_logits(const std::vector<Step>& logit_steps, Member& me, int64_t first, int64_t n) {
  for (const Step& s : logit_steps) run_step(s, me, n, first);
}

Status Forward::run(const Batch& batch, const PassOptions& pass) {
  Impl& s = *impl_;
  const int n_layers = s.model->hparams().n_layers;
  s.pass = pass;
  if (s.pass.last_layer < 0) s.pass.last_layer = n_layers;
  if (s.pass.first_layer < 0 || s.pass.last_layer > n_layers || s.pass.first_layer > s.pass.last_layer ||
      (s.pass.first_layer > 0 && !s.pass.hidden_in))
    return fail("forward.bad_batch",
                fmt::format("layers {}..{} of {} cannot be run", s.pass.first_layer, s.pass.last_layer, n_layers));
  WATRA_TRY(s.prepare(batch));
  if (!s.has_key_shift) s.key_shift.compute(s.model->hparams(), s.rope_tables, *s.k);
  s.has_key_shift = true;
  if (pass.tap && !s.tapped_steps)
    s.tapped_steps = std::make_unique<CompiledGraph>(internal::compile(*s.model, *s.weights, *s.k, false));
  const CompiledGraph& steps = pass.tap ? *s.tapped_steps : s.steps;

  const auto n_rows = static_cast<int64_t>(batch.rows.size());
  const bool whole = s.pass.last_layer == n_layers;
  WATRA_TRY(s.read_embeddings());
  std::optional<WeightStream::Pass> reading;
  if (s.stream) {
    const auto first_unit = [&](int layer) { return steps.first_unit[static_cast<size_t>(layer)]; };
    const UnitRange layers{first_unit(s.pass.first_layer), first_unit(s.pass.last_layer)};
    reading.emplace(*s.stream, steps.stream_order, layers, whole && s.n_logits > 0 ? steps.logit_units() : UnitRange{});
  }
  s.abort = false;
  s.clear_claims();
  s.fetch.begin_pass(n_rows == 1 && whole && s.pass.first_layer == 0 && !s.stream && !pass.tap);
  s.team->run_claimed([&](int rank) {
    Impl::Member me{rank};
    const bool is_clock = rank == 0 && s.fetch.teaches();
    s.look_ahead(steps.layers[steps.first_step[static_cast<size_t>(s.pass.first_layer)]].next_products, me, n_rows);
    s.share(me, n_rows, n_rows > 32 ? 4 : 1, [&](int64_t b, int64_t e) {
      for (; b < e; ++b) s.embed_row(b, s.scratch.data() + rank * s.scratch_stride);
    });
    const size_t end = steps.first_step[static_cast<size_t>(s.pass.last_layer)];
    auto layer_begin = Clock::now();
    for (size_t i = steps.first_step[static_cast<size_t>(s.pass.first_layer)]; i < end; ++i) {
      s.run_step(steps.layers[i], me, n_rows, 0);
      // Looked at only behind the barrier of the step in which it may be set: everyone sees the same and leaves
      // together.
      if (!steps.layers[i].ends_layer) continue;
      if (s.abort.load(std::memory_order_relaxed)) return;
      if (!is_clock) continue;
      const auto now = Clock::now();
      s.fetch.took(steps.layers[i].layer, std::chrono::duration<double>(now - layer_begin).count());
      layer_begin = now;
    }
    if (!whole || s.out_rows.empty()) return;
    for (const Step& step : steps.final_norm) s.run_step(step, me, static_cast<int64_t>(s.out_rows.size()), 0);
    if (s.n_logits > 0) s.run_logits(steps.logits, me, 0, s.n_logits);
  });
  const Status read = reading ? reading->end() : Status{};
  if (s.abort || !read) {
    for (const auto& q : s.sequences) s.kv.forget_pass(q.id);
    if (!read) return read;
    return fail("forward.cancelled", "the pass was cancelled");
  }
  s.fetch.end_pass();
  if (whole && !s.model->hparams().is_encoder)  // of a text that was encoded nothing is kept
    for (const auto& q : s.sequences)
      if (q.is_chain) s.kv.commit_chain(q.id, q.n_rows);
  return {};
}

void Forward::warm() {
  Impl& s = *impl_;
  const auto touch = [](std::byte* memory, uint64_t n_bytes) {
    constexpr uint64_t kPage = 4096;
    for (uint64_t at = 0; at < n_bytes; at += kPage) static_cast<volatile std::byte*>(memory)[at] = std::byte{};
  };
  const auto touch_all = [&](const Buffer& b) { touch(b.data(), b.size_bytes()); };
  const int64_t rows = s.options.max_logit_rows;
  for (int a = 0; a < model::kActs; ++a)
    touch(reinterpret_cast<std::byte*>(s.act[a]), static_cast<uint64_t>(rows * s.act_stride[a]) * sizeof(float));
  for (const Buffer& b : s.converted)
    touch(b.data(), b.size_bytes() * static_cast<uint64_t>(rows) / static_cast<uint64_t>(s.options.max_rows));
  for (const Buffer* b : {&s.scratch, &s.attention_scratch, &s.partial}) touch_all(*b);
}

Status Forward::project(int64_t first, int64_t n) {
  Impl& s = *impl_;
  if (first < 0 || n < 1 || n > s.options.max_logit_rows || first + n > static_cast<int64_t>(s.out_rows.size()))
    return fail("forward.bad_batch",
                fmt::format("rows {}..{} of {} hidden states cannot be projected (at most {} at a time)", first,
                            first + n, s.out_rows.size(), s.options.max_logit_rows));
  s.pass = {};
  std::optional<WeightStream::Pass> reading;
  if (s.stream) reading.emplace(*s.stream, s.steps.stream_order, s.steps.logit_units(), UnitRange{});
  s.clear_claims();
  s.team->run_claimed([&](int rank) {
    Impl::Member me{rank};
    s.run_logits(s.steps.logits, me, first, n);
  });
  if (reading) WATRA_TRY(reading->end());
  s.n_logits = n;
  return {};
}

std::span<float> Forward::logits(int64_t i) const {
  return {impl_->row(Act::logits, i), static_cast<size_t>(impl_->model->hparams().n_vocab)};
}
int64_t Forward::n_logit_rows() const { return impl_->n_logits; }
std::span<const float> Forward::hidden(int64_t i) const {
  return {impl_->row(Act::h, i), static_cast<size_t>(impl_->model->hparams().d_model)};
}
const float* Forward::residual() const { return impl_->act[static_cast<int>(Act::x)]; }
const float* Forward::key_shift(int layer) const { return impl_->key_shift.of(layer); }
KvCache& Forward::kv() { return impl_->kv; }
const model::Model& Forward::model() const { return *impl_->model; }
const ForwardOptions& Forward::options() const { return impl_->options; }
const kernels::Kernels& Forward::kernels() const { return *impl_->k; }
int Forward::n_threads() const { return impl_->team->size(); }

}  // namespace watra::engine
