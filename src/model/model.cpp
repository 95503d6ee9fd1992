#include "model/model.h"

#include <algorithm>

#include "tensor/quantize.h"

namespace watra::model {

namespace {

struct RoleNames {
  Role role;
  std::string_view name;
};
constexpr RoleNames kRoleNames[] = {
    {Role::token_embd, "token_embd"},
    {Role::position_embd, "position_embd"},
    {Role::token_types, "token_types"},
    {Role::token_embd_norm, "token_embd_norm"},
    {Role::output_norm, "output_norm"},
    {Role::output, "output"},
    {Role::attn_norm, "attn_norm"},
    {Role::attn_q, "attn_q"},
    {Role::attn_k, "attn_k"},
    {Role::attn_v, "attn_v"},
    {Role::attn_q_norm, "attn_q_norm"},
    {Role::attn_k_norm, "attn_k_norm"},
    {Role::attn_output, "attn_output"},
    {Role::attn_post_norm, "post_attention_norm"},
    {Role::ffn_norm, "ffn_norm"},
    {Role::ffn_gate, "ffn_gate"},
    {Role::ffn_up, "ffn_up"},
    {Role::ffn_down, "ffn_down"},
    {Role::ffn_post_norm, "post_ffw_norm"},
    {Role::attn_output_norm, "attn_output_norm"},
    {Role::layer_output_norm, "layer_output_norm"},
};
static_assert(std::size(kRoleNames) == kRoles);

}  // namespace

std::string_view role_name(Role role) { return kRoleNames[static_cast<int>(role)].name; }

std::string_view act_name(Act act) {
  constexpr std::string_view names[] = {"x", "h", "q", "k", "v", "attn", "gate", "up", "logits"};
  return names[static_cast<int>(act)];
}

std::span<const Architecture* const> architectures() {
  static const Architecture* const all[] = {&kLlama,  &kQwen2, &kQwen3, &kGemma,    &kGemma2,
                                            &kGemma3, &kPhi3,  &kBert,  &kNomicBert};
  return all;
}

const Architecture* find_architecture(std::string_view name) {
  for (const Architecture* a : architectures())
    if (a->name == name) return a;
  return nullptr;
}

namespace {

using checkpoint::Checkpoint;
using checkpoint::TensorInfo;

// Finds the tensors of one layer (or of the whole model, layer < 0) and checks their shapes.
class Binder {
 public:
  Binder(const Checkpoint& file, const HParams& hp, const Architecture& arch)
      : file_(file), hp_(hp), style_(arch.style), encoder_(arch.encoder) {}

  Result<RoleWeights> globals() {
    RoleWeights w{};
    WATRA_TRY(bind(w, Role::token_embd, -1, hp_.n_vocab, hp_.d_model));
    if (encoder_) {
      if (encoder_->learned_positions) WATRA_TRY(bind_table(w, Role::position_embd));
      if (file_.find("token_types.weight")) WATRA_TRY(bind_table(w, Role::token_types));
      WATRA_TRY(bind_layer_norm(w, Role::token_embd_norm, -1));
      return w;
    }
    WATRA_TRY(bind(w, Role::output_norm, -1, 0, hp_.d_model));
    if (hp_.tied_embeddings)
      w[index(Role::output)] = w[index(Role::token_embd)];
    else
      WATRA_TRY(bind(w, Role::output, -1, hp_.n_vocab, hp_.d_model));
    return w;
  }

