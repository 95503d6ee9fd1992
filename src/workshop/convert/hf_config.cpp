#include "workshop/convert/hf_config.h"

#include <array>
#include <nlohmann/json.hpp>

#include "workshop/convert/json_fields.h"

namespace watra::workshop {

using nlohmann::json;

namespace {

constexpr uint64_t kMaxConfigBytes = 16 << 20;
constexpr int64_t kMaxLayers = 4096;    // the deepest published dense model has 126
constexpr int64_t kMaxWidth = 1 << 22;  // so that products of three widths fit 64 bits
constexpr int64_t kMaxVocab = 1 << 26;
constexpr int64_t kMaxContext = int64_t{1} << 31;
constexpr size_t kMaxRopeFactors = 4096;

// What transformers assumes for keys that a config.json leaves out.
struct Defaults {
  HfFamily family;
  const char* architecture;
  const char* activation;
  std::optional<int64_t> n_heads, n_kv_heads, d_head, n_vocab, d_model, d_ff, n_layers;
  int64_t n_ctx;
  double norm_eps;
  double rope_theta;
  bool tied;
  std::optional<int64_t> sliding_window;
};

const std::array<Defaults, 10>& all_defaults() {
  static const std::array<Defaults, 10> table = {{
      {HfFamily::llama, "LlamaForCausalLM", "silu", {}, {}, {}, {}, {}, {}, {}, 2048, 1e-6, 10000, false, {}},
      {HfFamily::mistral, "MistralForCausalLM", "silu", {}, 8, {}, {}, {}, {}, {}, 131072, 1e-6, 10000, false, 4096},
      {HfFamily::qwen2, "Qwen2ForCausalLM", "silu", {}, 32, {}, {}, {}, {}, {}, 32768, 1e-6, 10000, false, {}},
      {HfFamily::qwen3, "Qwen3ForCausalLM", "silu", {}, 32, 128, {}, {}, {}, {}, 32768, 1e-6, 10000, false, {}},
      {HfFamily::gemma2, "Gemma2ForCausalLM", "gelu_pytorch_tanh", 8, 4, 256, 256000, 2304, 9216, 26, 8192, 1e-6, 10000,
       true, 4096},
      {HfFamily::gemma3, "Gemma3ForCausalLM", "gelu_pytorch_tanh", 8, 4, 256, 262208, 2304, 9216, 26, 131072, 1e-6, 1e6,
       true, 4096},
      {HfFamily::gemma3, "Gemma3ForConditionalGeneration", "gelu_pytorch_tanh", 8, 4, 256, 262208, 2304, 9216, 26,
       131072, 1e-6, 1e6, true, 4096},
      {HfFamily::phi3, "Phi3ForCausalLM", "silu", {}, {}, {}, {}, {}, {}, {}, 4096, 1e-5, 10000, false, {}},
      {HfFamily::bert, "BertModel", "gelu", 12, {}, {}, 30522, 768, 3072, 12, 512, 1e-12, 10000, false, {}},
      {HfFamily::nomic_bert, "NomicBertModel", "silu", 12, {}, {}, 30528, 768, 3072, 12, 2048, 1e-12, 1000, false, {}},
  }};
  return table;
}

tl::unexpected<Error> unsupported(std::string what, std::string hint = {}) {
  return fail("convert.unsupported_config", "config.json: " + std::move(what), std::move(hint));
}

Result<const Defaults*> find_architecture(const json& config) {
  std::string name;
  if (auto it = config.find("architectures");
      it != config.end() && it->is_array() && !it->empty() && (*it)[0].is_string())
    name = (*it)[0].get<std::string>();
  std::string known;
  for (const Defaults& d : all_defaults()) {
    if (name == d.architecture) return &d;
    known += (known.empty() ? "" : ", ") + std::string(d.architecture);
  }
  if (name.empty())
    return fail("convert.unknown_architecture", "config.json: architectures names no model class", "known: " + known);
  return fail("convert.unknown_architecture", fmt::format("config.json: architecture {} cannot be converted", name),
              "known: " + known);
}

Result<RopeScaling> read_rope_scaling(const json& value, const std::string& where, int64_t n_ctx,
                                      int64_t original_context) {
  RopeScaling rope;
  JsonFields f(value, where);
  const std::string kind = f.has("rope_type") ? f.text("rope_type").value_or("") : f.text("type").value_or("default");
  rope.original_context = f.require_integer("original_max_position_embeddings", 1, kMaxContext,
                                            original_context ? original_context : n_ctx);
  rope.attention_factor = f.number("attention_factor");
  auto require_factor = [&] { rope.factor = f.require_number("factor"); };
  if (kind == "default") {
    rope.attention_factor.reset();
  } else if (kind == "linear") {
    rope.kind = RopeScaling::Kind::linear;
    require_factor();
  } else if (kind == "llama3") {
    rope.kind = RopeScaling::Kind::llama3;
    require_factor();
    rope.low_freq_factor = f.require_number("low_freq_factor");
    rope.high_freq_factor = f.require_number("high_freq_factor");
    WATRA_TRY(f.status());
    if (rope.low_freq_factor <= 0 || rope.high_freq_factor <= rope.low_freq_factor)
      return unsupported(
          fmt::format("llama3 rope scaling needs 0 < low_freq_factor < high_freq_factor, found {} and {}",
                      rope.low_freq_factor, rope.high_freq_factor));
  } else if (kind == "yarn") {
    rope.kind = RopeScaling::Kind::yarn;
    require_factor();
    rope.extrapolation_factor = f.number("extrapolation_factor");
    rope.beta_fast = f.number("beta_fast");
    rope.beta_slow = f.number("beta_slow");
    if (f.has("mscale") || f.has("mscale_all_dim"))
      return unsupported("yarn with mscale is not known in these families");
    if (!f.flag("truncate").value_or(true)) return unsupported("yarn with truncate = false cannot be written to GGUF");
  } else if (kind == "longrope" || kind == "su") {
    rope.kind = RopeScaling::Kind::longrope;
    rope.long_factors = f.numbers("long_factor", kMaxRopeFactors).value_or(std::vector<float>{});
    rope.short_factors = f.numbers("short_factor", kMaxRopeFactors).value_or(std::vector<float>{});
    rope.factor = f.number("factor").value_or(static_cast<double>(n_ctx) / static_cast<double>(rope.original_context));
    WATRA_TRY(f.status());
    if (rope.original_context < 2) return unsupported("longrope needs original_max_position_embeddings of at least 2");
    if (rope.long_factors.empty() || rope.long_factors.size() != rope.short_factors.size())
      return unsupported(fmt::format("longrope needs long_factor and short_factor of one length, found {} and {}",
                                     rope.long_factors.size(), rope.short_factors.size()));
  } else {
    return unsupported(fmt::format("rope scaling of type {} cannot be converted", kind),
                       "known: default, linear, llama3, yarn, longrope");
  }
  WATRA_TRY(f.status());
  if (rope.kind != RopeScaling::Kind::none && !(rope.factor > 0))
    return unsupported(fmt::format("the rope scaling factor must be positive, found {}", rope.factor));
  return rope;
}

Status read_rope(const json& text, const Defaults& defaults, HfConfig& c) {
  JsonFields f(text, "config.json");
  c.rope_theta = f.require_number("rope_theta", defaults.rope_theta);
  c.rope_theta_local = f.require_number("rope_local_base_freq", 10000);
  c.partial_rotary_factor = f.require_number("partial_rotary_factor", 1);
  const int64_t original_context =
      f.require_integer("original_max_position_embeddings", 0, kMaxContext, c.family == HfFamily::phi3 ? 4096 : 0);
  WATRA_TRY(f.status());

  auto object = [&](const json& parent, const char* key) -> const json* {
    auto it = parent.find(key);
    return it != parent.end() && it->is_object() ? &*it : nullptr;
  };
  const json* parameters = object(text, "rope_parameters");
  const json* scaling = parameters ? parameters : object(text, "rope_scaling");
  if (!scaling) {
    c.rope.original_context = original_context ? original_context : c.n_ctx;
    return {};
  }
  std::string where = parameters ? "config.json rope_parameters" : "config.json rope_scaling";
  if (const json* full = object(*scaling, "full_attention")) {  // one set per kind of layer
    if (const json* local = object(*scaling, "sliding_attention")) {
      JsonFields l(*local, where + ".sliding_attention");
      c.rope_theta_local = l.require_number("rope_theta", c.rope_theta_local);
      if (l.text("rope_type").value_or("default") != "default")
        return unsupported("rope scaling on the layers with a sliding window cannot be written to GGUF");
      WATRA_TRY(l.status());
    }
    scaling = full;
    where += ".full_attention";
  }
  JsonFields s(*scaling, where);
  c.rope_theta = s.require_number("rope_theta", c.rope_theta);
  c.partial_rotary_factor = s.require_number("partial_rotary_factor", c.partial_rotary_factor);
  WATRA_TRY(s.status());
  WATRA_ASSIGN(c.rope, read_rope_scaling(*scaling, where, c.n_ctx, original_context));
  return {};
}

// GGUF says which layers have a window by architecture, not layer by layer: a list that says something else is refused.
Status check_layer_types(const json& text, const HfConfig& c) {
  JsonFields f(text, "config.json");
  auto types = f.texts("layer_types", kMaxLayers);
  WATRA_TRY(f.status());
  if (!types) return {};
  if (static_cast<int64_t>(types->size()) != c.n_layers)
    return unsupported(fmt::format("layer_types has {} entries for {} layers", types->size(), c.n_layers));
  for (int64_t i = 0; i < c.n_layers; ++i) {
    const bool windowed = c.sliding_window && (c.sliding_window_period <= 1 || (i + 1) % c.sliding_window_period != 0);
    if ((*types)[i] != (windowed ? "sliding_attention" : "full_attention"))
      return unsupported(fmt::format("layer {} is {}, which GGUF cannot say for {}", i, (*types)[i], c.architecture));
  }
  return {};
}

Status read_window(const json& text, const Defaults& defaults, HfConfig& c) {
  JsonFields f(text, "config.json");
  const bool given_as_null = text.contains("sliding_window") && text["sliding_window"].is_null();
  c.sliding_window = f.integer("sliding_window", 1, kMaxContext);
  if (!c.sliding_window && !given_as_null) c.sliding_window = defaults.sliding_window;
  const int64_t max_window_layers = f.require_integer("max_window_layers", 0, kMaxLayers, 28);
  const int64_t pattern = f.require_integer("sliding_window_pattern", 1, kMaxLayers, 6);
  const bool use = f.flag("use_sliding_window").value_or(false);
  WATRA_TRY(f.status());
  switch (c.family) {
    case HfFamily::llama:
      c.sliding_window.reset();
      break;
    case HfFamily::qwen2:
    case HfFamily::qwen3:
      if (use && c.sliding_window && *c.sliding_window < c.n_ctx && max_window_layers < c.n_layers)
        return unsupported(
            fmt::format("use_sliding_window with layers from {} on in a window of {}: GGUF cannot say it",
                        max_window_layers, *c.sliding_window),
            "set use_sliding_window to false for texts shorter than the window");
      c.sliding_window.reset();
      break;
    case HfFamily::gemma2:
    case HfFamily::gemma3:
      if (!c.sliding_window) return unsupported("sliding_window is null, but Gemma's windowed layers need one");
      c.sliding_window_period = c.family == HfFamily::gemma2 ? 2 : pattern;
      if (c.family == HfFamily::gemma3 && pattern == 1) c.sliding_window.reset();
      break;
    case HfFamily::bert:
    case HfFamily::nomic_bert:
    case HfFamily::mistral:
    case HfFamily::phi3:
      break;
  }
  return check_layer_types(text, c);
}

// sentence-transformers: modules.json names a folder whose config.json says how a text's vector is made. Nothing there
// is no error: then nothing is known.
Status read_pooling(const fs::path& folder, HfConfig& c) {
  std::error_code ec;
  if (!fs::exists(folder / "modules.json", ec)) return {};
  WATRA_ASSIGN(const std::string text, read_text_file(folder / "modules.json", kMaxConfigBytes));
  const json modules = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!modules.is_array()) return fail("convert.bad_json", "modules.json is not a list", "is the download complete?");
  for (const json& m : modules) {
    if (!m.is_object() || !m.contains("type") || !m["type"].is_string() || !m.contains("path") ||
        !m["path"].is_string() || !m["type"].get_ref<const std::string&>().ends_with(".Pooling"))
      continue;
    const fs::path path = m["path"].get<std::string>();
    if (path.is_absolute() || path.lexically_normal().string().starts_with(".."))
      return fail("convert.bad_json", "modules.json: the pooling lies outside of the model's folder");
    WATRA_ASSIGN(const json pooling, read_json_object(folder / path / "config.json", kMaxConfigBytes));
    JsonFields f(pooling, (path / "config.json").string());
    const std::string mode = f.text("pooling_mode").value_or("");
    const auto is = [&](const char* name, const char* flag) { return mode == name || f.flag(flag).value_or(false); };
    int n_modes = 0;
    const auto take = [&](bool chosen, uint32_t type) {
      n_modes += chosen;
      if (chosen) c.pooling_type = type;
    };
    take(is("mean", "pooling_mode_mean_tokens"), 1);
    take(is("cls", "pooling_mode_cls_token"), 2);
    take(is("lasttoken", "pooling_mode_lasttoken"), 3);
    WATRA_TRY(f.status());
    if (n_modes != 1)
      return fail("convert.unsupported_config",
                  fmt::format("{}: {} poolings that GGUF can name, wanted one of mean, cls and lasttoken",
                              (path / "config.json").string(), n_modes),
                  "without modules.json the model is converted with mean pooling");
  }
  return {};
}

void read_token_ids(const json& config, const json& text, HfConfig& c) {
  for (const char* kind : {"bos", "eos", "unk", "sep", "pad", "cls", "mask"}) {
    const std::string key = std::string(kind) + "_token_id";
    for (const json* j : {&config, &text}) {
      auto it = j->find(key);
      if (it == j->end()) continue;
      const json& id = it->is_array() && !it->empty() ? (*it)[0] : *it;
      if (id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() < c.n_vocab) {
        c.token_ids.emplace(kind, id.get<int64_t>());
        break;
      }
    }
  }
}

}  // namespace

