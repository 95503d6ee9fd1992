#include "engine/loaded_model.h"

#include <algorithm>

#include "engine/hardware.h"
#include "model/synthetic.h"
#include "model/vocab.h"

namespace watra::engine {

Result<PageKey> root_key(const LoadedModel& m) {
  const Forward& f = *m.forward;
  return root_key(*m.model, f.options().kv_types, f.options().n_ctx, f.kernels().isa);
}

namespace {

constexpr uint64_t kMiB = 1 << 20;

// What a loaded model still allocates outside of buffers: the sampler's lists (per piece of the vocabulary), stacks and
// allocator arenas (per thread), the conversation, and the pages of the program that have not been run yet.
uint64_t runtime_bytes(int64_t n_vocab, int n_threads) {
  return 4 * kMiB + static_cast<uint64_t>(n_vocab) * 64 + static_cast<uint64_t>(n_threads) * (kMiB / 4);
}

// Streamed weights want a ring and a team that reads wide passes; in return less of the model stays in RAM.
struct StreamNeeds {
  uint64_t ring_bytes;
  int64_t max_rows;
};

// Of the limit: what a ring may take, and the activations of a pass.
constexpr uint64_t kRingShare = 24, kActivationsShare = 64;
// 24 MiB keep a disk of 1 GB/s busy over the longest pause of a decode step, 256 MiB one of 10 (docs/measurements.md).
constexpr uint64_t kLeastRing = 24 * kMiB, kMostRing = 256 * kMiB, kSmallestRing = 4 * kMiB;
// Below 128 rows reading a prompt is bound by the disk, above 2048 nothing is gained.
constexpr int64_t kLeastRows = 128, kMostRows = 2048, kSmallestRows = 32;

StreamNeeds stream_needs(const model::HParams& hp, const LoadOptions& o, uint64_t limit) {
  const auto row_bytes = static_cast<uint64_t>(2 * hp.d_model + 3 * hp.max_heads_width() + 2 * hp.max_d_ff()) * 5;
  const auto rows = static_cast<int64_t>(limit / kActivationsShare / row_bytes) / 64 * 64;
  return {o.ring_bytes ? o.ring_bytes : std::clamp(limit / kRingShare, kLeastRing, kMostRing),
          o.max_rows ? o.max_rows : std::clamp(rows, kLeastRows, kMostRows)};
}

// How the parts of a model are put into memory: reserved with one placement, looked at, given back and reserved with
// another, until they fit the limit. Nothing is read (pages are the system's until they are touched).
class Fitting {
 public:
  Fitting(LoadedModel& m, const LoadOptions& o, const kernels::Kernels& kernels, int64_t n_ctx)
      : m_(m), o_(o), kernels_(kernels), n_ctx_(n_ctx), process_bytes_(resident_bytes() / kMiB * kMiB + kMiB) {
    const uint64_t available = available_memory_bytes();
    limit_ = o.ram_bytes ? o.ram_bytes : available ? available + process_bytes_ : UINT64_MAX;
    const int64_t per_position = std::max<int64_t>(1, o.kv_types.bytes_per_position(m.model->hparams()));
    kv_positions_ =
        std::max(kv_positions_, std::min(static_cast<int64_t>(o.kv_bytes) / per_position, o.kv_most_positions));
  }

  // What m has afterwards fits. Returns the bytes that the cache and the activations will take later.
  Result<uint64_t> fit() {
    WATRA_TRY(m_.budget->take("program and vocabulary",
                              process_bytes_ + runtime_bytes(m_.model->hparams().n_vocab, m_.team->size())));
    copies_ = folders_with_copies(m_.model->file(), o_.disks);
    if (o_.placement) {
      const bool streams = !o_.placement->all_in_ram();
      WATRA_TRY(reserve(*o_.placement, streams ? stream_needs(m_.model->hparams(), o_, limit_) : ram_needs()));
      return finish();
    }
    const bool may_stream = m_.model->file().has_files();
    if (!may_stream || ram_weight_bytes(*m_.model, {}) <= limit_) {
      WATRA_TRY(reserve({}, ram_needs()));
      if (fits() || !may_stream) return finish();
    }
    WATRA_TRY(stream());
    return finish();
  }
  Residency& weights() { return *weights_; }

 private:
  StreamNeeds ram_needs() const { return {0, o_.max_rows ? o_.max_rows : 512}; }
  bool fits() const { return m_.budget->used_bytes() <= limit_; }

  // All on disk tells what everything else needs; the rest of the limit is for weights.
  Status stream() {
    // Without a limit of the person's, other programs keep some of what is free.
    if (!o_.ram_bytes && limit_ != UINT64_MAX) limit_ -= limit_ / 16;
    WATRA_TRY(measure_disks());
    StreamNeeds needs = stream_needs(m_.model->hparams(), o_, limit_);
    WATRA_TRY(reserve(balanced_placement(*m_.model, 0, rates_), needs));
    if (!fits()) {
      needs = {std::min(needs.ring_bytes, kSmallestRing), std::min(needs.max_rows, kSmallestRows)};
      WATRA_TRY(reserve(balanced_placement(*m_.model, 0, rates_), needs));
    }
    if (!fits()) return {};
    const uint64_t in_ram = ram_weight_bytes(*m_.model, m_.weights->placement());
    const uint64_t room = in_ram + (limit_ - m_.budget->used_bytes());
    // Places in RAM are rounded up.
    return reserve(balanced_placement(*m_.model, room - std::min(room, kRounding), rates_), needs);
  }

