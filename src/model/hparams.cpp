#include "model/hparams.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/arch.h"
#include "tensor/quantize.h"

namespace watra::model {
namespace {

using checkpoint::Checkpoint;
using checkpoint::Metadata;

// Bounds that no dense model comes near; beyond them a number is damage, not a model.
constexpr int64_t kMaxLayers = 4096, kMaxWidth = int64_t{1} << 24, kMaxHeads = 65536, kMaxContext = int64_t{1} << 40;

tl::unexpected<Error> bad(const std::string& key, const std::string& wanted, const std::string& found) {
  return fail("model.bad_hparams", fmt::format("{} is {}, wanted {}", key, found, wanted),
              "the file's metadata is damaged or was written by a broken converter");
}

// A per-layer integer: one number for all, or an array with one entry a layer.
Status read_per_layer(const Metadata& meta, const std::string& key, std::optional<int64_t> fallback, int64_t low,
                      int64_t high, int n_layers, std::vector<int64_t>& out) {
  out.clear();
  if (const auto* a = meta.get_array(key)) {
    if (a->size() != static_cast<size_t>(n_layers))
      return bad(key, fmt::format("{} entries, one a layer", n_layers), fmt::format("an array of {}", a->size()));
    for (size_t i = 0; i < a->size(); ++i)
      out.push_back(!a->u64.empty()   ? static_cast<int64_t>(std::min<uint64_t>(a->u64[i], INT64_MAX))
                    : !a->i64.empty() ? a->i64[i]
                                      : -1);
  } else if (const auto v = meta.get_i64(key)) {
    out.assign(n_layers, *v);
  } else if (fallback) {
    out.assign(n_layers, *fallback);
  } else {
    return fail("checkpoint.missing_key", fmt::format("the file has no metadata key {}", key),
                "the file is incomplete or was written by a broken converter");
  }
  for (int64_t v : out)
    if (v < low || v > high) return bad(key, fmt::format("{}..{}", low, high), std::to_string(v));
  return {};
}

Result<int64_t> read_int(const Metadata& meta, const std::string& key, std::optional<int64_t> fallback, int64_t low,
                         int64_t high) {
  const auto v = meta.get_i64(key);
  if (!v && !fallback)
    return fail("checkpoint.missing_key", fmt::format("the file has no metadata key {}", key),
                "the file is incomplete or was written by a broken converter");
  const int64_t value = v.value_or(fallback.value_or(0));
  if (value < low || value > high) return bad(key, fmt::format("{}..{}", low, high), std::to_string(value));
  return value;
}

Result<float> read_positive(const Metadata& meta, const std::string& key, double fallback) {
  const double v = meta.get_f64(key).value_or(fallback);
  if (!std::isfinite(v) || v <= 0) return bad(key, "a positive number", fmt::format("{}", v));
  return static_cast<float>(v);
}

Result<std::vector<float>> read_factors(const Checkpoint& file, std::string_view name, int n_rot) {
  const auto* info = file.find(name);
  if (!info) return std::vector<float>{};
  if (info->dtype != tensor::DType::f32 || info->shape.elements() < n_rot / 2)
    return bad(std::string(name), fmt::format("f32 [{}]", n_rot / 2),
               fmt::format("{} {}", tensor::dtype_name(info->dtype), info->shape.to_string()));
  std::vector<float> values(static_cast<size_t>(n_rot / 2));
  WATRA_TRY(file.read(*info, std::as_writable_bytes(std::span(values))));
  for (float v : values)
    if (!std::isfinite(v) || v <= 0) return bad(std::string(name), "positive numbers", fmt::format("{}", v));
  return values;
}

Status read_rope(const Checkpoint& file, const std::string& prefix, HParams& hp) {
  const auto& meta = file.metadata();
  RopeParams rope;
  const int d_head = hp.layers[0].d_head;
  WATRA_ASSIGN(const int64_t n_rot, read_int(meta, prefix + "rope.dimension_count", d_head, 2, d_head));
  if (n_rot % 2) return bad(prefix + "rope.dimension_count", "an even number", std::to_string(n_rot));
  rope.n_rot = static_cast<int32_t>(n_rot);
  WATRA_ASSIGN(rope.theta, read_positive(meta, prefix + "rope.freq_base", 10000.0));
  const double factor =
      meta.get_f64(prefix + "rope.scaling.factor").value_or(meta.get_f64(prefix + "rope.scale_linear").value_or(0.0));
  rope.factor = factor > 0 && std::isfinite(factor) ? static_cast<float>(factor) : 1.0f;
  WATRA_ASSIGN(rope.n_ctx_original,
               read_int(meta, prefix + "rope.scaling.original_context_length", hp.n_ctx_train, 1, kMaxContext));
  const std::string type = meta.get_string(prefix + "rope.scaling.type").value_or("linear");
  if (type == "linear")
    rope.scaling = rope.factor != 1.0f ? RopeScaling::linear : RopeScaling::none;
  else if (type == "yarn")
    rope.scaling = RopeScaling::yarn;
  else if (type == "longrope")
    rope.scaling = RopeScaling::longrope;
  else if (type != "none")
    return bad(prefix + "rope.scaling.type", "none, linear, yarn or longrope", "'" + type + "'");

  WATRA_ASSIGN(rope.yarn_beta_fast, read_positive(meta, prefix + "rope.scaling.yarn_beta_fast", 32.0));
  WATRA_ASSIGN(rope.yarn_beta_slow, read_positive(meta, prefix + "rope.scaling.yarn_beta_slow", 1.0));
  WATRA_ASSIGN(auto long_factors, read_factors(file, "rope_factors_long.weight", rope.n_rot));
  WATRA_ASSIGN(auto short_factors, read_factors(file, "rope_factors_short.weight", rope.n_rot));
  WATRA_ASSIGN(auto freqs, read_factors(file, "rope_freqs.weight", rope.n_rot));
  if (!long_factors.empty() || !short_factors.empty()) {
    rope.scaling = RopeScaling::longrope;
    rope.freq_factors = std::move(short_factors);
    rope.freq_factors_long = std::move(long_factors);
  } else {
    rope.freq_factors = std::move(freqs);
  }

  // Longrope's magnitude where the file does not say it: sqrt(1 + ln(s) / ln(n_ctx_original)), s = n_ctx_train /
  // n_ctx_original.
  double attention_factor = 1.0;
  if (rope.scaling == RopeScaling::longrope && hp.n_ctx_train > rope.n_ctx_original && rope.n_ctx_original > 1)
    attention_factor = std::sqrt(1.0 + std::log(static_cast<double>(hp.n_ctx_train) / rope.n_ctx_original) /
                                           std::log(static_cast<double>(rope.n_ctx_original)));
  WATRA_ASSIGN(rope.attention_factor, read_positive(meta, prefix + "rope.scaling.attn_factor", attention_factor));
  hp.ropes.push_back(std::move(rope));
  return {};
}

// GGUF's pooling_type: 1 mean, 2 cls, 3 last; a file that says nothing, or none (0), is averaged.
Status read_pooling(const Metadata& meta, const std::string& key, HParams& hp) {
  const uint64_t type = meta.get_u64(key).value_or(1);
  if (type == 4 && hp.is_encoder)
    return fail("model.unsupported", fmt::format("{} is 4: this encoder ranks documents, it gives no vectors", key),
                "use an embedding model: all-minilm, bge, e5, nomic-embed-text");
  hp.pooling = type == 2 ? Pooling::first : type == 3 ? Pooling::last : Pooling::mean;
  return {};
}

}  // namespace

Result<HParams> read_hparams(const Checkpoint& file) {
  const auto& meta = file.metadata();
  HParams hp;
  WATRA_ASSIGN(hp.architecture, meta.require_string("general.architecture"));
  const Architecture* arch = find_architecture(hp.architecture);
  if (!arch) {
    std::string known;
    for (const auto* a : architectures())
      known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", a->name, a->families);
    return fail("model.unknown_architecture",
                fmt::format("the file's architecture is '{}', which Watra does not run", hp.architecture),
                "it runs " + known);
  }
  hp.name = meta.get_string("general.name").value_or("");
  const std::string p = hp.architecture + ".";

  WATRA_ASSIGN(const int64_t n_layers, read_int(meta, p + "block_count", {}, 1, kMaxLayers));
  hp.n_layers = static_cast<int32_t>(n_layers);
  WATRA_ASSIGN(hp.d_model, read_int(meta, p + "embedding_length", {}, 1, kMaxWidth));
  WATRA_ASSIGN(hp.n_ctx_train, read_int(meta, p + "context_length", {}, 1, kMaxContext));
  hp.is_encoder = arch->encoder.has_value();
  WATRA_ASSIGN(hp.norm_eps, hp.is_encoder ? read_positive(meta, p + "attention.layer_norm_epsilon", 1e-12)
                                          : read_positive(meta, p + "attention.layer_norm_rms_epsilon", 1e-5));
  WATRA_TRY(read_pooling(meta, p + "pooling_type", hp));
  if (hp.is_encoder && meta.get_bool(p + "attention.causal").value_or(false))
    return bad(p + "attention.causal", "false, as encoders have it", "true");

  std::vector<int64_t> heads, kv_heads, d_ff;
  WATRA_TRY(read_per_layer(meta, p + "attention.head_count", {}, 1, kMaxHeads, hp.n_layers, heads));
  WATRA_TRY(read_per_layer(meta, p + "feed_forward_length", {}, 1, kMaxWidth, hp.n_layers, d_ff));
  if (meta.has(p + "attention.head_count_kv"))
    WATRA_TRY(read_per_layer(meta, p + "attention.head_count_kv", {}, 1, kMaxHeads, hp.n_layers, kv_heads));
  else
    kv_heads = heads;
  WATRA_ASSIGN(const int64_t d_head, read_int(meta, p + "attention.key_length", hp.d_model / heads[0], 2, 65536));
  WATRA_ASSIGN(const int64_t d_value, read_int(meta, p + "attention.value_length", d_head, 1, 65536));
  if (d_value != d_head)
    return bad(p + "attention.value_length", fmt::format("{} (key_length)", d_head), std::to_string(d_value));
  hp.layers.resize(static_cast<size_t>(hp.n_layers));
  for (int i = 0; i < hp.n_layers; ++i) {
    LayerHParams& l = hp.layers[i];
    l.n_heads = static_cast<int32_t>(heads[i]);
    l.n_kv_heads = static_cast<int32_t>(kv_heads[i]);
    l.d_head = static_cast<int32_t>(d_head);
    l.d_ff = d_ff[i];
    l.window = 0;
    if (heads[i] % kv_heads[i])
      return bad(p + "attention.head_count", fmt::format("a multiple of the {} kv heads in layer {}", kv_heads[i], i),
                 std::to_string(heads[i]));
    if (heads[i] * d_head > kMaxWidth) return bad(p + "attention.key_length", "a smaller head", std::to_string(d_head));
  }
  hp.attention_scale =
      static_cast<float>(meta.get_f64(p + "attention.scale").value_or(1.0 / std::sqrt(static_cast<double>(d_head))));

  const auto* embedding = file.find("token_embd.weight");
  if (!embedding)
    return fail("model.no_weights",
                "the file has no token_embd.weight: it holds a vocabulary or a part of a model, not a whole one",
                "`watra tokenize` works on it; to run a model, use the complete file (all its splits in one folder)");
  hp.n_vocab = embedding->shape.rows();
  hp.tied_embeddings = !hp.is_encoder && file.find("output.weight") == nullptr;

  // A window most files of the family state plainly; families with a pattern of windows replace it in complete().
  if (const auto window = meta.get_i64(p + "attention.sliding_window");
      window && *window > 0 && *window < hp.n_ctx_train)
    if (arch == &kLlama || (arch != &kGemma2 && arch != &kGemma3 && arch != &kPhi3 &&
                            meta.get_bool(p + "use_sliding_window").value_or(false)))
      for (LayerHParams& l : hp.layers) l.window = *window;

  if (!hp.is_encoder || !arch->encoder->learned_positions) WATRA_TRY(read_rope(file, p, hp));
  WATRA_TRY(arch->complete(file, hp));
  return hp;
}

RopeParams::Table RopeParams::table(int64_t n_ctx) const {
  Table t;
  const int n = n_rot / 2;
  t.inv_freq.resize(n);
  for (int i = 0; i < n; ++i) t.inv_freq[i] = std::pow(static_cast<double>(theta), -2.0 * i / n_rot);

  // Longrope has two sets of factors: one up to the original context, one beyond. A conversation keeps one set from its
  // first token on (keys are cached rotated), so the choice is by the context it may grow to.
  const auto& factors = scaling == RopeScaling::longrope && n_ctx > n_ctx_original && !freq_factors_long.empty()
                            ? freq_factors_long
                            : freq_factors;
  if (!factors.empty())
    for (int i = 0; i < n; ++i) t.inv_freq[i] /= factors[i];

  switch (scaling) {
    case RopeScaling::none:
      break;
    case RopeScaling::linear:
      for (double& f : t.inv_freq) f /= factor;
      break;
    case RopeScaling::yarn: {
      // "NTK by parts" (YaRN, arXiv 2309.00071, section 3.2): dimensions that turn often keep their frequency, those
      // that turn less than once over the original context are stretched, a linear ramp lies between.
      const auto dimension_of = [&](double turns) {
        return n_rot * std::log(static_cast<double>(n_ctx_original) / (turns * 2 * std::numbers::pi)) /
               (2 * std::log(static_cast<double>(theta)));
      };
      const double low = std::max(0.0, std::floor(dimension_of(yarn_beta_fast)));
      const double high = std::min(n_rot - 1.0, std::ceil(dimension_of(yarn_beta_slow)));
      for (int i = 0; i < n; ++i) {
        const double stretched = std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
        t.inv_freq[i] = t.inv_freq[i] / factor * stretched + t.inv_freq[i] * (1 - stretched);
      }
      t.magnitude = static_cast<float>(1.0 + 0.1 * std::log(std::max(1.0, static_cast<double>(factor))));
      break;
    }
    case RopeScaling::longrope:
      break;
  }
  t.magnitude *= attention_factor;
  return t;
}

int64_t HParams::kv_bytes_per_position(kernels::KvType k, kernels::KvType v) const {
  int64_t bytes = 0;
  for (const LayerHParams& l : layers) {
    const int64_t of_layer =
        int64_t{l.n_kv_heads} * (kernels::kv_row_bytes(k, l.d_head) + kernels::kv_row_bytes(v, l.d_head));
    bytes = is_encoder ? std::max(bytes, of_layer) : bytes + of_layer;
  }
  return bytes;
}
int64_t HParams::max_heads_width() const {
  int64_t w = 0;
  for (const LayerHParams& l : layers) w = std::max<int64_t>(w, static_cast<int64_t>(l.n_heads) * l.d_head);
  return w;
}
int64_t HParams::max_d_ff() const {
  int64_t w = 0;
  for (const LayerHParams& l : layers) w = std::max(w, l.d_ff);
  return w;
}

}  // namespace watra::model
