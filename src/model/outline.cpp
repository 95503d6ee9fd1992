#include "model/outline.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>

#include "model/file_quant.h"

namespace watra::model {

namespace {

template <class Get>
auto sum(const std::vector<OutlineTensor>& tensors, Get get) {
  decltype(get(tensors[0])) n = 0;
  for (const auto& t : tensors) n += get(t);
  return n;
}

bool is_rotary(const OutlineTensor& t) { return t.name.starts_with("rope_"); }

// The format most of its bytes are in.
std::string main_format_of(const ModelOutline& o) {
  std::map<tensor::DType, uint64_t> bytes;
  for (const auto& t : o.tensors) bytes[t.dtype] += t.bytes();
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() ? "" : std::string(tensor::traits(most->first).gguf_name);
}

}  // namespace

int64_t ModelOutline::n_params() const {
  return sum(tensors, [](const OutlineTensor& t) { return is_rotary(t) ? 0 : t.elements(); });
}

int64_t ModelOutline::n_active_params() const {
  return static_cast<int64_t>(sum(tensors, [this](const OutlineTensor& t) {
    return is_rotary(t) ? 0.0 : static_cast<double>(t.elements()) * read_share(t);
  }));
}

uint64_t ModelOutline::weight_bytes() const {
  return sum(tensors, [](const OutlineTensor& t) { return t.bytes(); });
}

double ModelOutline::read_share(const OutlineTensor& t, int64_t m) const {
  switch (t.read) {
    case OutlineTensor::Read::whole:
      return 1;
    case OutlineTensor::Read::gathered:
      return std::min(1.0, static_cast<double>(m) / static_cast<double>(std::max<int64_t>(1, t.rows)));
    case OutlineTensor::Read::experts:
      if (n_experts <= 0) return 1;
      return 1 - std::pow(1 - static_cast<double>(n_experts_used) / n_experts, static_cast<double>(m));
    case OutlineTensor::Read::never:
      return 0;
  }
  return 1;
}

double ModelOutline::pass_bytes(int64_t m) const {
  return sum(tensors, [&](const OutlineTensor& t) { return static_cast<double>(t.bytes()) * read_share(t, m); });
}

double ModelOutline::macs_of(const OutlineTensor& t) const {
  if (t.rank < 2 || t.read == OutlineTensor::Read::gathered || t.read == OutlineTensor::Read::never) return 0;
  return static_cast<double>(t.elements()) * read_share(t);
}

double ModelOutline::pass_macs() const {
  return sum(tensors, [this](const OutlineTensor& t) { return macs_of(t); });
}

uint64_t ModelOutline::kv_bytes_per_position(int layer, kernels::KvType k, kernels::KvType v) const {
  const LayerHParams& l = layers[static_cast<size_t>(layer)];
  return static_cast<uint64_t>(l.n_kv_heads) *
         static_cast<uint64_t>(kernels::kv_row_bytes(k, l.d_head) + kernels::kv_row_bytes(v, l.d_head));
}

uint64_t ModelOutline::kv_bytes_per_position(kernels::KvType k, kernels::KvType v) const {
  uint64_t n = 0;
  for (int i = 0; i < n_layers; ++i) {
    const uint64_t of_layer = kv_bytes_per_position(i, k, v);
    n = is_encoder ? std::max(n, of_layer) : n + of_layer;
  }
  return n;
}

uint64_t ModelOutline::kv_read_bytes(int layer, int64_t depth, kernels::KvType k, kernels::KvType v) const {
  const int64_t window = layers[static_cast<size_t>(layer)].window;
  return static_cast<uint64_t>(window > 0 ? std::min(window, depth) : depth) * kv_bytes_per_position(layer, k, v);
}

MixNetwork ModelOutline::mix_network() const {
  return {.architecture = architecture,
          .n_layers = n_layers,
          .n_heads = layers.empty() ? 0 : layers[0].n_heads,
          .n_kv_heads = layers.empty() ? 0 : layers[0].n_kv_heads,
          .n_experts = n_experts,
          .tied_embeddings = tied_embeddings};
}

namespace {

// What each tensor of a model is read for.
class Roles {
 public:
  explicit Roles(const Model& model) {
    add_all(model.globals(), -1);
    for (int l = 0; l < model.hparams().n_layers; ++l) add_all(model.layer(l), l);
  }

