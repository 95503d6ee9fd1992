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

Result<PageKey> root_key(const LoadedModel& m) {
  const Forward& f = *m.forward;
  return root_key(*m.model, f.options().k_type, f.options().v_type, f.options().n_ctx, f.kernels().isa);
}

namespace {

constexpr uint64_t kMiB = 1 << 20;

// What a loaded model still allocates outside of buffers: the sampler's lists (per piece of the vocabulary), stacks and
// allocator arenas (per thread), the conversation, and the pages of the program that have not been run yet.
uint64_t runtime_bytes(int64_t n_vocab, int n_threads) {
  return 4 * kMiB + static_cast<uint64_t>(n_vocab) * 64 + static_cast<uint64_t>(n_threads) * (kMiB / 4);
}

// Everything that was reserved against what may be used, before the first byte is read.
Status check_memory(const LoadedModel& m, const LoadOptions& o, uint64_t process_bytes) {
  const uint64_t needed = m.budget->used_bytes(), available = available_memory_bytes();
  const uint64_t limit = o.ram_bytes ? o.ram_bytes : available ? available + process_bytes : UINT64_MAX;
  if (needed <= limit) return o.ram_bytes ? m.budget->set_limit(limit) : Status{};
  std::string parts;
  for (const auto& use : m.budget->uses())
    parts += fmt::format("{}{} {}", parts.empty() ? "" : " + ", use.tag, format_bytes(use.bytes));
  // Both offers are what this very check accepts.
  const int64_t n_ctx = m.forward->options().n_ctx, page = kernels::kKvPage;
  const auto per_position =
      static_cast<uint64_t>(std::max<int64_t>(1, m.model->hparams().kv_bytes_per_position(o.k_type, o.v_type)));
  const int64_t too_many = static_cast<int64_t>((needed - limit + kMiB + per_position - 1) / per_position);
  const int64_t fits = o.kv_positions > n_ctx ? 0 : (n_ctx - too_many) / page * page;
  std::string hint =
      fits >= page ? fmt::format("--ctx {}", fits) : "a smaller quantization of the model, or a smaller model";
  // One MiB more than needed: the process is not the same size to the page each time.
  if (o.ram_bytes) hint = fmt::format("--ram {}MiB, or {}", needed / kMiB + 2, hint);
  return fail(o.ram_bytes ? "memory.over_budget" : "memory.too_small",
              fmt::format("{} does not fit: it needs {} of memory = {} (n_ctx {}), {} {}",
                          m.model->file().has_files() ? m.model->file().paths()[0].filename().string() : "the model",
                          format_bytes(needed), parts, n_ctx, format_bytes(limit),
                          o.ram_bytes ? "are allowed by --ram" : "are free"),
              hint);
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
  const int n_threads = options.threads > 0     ? options.threads
                        : !options.cpus.empty() ? static_cast<int>(options.cpus.size())
                                                : default_thread_count();
  m.team = std::make_shared<ThreadTeam>(
      n_threads, options.cpus.empty() ? default_affinity(n_threads) : Affinity{.cpus = options.cpus});

  // Everything is reserved first (pages are the system's until they are touched), then held against the limit.
  m.budget = std::make_shared<MemoryBudget>();
  const uint64_t process_bytes = resident_bytes() / kMiB * kMiB + kMiB;
  WATRA_TRY(m.budget->take("program and vocabulary",
                           process_bytes + runtime_bytes(m.model->hparams().n_vocab, m.team->size())));
  const bool interleave = options.interleave && kernels->layout(tensor::DType::q8_0) != tensor::Layout::rows;
  WATRA_ASSIGN(std::shared_ptr<Residency> weights,
               Residency::reserve(m.model, m.budget.get(), {.interleave = interleave}));
  const uint64_t before_cache = m.budget->used_bytes();
  const ForwardOptions forward{.n_ctx = n_ctx,
                               .kv_positions = options.kv_positions,
                               .max_rows = options.max_rows,
                               .max_logit_rows = options.max_logit_rows,
                               .k_type = options.k_type,
                               .v_type = options.v_type,
                               .budget = m.budget.get()};
  WATRA_ASSIGN(m.forward, Forward::create(m.model, weights, m.team, *kernels, forward));
  if (options.kv_store) {
    WATRA_ASSIGN(m.kv_store, KvStore::create(*options.kv_store, m.forward->kv().page_bytes(), m.budget.get()));
  }
  WATRA_TRY(check_memory(m, options, process_bytes));
  // While weights are read, what cache and activations will need later is free.
  WATRA_TRY(weights->read(*m.team, options.progress, options.ram_bytes ? options.ram_bytes - before_cache : 0));
  m.weights = std::move(weights);
  return m;
}

}  // namespace watra::engine
