// watra show: what is in a model file.
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "model/vocab.h"

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;
using checkpoint::MetaArray;
using checkpoint::MetaValue;

// Arrays longer than this are shown as their length: vocabularies have hundreds of thousands of entries.
constexpr size_t kShownEntries = 32;

Json number(double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); }

Json to_json(const MetaValue& v);
Json to_json(const MetaArray& a) {
  if (a.size() > kShownEntries) return {{"array_of", a.size()}};
  Json out = Json::array();
  for (auto x : a.u64) out.push_back(x);
  for (auto x : a.i64) out.push_back(x);
  for (auto x : a.f64) out.push_back(number(x));
  for (const auto& x : a.strings) out.push_back(x);
  for (const auto& x : a.nested) out.push_back(to_json(x));
  return out;
}
Json to_json(const MetaValue& v) {
  return std::visit(
      [](const auto& x) -> Json {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, std::shared_ptr<const MetaArray>>)
          return to_json(*x);
        else if constexpr (std::is_same_v<T, double>)
          return number(x);
        else
          return Json(x);
      },
      v.value);
}

// A value all layers share as a number, otherwise one entry a layer.
template <class Get>
Json per_layer(const model::HParams& hp, Get get) {
  Json all = Json::array();
  bool same = true;
  for (const auto& l : hp.layers) {
    all.push_back(get(l));
    same = same && all.back() == all.front();
  }
  return same && !all.empty() ? all.front() : all;
}

constexpr const char* kPoolings[] = {"mean", "first", "last"};

Json hparams_json(const model::HParams& hp) {
  return {{"n_layers", hp.n_layers},
          {"d_model", hp.d_model},
          {"d_ff", per_layer(hp, [](const auto& l) { return l.d_ff; })},
          {"n_heads", per_layer(hp, [](const auto& l) { return l.n_heads; })},
          {"n_kv_heads", per_layer(hp, [](const auto& l) { return l.n_kv_heads; })},
          {"d_head", per_layer(hp, [](const auto& l) { return l.d_head; })},
          {"n_vocab", hp.n_vocab},
          {"n_ctx", hp.n_ctx_train},
          {"rope_theta", hp.ropes.empty() ? 0.0f : hp.ropes[0].theta},
          {"norm_eps", hp.norm_eps},
          {"window", per_layer(hp, [](const auto& l) { return l.window; })},
          {"tied_embeddings", hp.tied_embeddings},
          {"is_encoder", hp.is_encoder},
          {"pooling", kPoolings[static_cast<int>(hp.pooling)]}};
}

Json tokenizer_json(const text::VocabSpec& v) {
  static const char* kinds[] = {"bpe", "spm", "unigram", "wordpiece", "none"};
  return {{"kind", kinds[static_cast<int>(v.kind)]},
          {"pre", v.pre},
          {"n_vocab", v.pieces.size()},
          {"bos", v.bos},
          {"eos", v.eos},
          {"end_of_generation", v.end_of_generation},
          {"add_bos", v.add_bos},
          {"add_eos", v.add_eos},
          {"add_space_prefix", v.add_space_prefix}};
}