  bool has(const checkpoint::TensorInfo& t) const { return slices_.contains(&t); }
  bool is_table(const checkpoint::TensorInfo& t) const { return tables_.contains(&t); }
  // Slices of a matrix by their rows; none where one role has all of them and they lie like no others.
  std::vector<OutlineTensor::Slice> slices_of(const checkpoint::TensorInfo& t) const {
    std::vector<OutlineTensor::Slice> s = slices_.at(&t);
    std::sort(s.begin(), s.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
    s.erase(std::unique(s.begin(), s.end(), [](const auto& a, const auto& b) { return a.begin == b.begin; }), s.end());
    if (s.size() == 1 && s[0].pair < 0) s.clear();
    return s;
  }

 private:
  void add_all(const RoleWeights& roles, int layer) {
    const BoundWeight &gate = roles[static_cast<size_t>(Role::ffn_gate)],
                      &up = roles[static_cast<size_t>(Role::ffn_up)];
    const bool paired = layer >= 0 && gate && up && gate.rows() == up.rows() &&
                        gate.tensor->dtype == up.tensor->dtype && gate.tensor->shape.cols() == up.tensor->shape.cols();
    for (const BoundWeight& w : roles) {
      if (w) slices_[w.tensor].push_back({w.row_begin, w.row_end, paired && (&w == &gate || &w == &up) ? layer : -1});
      if (w.bias) slices_[w.bias];
      if (w.is_table) tables_.insert(w.tensor);
    }
  }

  std::map<const checkpoint::TensorInfo*, std::vector<OutlineTensor::Slice>> slices_;
  std::set<const checkpoint::TensorInfo*> tables_;
};

}  // namespace

ModelOutline outline_of(const Model& model) {
  const HParams& hp = model.hparams();
  const Roles roles(model);
  ModelOutline o{.name = hp.name,
                 .architecture = hp.architecture,
                 .n_layers = hp.n_layers,
                 .d_model = hp.d_model,
                 .n_vocab = hp.n_vocab,
                 .n_ctx_train = hp.n_ctx_train,
                 .tied_embeddings = hp.tied_embeddings,
                 .is_encoder = hp.is_encoder,
                 .layers = hp.layers};
  for (const auto& info : model.file().tensors()) {
    OutlineTensor t{.name = info.name, .dtype = info.dtype, .rows = info.shape.rows(), .cols = info.shape.cols()};
    t.rank = roles.is_table(info) ? 1 : info.shape.rank();
    int layer = -1;
    if (info.name.starts_with("blk."))
      std::from_chars(info.name.data() + 4, info.name.data() + info.name.size(), layer);
    t.layer = layer >= 0 && layer < hp.n_layers ? layer : -1;
    if (!roles.has(info))
      t.read = OutlineTensor::Read::never;
    else if (&info == model.gathered_table())
      t.read = OutlineTensor::Read::gathered;
    else if (t.rank >= 2)
      t.slices = roles.slices_of(info);
    o.tensors.push_back(std::move(t));
  }
  // A file's own word names it, else its most common format, unless the mixes tell better: a "Q4_K" file with Q6_K in
  // its values and down projections is what everybody calls Q4_K_M.
  if (auto declared = declared_quant(model.file().metadata())) {
    o.quant = *std::move(declared);
    return o;
  }
  o.quant = main_format_of(o);
  for (const auto& m : quant_mixes()) {
    if (std::string_view(tensor::traits(m.base).gguf_name) != o.quant) continue;
    const uint64_t as_mixed = requantized(o, m.mix).weight_bytes(), is = o.weight_bytes();
    if (as_mixed == is) {
      o.quant = m.name;
      break;
    }
  }
  return o;
}

ModelOutline requantized(const ModelOutline& outline, QuantMix mix) {
  ModelOutline o = outline;
  o.quant = quant_mix_info(mix).name;
  const MixNetwork net = o.mix_network();
  for (OutlineTensor& t : o.tensors) t.dtype = mixed_dtype(mix, net, t.name, t.layer, t.rank, t.cols);
  return o;
}

ModelOutline low_bit_copy(const ModelOutline& outline, tensor::DType type) {
  ModelOutline o = outline;
  o.quant = tensor::traits(type).gguf_name;
  for (OutlineTensor& t : o.tensors) t.dtype = low_bit_dtype(type, t.name, t.dtype, t.rank, t.cols);
  return o;
}

ModelOutline outline_of(const KnownShape& s, QuantMix mix) {
  ModelOutline o{.name = std::string(s.label),
                 .architecture = std::string(s.architecture),
                 .n_layers = s.n_layers,
                 .n_experts = s.n_experts,
                 .n_experts_used = s.n_experts_used,
                 .d_model = s.d_model,
                 .n_vocab = s.n_vocab,
                 .n_ctx_train = s.n_ctx,
                 .tied_embeddings = s.tied};
  using Read = OutlineTensor::Read;
  const int64_t d = s.d_model, q = int64_t{s.n_heads} * s.d_head, kv = int64_t{s.n_kv_heads} * s.d_head;
  const auto add = [&](std::string name, int layer, int64_t rows, int64_t cols, Read read = Read::whole) {
    o.tensors.push_back({.name = std::move(name), .rows = rows, .cols = cols, .layer = layer, .read = read});
  };
  const auto vector = [&](std::string name, int layer, int64_t n) {
    add(std::move(name), layer, 1, n);
    o.tensors.back().rank = 1;
  };
  add("token_embd.weight", -1, s.n_vocab, d, s.tied ? Read::whole : Read::gathered);
  for (int i = 0; i < s.n_layers; ++i) {
    const bool sees_all = s.window == 0 || (s.window_pattern > 0 && (i + 1) % s.window_pattern == 0);
    o.layers.push_back({.n_heads = s.n_heads,
                        .n_kv_heads = s.n_kv_heads,
                        .d_head = s.d_head,
                        .d_ff = s.d_ff > 0 ? s.d_ff : s.d_ff_expert,
                        .window = sees_all ? 0 : s.window});
    const std::string p = fmt::format("blk.{}.", i);
    vector(p + "attn_norm.weight", i, d);
    if (s.fused_qkv) {
      add(p + "attn_qkv.weight", i, q + 2 * kv, d);
      o.tensors.back().slices = {{0, q}, {q, q + kv}, {q + kv, q + 2 * kv}};
    } else {
      add(p + "attn_q.weight", i, q, d);
      add(p + "attn_k.weight", i, kv, d);
      add(p + "attn_v.weight", i, kv, d);
    }
    if (s.qkv_bias) vector(p + "attn_q.bias", i, q + 2 * kv);
    add(p + "attn_output.weight", i, d, q);
    vector(p + "ffn_norm.weight", i, d);
    if (s.d_ff > 0) {
      const auto add_paired = [&](const char* name) {
        add(p + name, i, s.d_ff, d);
        if (s.gated) o.tensors.back().slices = {{0, s.d_ff, i}};
      };
      if (s.gated) add_paired("ffn_gate.weight");
      add_paired("ffn_up.weight");
      add(p + "ffn_down.weight", i, d, s.d_ff);
    }
    if (s.n_experts > 0) {
      add(p + "ffn_gate_inp.weight", i, s.n_experts, d);
      add(p + "ffn_gate_exps.weight", i, s.n_experts * s.d_ff_expert, d, Read::experts);
      add(p + "ffn_up_exps.weight", i, s.n_experts * s.d_ff_expert, d, Read::experts);
      add(p + "ffn_down_exps.weight", i, s.n_experts * d, s.d_ff_expert, Read::experts);
    }
  }
  vector("output_norm.weight", -1, d);
  if (!s.tied) add("output.weight", -1, s.n_vocab, d);
  return requantized(o, mix);
}

}  // namespace watra::model