Result<HfConfig> load_hf_config(const fs::path& folder) {
  WATRA_ASSIGN(const json config, read_json_object(folder / "config.json", kMaxConfigBytes));
  WATRA_ASSIGN(const Defaults* defaults, find_architecture(config));
  if (config.contains("quantization_config") && !config["quantization_config"].is_null())
    return unsupported("the weights are quantized (quantization_config)",
                       "convert the original F32, F16 or BF16 model");

  HfConfig c;
  c.family = defaults->family;
  c.architecture = defaults->architecture;
  c.is_multimodal = c.architecture == "Gemma3ForConditionalGeneration";
  const json empty = json::object();
  const json* text = &config;
  if (c.is_multimodal) {
    auto it = config.find("text_config");
    text = it != config.end() && it->is_object() ? &*it : &empty;
  }

  JsonFields f(*text, c.is_multimodal ? "config.json text_config" : "config.json");
  c.n_layers = f.require_integer("num_hidden_layers", 1, kMaxLayers, defaults->n_layers);
  c.d_model = f.require_integer("hidden_size", 1, kMaxWidth, defaults->d_model);
  c.d_ff = f.require_integer("intermediate_size", 1, kMaxWidth, defaults->d_ff);
  c.n_heads = f.require_integer("num_attention_heads", 1, kMaxWidth, defaults->n_heads);
  c.n_kv_heads =
      f.require_integer("num_key_value_heads", 1, kMaxWidth, defaults->n_kv_heads ? defaults->n_kv_heads : c.n_heads);
  c.n_vocab = f.require_integer("vocab_size", 1, kMaxVocab, defaults->n_vocab);
  c.n_ctx = f.require_integer("max_position_embeddings", 1, kMaxContext, defaults->n_ctx);
  c.norm_eps = f.require_number(is_encoder(c.family) ? "layer_norm_eps" : "rms_norm_eps", defaults->norm_eps);
  c.tied_embeddings = f.flag("tie_word_embeddings").value_or(defaults->tied);
  c.d_head_given = f.has("head_dim");
  c.d_head = f.require_integer("head_dim", 1, kMaxWidth,
                               defaults->d_head.value_or(std::max<int64_t>(c.d_model / c.n_heads, 1)));
  std::string activation = f.has("hidden_activation") ? f.text("hidden_activation").value_or("")
                                                      : f.text("hidden_act").value_or(defaults->activation);
  WATRA_TRY(f.status());

  if (c.n_heads % c.n_kv_heads != 0)
    return unsupported(fmt::format("{} query heads do not share {} key/value heads evenly", c.n_heads, c.n_kv_heads));
  if (!c.d_head_given && !defaults->d_head && c.d_model % c.n_heads != 0)
    return unsupported(
        fmt::format("hidden_size {} does not divide by {} heads and head_dim is missing", c.d_model, c.n_heads));
  if (c.d_head % 2 != 0 && c.family != HfFamily::bert)
    return unsupported(fmt::format("rotary embedding needs an even head_dim, found {}", c.d_head));
  if (c.n_heads * c.d_head > kMaxWidth)
    return unsupported(fmt::format("{} heads of {} are too wide", c.n_heads, c.d_head));
  if (activation != defaults->activation)
    return unsupported(
        fmt::format("activation {}: {} in GGUF always means {}", activation, c.architecture, defaults->activation));

  WATRA_TRY(read_pooling(folder, c));
  if (is_encoder(c.family)) {
    c.n_token_types = f.require_integer("type_vocab_size", 1, kMaxVocab, 2);
    const std::string positions = f.text("position_embedding_type").value_or("absolute");
    WATRA_TRY(f.status());
    if (c.family == HfFamily::bert) {
      if (positions != "absolute")
        return unsupported(fmt::format("position_embedding_type {}: bert in GGUF has absolute positions", positions));
      read_token_ids(config, *text, c);
      return c;
    }
  }
  WATRA_TRY(read_rope(*text, *defaults, c));
  WATRA_TRY(read_window(*text, *defaults, c));
  if (c.family == HfFamily::gemma2 || c.family == HfFamily::gemma3) {
    c.query_pre_attention_scalar = f.require_integer("query_pre_attn_scalar", 1, kMaxWidth, 256);
    c.attention_softcap = f.number("attn_logit_softcapping");
    c.final_softcap = f.number("final_logit_softcapping");
    if (c.family == HfFamily::gemma2) {  // absent means the default, null means none
      if (!text->contains("attn_logit_softcapping")) c.attention_softcap = 50;
      if (!text->contains("final_logit_softcapping")) c.final_softcap = 30;
    }
    WATRA_TRY(f.status());
  }
  read_token_ids(config, *text, c);
  return c;
}

}  // namespace watra::workshop