  Result<RoleWeights> layer(int i) {
    RoleWeights w{};
    const LayerHParams& l = hp_.layers[i];
    const int64_t d = hp_.d_model, q_rows = int64_t{l.n_heads} * l.d_head, kv_rows = int64_t{l.n_kv_heads} * l.d_head;
    if (!encoder_) WATRA_TRY(bind(w, Role::attn_norm, i, 0, d));
    if (style_.fused_qkv && !file_.find(tensor_name("attn_q", i))) {
      WATRA_TRY(bind_slice(w, Role::attn_q, "attn_qkv", i, 0, q_rows, q_rows + 2 * kv_rows, d));
      WATRA_TRY(bind_slice(w, Role::attn_k, "attn_qkv", i, q_rows, kv_rows, q_rows + 2 * kv_rows, d));
      WATRA_TRY(bind_slice(w, Role::attn_v, "attn_qkv", i, q_rows + kv_rows, kv_rows, q_rows + 2 * kv_rows, d));
    } else {
      WATRA_TRY(bind(w, Role::attn_q, i, q_rows, d));
      WATRA_TRY(bind(w, Role::attn_k, i, kv_rows, d));
      WATRA_TRY(bind(w, Role::attn_v, i, kv_rows, d));
    }
    if (style_.qk_norm) {
      WATRA_TRY(bind(w, Role::attn_q_norm, i, 0, l.d_head));
      WATRA_TRY(bind(w, Role::attn_k_norm, i, 0, l.d_head));
    }
    WATRA_TRY(bind(w, Role::attn_output, i, d, q_rows));
    if (encoder_) {
      if (encoder_->is_gated) WATRA_TRY(bind(w, Role::ffn_gate, i, l.d_ff, d));
      WATRA_TRY(bind(w, Role::ffn_up, i, l.d_ff, d));
      WATRA_TRY(bind(w, Role::ffn_down, i, d, l.d_ff));
      WATRA_TRY(bind_layer_norm(w, Role::attn_output_norm, i));
      WATRA_TRY(bind_layer_norm(w, Role::layer_output_norm, i));
      return w;
    }
    WATRA_TRY(bind(w, Role::ffn_norm, i, 0, d));
    if (style_.fused_gate_up && !file_.find(tensor_name("ffn_gate", i))) {
      WATRA_TRY(bind_slice(w, Role::ffn_gate, "ffn_up", i, 0, l.d_ff, 2 * l.d_ff, d));
      WATRA_TRY(bind_slice(w, Role::ffn_up, "ffn_up", i, l.d_ff, l.d_ff, 2 * l.d_ff, d));
    } else {
      WATRA_TRY(bind(w, Role::ffn_gate, i, l.d_ff, d));
      WATRA_TRY(bind(w, Role::ffn_up, i, l.d_ff, d));
    }
    WATRA_TRY(bind(w, Role::ffn_down, i, d, l.d_ff));
    if (style_.post_norms) {
      WATRA_TRY(bind(w, Role::attn_post_norm, i, 0, d));
      WATRA_TRY(bind(w, Role::ffn_post_norm, i, 0, d));
    }
    return w;
  }

 private:
  static size_t index(Role r) { return static_cast<size_t>(r); }
  static std::string tensor_name(std::string_view role, int layer, std::string_view kind = "weight") {
    return layer < 0 ? fmt::format("{}.{}", role, kind) : fmt::format("blk.{}.{}.{}", layer, role, kind);
  }

  // rows 0: a vector of `cols`.
  Status bind(RoleWeights& w, Role role, int layer, int64_t rows, int64_t cols) {
    return bind_slice(w, role, role_name(role), layer, 0, rows, rows, cols);
  }

  Status bind_layer_norm(RoleWeights& w, Role role, int layer) {
    WATRA_TRY(bind(w, role, layer, 0, hp_.d_model));
    WATRA_ASSIGN(w[index(role)].bias, expect(tensor_name(role_name(role), layer, "bias"), 0, hp_.d_model));
    return {};
  }

  // As many rows as the file has.
  Status bind_table(RoleWeights& w, Role role) {
    const TensorInfo* info = file_.find(tensor_name(role_name(role), -1));
    WATRA_TRY(bind(w, role, -1, info ? info->shape.rows() : hp_.n_ctx_train, hp_.d_model));
    w[index(role)].is_table = true;
    return {};
  }