Status show(const Globals& g, const std::string& name) {
  WATRA_ASSIGN(const std::string path, resolve_model(g, name));
  WATRA_ASSIGN(const auto file, checkpoint::Checkpoint::open(path));
  const auto& meta = file.metadata();
  const int64_t n_params = model::count_params(file);
  uint64_t weight_bytes = 0;
  Json tensors = Json::array();
  for (const auto& t : file.tensors()) {
    Json shape = Json::array();  // as GGUF counts: contiguous dimension first
    for (int i = t.shape.rank(); i-- > 0;) shape.push_back(t.shape[i]);
    tensors.push_back({{"name", t.name},
                       {"dtype", tensor::dtype_name(t.dtype)},
                       {"shape", shape},
                       {"offset", t.offset_bytes},
                       {"bytes", t.size_bytes}});
    if (file.paths().size() > 1) tensors.back()["file"] = t.file_index;
    weight_bytes += t.size_bytes;
  }
  const double bpw = n_params ? 8.0 * static_cast<double>(weight_bytes) / static_cast<double>(n_params) : 0;

  // A file may be shown even if it cannot be run: then there are no hparams, and the reason stands beside.
  const auto hp = model::read_hparams(file);
  Json memory = Json::array();
  if (hp)
    for (int64_t n = 4096;; n *= 2) {
      n = std::min(n, hp->n_ctx_train);
      memory.push_back(
          {{"n_ctx", n},
           {"bytes", weight_bytes + static_cast<uint64_t>(
                                        hp->kv_bytes_per_position(kernels::KvType::f16, kernels::KvType::f16) * n)}});
      if (n >= hp->n_ctx_train || n >= 131072) break;
    }
  const auto vocab = model::load_vocab(file);
  const auto chat_template = meta.get_string("tokenizer.chat_template");

  if (g.json) {
    Json metadata = Json::object();
    for (const auto& [key, value] : meta.entries())
      if (key != "tokenizer.chat_template") metadata[key] = to_json(value);
    Json out = {{"architecture", meta.get_string("general.architecture").value_or("")},
                {"name", meta.get_string("general.name").value_or("")},
                {"n_params", n_params},
                {"file_bytes", file.file_bytes()},
                {"bpw", bpw},
                {"hparams", hp ? hparams_json(*hp) : Json(nullptr)},
                {"tensors", std::move(tensors)},
                {"metadata", std::move(metadata)},
                {"tokenizer", vocab ? tokenizer_json(*vocab) : Json(nullptr)},
                {"chat_template", chat_template ? Json(*chat_template) : Json(nullptr)},
                {"memory", std::move(memory)}};
    if (!hp)
      out["cannot_run"] = {{"code", hp.error().code}, {"message", hp.error().message}, {"hint", hp.error().hint}};
    print_json(out);
    return {};
  }
  fmt::print("{}  ({})\n", meta.get_string("general.name").value_or(fs::path(path).stem().string()),
             meta.get_string("general.architecture").value_or("?"));
  fmt::print("  file        {}, {} tensors{}\n", format_bytes(file.file_bytes()), file.tensors().size(),
             file.paths().size() > 1 ? fmt::format(", {} parts", file.paths().size()) : "");
  fmt::print("  parameters  {:.3f} billion, {:.2f} bits each\n", static_cast<double>(n_params) / 1e9, bpw);
  if (hp) {
    const Json facts = hparams_json(*hp);  // items() does not keep what it walks over
    for (const auto& [key, value] : facts.items()) fmt::print("  {:<16} {}\n", key, value.dump());
    for (const auto& m : memory)
      fmt::print("  memory at n_ctx {:<7} {}\n", m["n_ctx"].get<int64_t>(), format_bytes(m["bytes"].get<uint64_t>()));
  } else {
    fmt::print("  cannot be run: {}\n", hp.error().message);
  }
  if (vocab)
    fmt::print("  vocabulary  {} pieces{}{}\n", vocab->pieces.size(), vocab->pre.empty() ? "" : ", split as ",
               vocab->pre);
  fmt::print("  template    {}\n", chat_template          ? "yes"
                                   : hp && hp->is_encoder ? "none: an encoder, it turns texts into vectors"
                                                          : "none: the model continues text, it does not chat");
  return {};
}

}  // namespace

void add_show(CLI::App& app, Globals& g, Handler& chosen) {
  auto model = std::make_shared<std::string>();
  auto* c = app.add_subcommand("show", "Show what is in a model file");
  c->add_option("MODEL", *model, "Model file or name")->required();
  c->callback([&g, &chosen, model] { chosen = [&g, model] { return show(g, *model); }; });
}

}  // namespace watra::apps