  Status measure_disks() {
    rates_ = o_.disk_rates;
    if (copies_.empty() || !rates_.empty()) return {};
    WATRA_ASSIGN(rates_.emplace_back(), measure_direct_read_gb_s(m_.model->file().paths()[0].parent_path(), 0.3));
    for (const fs::path& folder : copies_) {
      WATRA_ASSIGN(rates_.emplace_back(), measure_direct_read_gb_s(folder, 0.3));
    }
    return {};
  }

  Status reserve(const Placement& placement, const StreamNeeds& needs) {
    m_.forward.reset();
    m_.weights.reset();
    weights_.reset();
    const bool interleave = o_.interleave && kernels_.layout(tensor::DType::q8_0) != tensor::Layout::rows;
    WATRA_ASSIGN(weights_, Residency::reserve(m_.model, m_.budget.get(),
                                              {.interleave = interleave,
                                               .placement = placement,
                                               .disks = copies_,
                                               .ring_bytes = needs.ring_bytes,
                                               .n_threads = m_.team->size()}));
    m_.weights = weights_;
    m_.streamed_bytes = engine::streamed_bytes(*m_.model, placement);
    before_cache_ = m_.budget->used_bytes();
    WATRA_ASSIGN(m_.forward, Forward::create(m_.model, weights_, m_.team, kernels_,
                                             {.n_ctx = n_ctx_,
                                              .kv_positions = kv_positions_,
                                              .max_rows = needs.max_rows,
                                              .max_logit_rows = o_.max_logit_rows,
                                              .n_sequences = o_.n_sequences,
                                              .kv_types = o_.kv_types,
                                              .budget = m_.budget.get()}));
    m_.kv_store.reset();
    if (o_.kv_store) {
      WATRA_ASSIGN(m_.kv_store, KvStore::create(*o_.kv_store, m_.forward->kv().page_bytes(), m_.budget.get()));
    }
    return {};
  }

  Result<uint64_t> finish() {
    if (!fits()) return too_large();
    if (o_.ram_bytes) WATRA_TRY(m_.budget->set_limit(limit_));
    return limit_ - before_cache_;
  }

  tl::unexpected<Error> too_large() const {
    const uint64_t needed = m_.budget->used_bytes();
    std::string parts;
    for (const auto& use : m_.budget->uses())
      parts += fmt::format("{}{} {}", parts.empty() ? "" : " + ", use.tag, format_bytes(use.bytes));
    // Both offers are what this very check accepts.
    const int64_t n_ctx = m_.forward->options().n_ctx, page = kernels::kKvPage;
    const auto per_position =
        static_cast<uint64_t>(std::max<int64_t>(1, o_.kv_types.bytes_per_position(m_.model->hparams())));
    const int64_t too_many = static_cast<int64_t>((needed - limit_ + kMiB + per_position - 1) / per_position);
    const int64_t n_fit = kv_positions_ > n_ctx ? 0 : (n_ctx - too_many) / page * page;
    std::string hint =
        n_fit >= page ? fmt::format("--ctx {}", n_fit) : "a smaller quantization of the model, or a smaller model";
    // One MiB more than needed: the process is not the same size to the page each time.
    if (o_.ram_bytes) hint = fmt::format("--ram {}MiB, or {}", needed / kMiB + 2, hint);
    return fail(
        o_.ram_bytes ? "memory.over_budget" : "memory.too_small",
        fmt::format("{} does not fit{}: it needs {} of memory = {} (n_ctx {}), {} {}",
                    m_.model->file().has_files() ? m_.model->file().paths()[0].filename().string() : "the model",
                    m_.streamed_bytes > 0 ? ", even with all its matrices read from disk in every pass" : "",
                    format_bytes(needed), parts, n_ctx, format_bytes(limit_),
                    o_.ram_bytes ? "are allowed by --ram" : "are free"),
        hint);
  }

  static constexpr uint64_t kRounding = 256 << 10;

  LoadedModel& m_;
  const LoadOptions& o_;
  const kernels::Kernels& kernels_;
  const int64_t n_ctx_;
  const uint64_t process_bytes_;
  int64_t kv_positions_ = o_.kv_positions;
  uint64_t limit_ = 0, before_cache_ = 0;
  std::vector<fs::path> copies_;
  std::vector<double> rates_;
  std::shared_ptr<Residency> weights_;
};

// Nothing is cached yet, so one sequence may have all pages for a moment.
Status touch_cache(KvCache& kv, ThreadTeam& team) {
  constexpr int64_t kSystemPage = 4096;
  const auto n_bytes = static_cast<int64_t>(kv.page_bytes());
  const SequenceId all = kv.add();
  WATRA_TRY(kv.reserve(all, kv.total_positions()));
  team.parallel_for(kv.total_pages(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::byte* const page = kv.slot_page(all, i * kernels::kKvPage);
      for (int64_t at = 0; at < n_bytes; at += kSystemPage) page[at] = std::byte{0};
    }
  });
  kv.remove(all);
  return {};
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
    WATRA_ASSIGN(m.model, model::Model::open(path, options.disks));
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

  // Everything is reserved first, then held against the limit.
  m.budget = std::make_shared<MemoryBudget>();
  Fitting fitting(m, options, *kernels, n_ctx);
  WATRA_ASSIGN(const uint64_t free_while_loading, fitting.fit());
  // While weights are read, what cache and activations will need later is free.
  WATRA_TRY(fitting.weights().read(*m.team, options.progress, options.ram_bytes ? free_while_loading : 0));
  if (options.touch_cache) WATRA_TRY(touch_cache(m.forward->kv(), *m.team));
  return m;
}

}  // namespace watra::engine