  Status bind_slice(RoleWeights& w, Role role, std::string_view name, int layer, int64_t begin, int64_t n, int64_t rows,
                    int64_t cols) {
    WATRA_ASSIGN(const TensorInfo* info, expect(tensor_name(name, layer), rows, cols));
    BoundWeight& b = w[index(role)];
    b.tensor = info;
    b.row_begin = begin;
    b.row_end = begin + (rows ? n : 1);
    if (rows && file_.find(tensor_name(name, layer, "bias"))) {
      WATRA_ASSIGN(b.bias, expect(tensor_name(name, layer, "bias"), 0, rows));
      b.bias_begin = begin;
    }
    return {};
  }

  Result<const TensorInfo*> expect(const std::string& name, int64_t rows, int64_t cols) {
    const TensorInfo* info = file_.find(name);
    if (!info)
      return fail(
          "model.missing_tensor",
          fmt::format("{} has no tensor {}, which a {} model needs",
                      file_.has_files() ? file_.paths()[0].filename().string() : "the model", name, hp_.architecture),
          "the file is incomplete, or a variant of the family that Watra does not know");
    const bool vector_ok = rows == 0 && info->shape.elements() == cols && info->shape.cols() == cols;
    const bool matrix_ok = rows > 0 && info->shape.rank() == 2 && info->shape[0] == rows && info->shape[1] == cols;
    if (!vector_ok && !matrix_ok)
      return fail("model.wrong_shape",
                  fmt::format("{} has shape {}, wanted {}", name, info->shape.to_string(),
                              rows ? fmt::format("[{}, {}]", rows, cols) : fmt::format("[{}]", cols)),
                  "the metadata and the tensors of this file do not belong together");
    if (!tensor::can_dequantize(info->dtype))
      return fail(
          "model.unsupported_dtype",
          fmt::format("{} is stored as {}, which cannot be computed with", name, tensor::dtype_name(info->dtype)),
          "use a file in another quantization");
    return info;
  }

  const Checkpoint& file_;
  const HParams& hp_;
  const DecoderStyle& style_;
  const std::optional<EncoderStyle>& encoder_;
};

}  // namespace

Result<std::shared_ptr<const Model>> Model::open(const fs::path& path, std::span<const fs::path> folders) {
  WATRA_ASSIGN(Checkpoint file, Checkpoint::open(path, folders));
  return from(std::move(file));
}

Result<std::shared_ptr<const Model>> Model::from(Checkpoint file) {
  auto m = std::make_shared<Model>();
  m->file_ = std::move(file);
  WATRA_ASSIGN(m->hparams_, read_hparams(m->file_));
  const Architecture* arch = find_architecture(m->hparams_.architecture);
  Binder binder(m->file_, m->hparams_, *arch);
  WATRA_ASSIGN(m->globals_, binder.globals());
  for (int i = 0; i < m->hparams_.n_layers; ++i) {
    WATRA_ASSIGN(auto weights, binder.layer(i));
    m->layers_.push_back(weights);
  }
  const bool has_types = static_cast<bool>(m->globals_[static_cast<size_t>(Role::token_types)]);
  m->graph_ =
      arch->encoder ? build_encoder(m->hparams_, *arch->encoder, has_types) : build_decoder(m->hparams_, arch->style);
  return std::shared_ptr<const Model>(std::move(m));
}

int64_t count_params(const Checkpoint& file) {
  int64_t n = 0;
  for (const auto& t : file.tensors())
    if (!t.name.starts_with("rope_")) n += t.shape.elements();
  return n;
}
int64_t Model::n_params() const { return count_params(file_); }

uint64_t Model::weight_bytes() const {
  uint64_t n = 0;
  for (const auto& t : file_.tensors()) n += t.size_bytes;
  return n;
}

const TensorInfo* Model::gathered_table() const {
  return hparams_.tied_embeddings ? nullptr : globals_[static_cast<size_t>(Role::token_embd)].tensor;
}

uint64_t Model::pass_bytes() const {
  uint64_t n = weight_bytes();
  if (const TensorInfo* e = gathered_table()) n -= e->size_bytes - tensor::row_bytes(e->dtype, e->shape.cols());
  return n;
}

int64_t Model::pass_macs() const {
  int64_t n = n_params();
  if (const TensorInfo* e = gathered_table()) n -= e->shape.elements();
  return n;
}

}  // namespace watra::model
