#include "engine/loaded_model.h"

#include <algorithm>

#include "model/synthetic.h"
#include "model/vocab.h"

namespace watra::engine {

Result<std::pair<KvType, KvType>> parse_kv_types(std::string_view text) {
  const auto one = [&](std::string_view t) -> Result<KvType> {
    for (const KvType type : kernels::kKvTypes)
      if (t == kernels::kv_type_name(type)) return type;
    return fail("usage.kv_type",
                fmt::format("--kv-type has '{}', wanted f16, f32, q8_0 or q4_0 (one for keys and values, or K,V)", t),
                "--kv-type q8_0");
  };
  const size_t comma = text.find(',');
  WATRA_ASSIGN(const KvType k, one(text.substr(0, comma)));
  if (comma == std::string_view::npos) return std::pair(k, k);
  WATRA_ASSIGN(const KvType v, one(text.substr(comma + 1)));
  return std::pair(k, v);
}

namespace {

// Weights and cache against what may be used, before the first byte is read.
Status check_memory(const model::Model& m, const LoadOptions& o, int64_t n_ctx) {
  const uint64_t weights = m.weight_bytes();
  const auto kv = static_cast<uint64_t>(m.hparams().kv_bytes_per_position(o.k_type, o.v_type) * n_ctx);
  const uint64_t available = available_memory_bytes();
  const uint64_t limit = o.ram_bytes ? o.ram_bytes : available;
  if (limit == 0 || weights + kv <= limit) return {};
  return fail(
      o.ram_bytes ? "memory.over_budget" : "memory.too_small",
      fmt::format("{} does not fit: it needs {} of memory = weights {} + KV {} (n_ctx {}), {} {}",
                  m.file().paths()[0].filename().string(), format_bytes(weights + kv), format_bytes(weights),
                  format_bytes(kv), n_ctx, format_bytes(limit), o.ram_bytes ? "are allowed by --ram" : "are free"),
      weights <= limit ? "a smaller --ctx" : "a smaller quantization of the model, or a smaller model");
}

}  // namespace

Result<LoadedModel> load_model(const fs::path& path, const LoadOptions& options) {
  LoadedModel m;
  WATRA_ASSIGN(const kernels::Kernels* kernels, kernels::select(options.isa));
  constexpr std::string_view kSynthetic = "synthetic:";
  if (const std::string name = path.string(); name.starts_with(kSynthetic)) {
    WATRA_ASSIGN(auto made, model::synthetic_checkpoint(std::string_view(name).substr(kSynthetic.size())));
    WATRA_ASSIGN(m.model, model::Model::from(std::move(made)));
  } else {
    WATRA_ASSIGN(m.model, model::Model::open(path));
  }
  const int64_t n_ctx = options.n_ctx > 0 ? options.n_ctx : std::min<int64_t>(m.model->hparams().n_ctx_train, 4096);
  WATRA_TRY(check_memory(*m.model, options, n_ctx));

  WATRA_ASSIGN(text::VocabSpec vocab, model::load_vocab(m.model->file()));
  if (vocab.kind != text::VocabKind::none) {
    WATRA_ASSIGN(auto tokenizer, text::Tokenizer::create(std::move(vocab)));
    m.tokenizer = std::move(tokenizer);
    if (m.tokenizer->n_vocab() > m.model->hparams().n_vocab)
      return fail("model.wrong_shape",
                  fmt::format("the vocabulary has {} pieces, the embedding table {} rows", m.tokenizer->n_vocab(),
                              m.model->hparams().n_vocab),
                  "the metadata and the tensors of this file do not belong together");
  }
  m.budget = std::make_shared<MemoryBudget>(options.ram_bytes);
  m.team = std::make_shared<ThreadTeam>(options.threads > 0 ? options.threads : default_thread_count());
  WATRA_ASSIGN(m.weights, Residency::load(m.model, *m.team, m.budget.get(), options.progress));
  const ForwardOptions forward{.n_ctx = n_ctx,
                               .max_rows = options.max_rows,
                               .max_logit_rows = options.max_logit_rows,
                               .k_type = options.k_type,
                               .v_type = options.v_type,
                               .budget = m.budget.get()};
  WATRA_ASSIGN(m.forward, Forward::create(m.model, m.weights, m.team, *kernels, forward));
  return m;
}

}  // namespace watra::engine
