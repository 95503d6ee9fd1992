#include "engine/loaded_model.h"

#include <algorithm>

#include "engine/hardware.h"
#include "engine/memory_needs.h"
#include "model/outline.h"
#include "model/synthetic.h"
#include "model/vocab.h"

namespace watra::engine {

Result<PageKey> root_key(const LoadedModel& m) {
  const Forward& f = *m.forward;
  return root_key(*m.model, f.options().kv_types, f.options().n_ctx, f.kernels().isa);
}

namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr int64_t kDefaultContext = 4096;

// How the parts of a model are put into memory: reserved with everything on disk, which tells what all the rest takes;
// given back, and reserved as the plan made with these figures says. Nothing is read (pages are the system's until they
// are touched).
class Fitting {
 public:
  Fitting(LoadedModel& m, const LoadOptions& o, const kernels::Kernels& kernels, int64_t n_ctx)
      : m_(m),
        o_(o),
        kernels_(kernels),
        n_ctx_(n_ctx),
        outline_(model::outline_of(*m.model)),
        process_bytes_(resident_bytes() / kMiB * kMiB + kMiB) {
    const uint64_t usable = usable_memory_bytes();
    limit_ = o.ram_bytes ? o.ram_bytes : usable ? usable + process_bytes_ : UINT64_MAX;
    const int64_t per_position = std::max<int64_t>(1, o.kv_types.bytes_per_position(m.model->hparams()));
    kv_positions_ =
        std::max(kv_positions_, std::min(static_cast<int64_t>(o.kv_bytes) / per_position, o.kv_most_positions));
  }

  // What m has afterwards fits. Returns the bytes that the cache and the activations will take later.
  Result<uint64_t> fit() {
    WATRA_TRY(m_.budget->take("program and vocabulary",
                              process_bytes_ + runtime_bytes(m_.model->hparams().n_vocab, m_.team->size())));
    WATRA_ASSIGN(FoundCopies found, find_copies(m_.model->file(), o_.disks));
    copies_ = std::move(found.folders);
    m_.unused_disks = std::move(found.unused);
    if (o_.placement) {
      const bool streams = !o_.placement->all_in_ram();
      WATRA_TRY(
          reserve(*o_.placement, streams ? stream_needs(outline_, limit_, o_.ring_bytes, o_.max_rows) : ram_needs()));
      return finish();
    }
    const bool may_stream = m_.model->file().has_files();
    if (!may_stream || ram_weight_bytes(*m_.model, {}) <= limit_) {
      WATRA_TRY(reserve({}, ram_needs()));
      if (fits() || !may_stream) {
        WATRA_TRY(make_plan(ram_needs()));
        return finish();
      }
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
    WATRA_TRY(measure_disks());
    StreamNeeds needs = stream_needs(outline_, limit_, o_.ring_bytes, o_.max_rows);
    const Placement on_disk = place_outline(outline_, {.ram_bytes = 0, .disk_rates = rates_}).placement;
    WATRA_TRY(reserve(on_disk, needs));
    if (!fits()) {
      needs = least_stream_needs(needs);
      WATRA_TRY(reserve(on_disk, needs));
    }
    if (!fits()) return {};
    // Where not even rounding fits beside it, all stays on disk.
    if (const Status planned = make_plan(needs); !planned)
      return planned.error().code == "plan.no_fit" ? Status{} : planned;
    return reserve(m_.plan->placed.placement, needs);
  }

  // With what is reserved beside weights and the ring.
  Status make_plan(const StreamNeeds& needs) {
    PlanOptions& p = m_.plan_options;
    p.n_ctx = n_ctx_;
    p.kv_types = o_.kv_types;
    p.use_gpu = false;  // no device is here to carry it out
    p.threads = m_.team->size();
    p.micro_batch = needs.max_rows;
    p.ring_bytes = needs.ring_bytes;
    p.known_uses.clear();
    uint64_t beside = 0;
    for (const auto& use : m_.budget->uses()) {
      if (use.tag == "weights" || use.tag == "norms and biases") continue;
      if (use.tag == "disk ring") {
        p.ring_bytes = use.bytes;  // whole slots
        continue;
      }
      p.known_uses.push_back({use.tag, Tier::ram, use.bytes});
      beside += use.bytes;
    }
    // Places of weights are rounded up.
    if (!m_.weights->placement().all_in_ram()) p.known_uses.push_back({"rounding", Tier::ram, kRounding});
    // A model without files cannot be left on a disk.
    const bool all_in_ram = m_.weights->placement().all_in_ram();
    p.ram_bytes = all_in_ram ? std::max(limit_, beside + ram_weight_bytes(*m_.model, {})) : limit_;
    Hardware here;
    here.ram.bytes = p.ram_bytes;
    here.cpu.threads = p.threads;
    if (m_.model->file().has_files())
      here.disks.push_back({.path = m_.model->file().paths()[0].parent_path().string()});
    for (const fs::path& folder : copies_) here.disks.push_back({.path = folder.string()});
    p.disks.clear();
    for (size_t d = 0; d < here.disks.size(); ++d) {
      here.disks[d].gb_s = d < rates_.size() ? rates_[d] : 1;
      p.disks.push_back(here.disks[d].path);
    }
    if (!copies_.empty()) m_.disk_rates = rates_;
    WATRA_ASSIGN(m_.plan, engine::make_plan(outline_, here, p));
    return {};
  }

  Status measure_disks() {
    rates_ = o_.disk_rates;
    if (copies_.empty()) rates_ = {1};
    if (!rates_.empty()) return {};
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
      KvStoreOptions store = *o_.kv_store;
      store.room_bytes = std::min(store.room_bytes, kv_store_room_bytes(limit_));
      WATRA_ASSIGN(m_.kv_store, KvStore::create(store, m_.forward->kv().page_bytes(),
                                                m_.forward->kv().first_page_exact_bytes(), m_.budget.get()));
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
    // Both offers are what this very check accepts, also of a process that is up to 2 MiB larger: so much it differs
    // from run to run.
    constexpr uint64_t kSpare = 3 * kMiB;
    const int64_t n_ctx = m_.forward->options().n_ctx, page = kernels::kKvPage;
    const auto per_position =
        static_cast<uint64_t>(std::max<int64_t>(1, o_.kv_types.bytes_per_position(m_.model->hparams())));
    const int64_t too_many = static_cast<int64_t>((needed - limit_ + kSpare + per_position - 1) / per_position);
    const int64_t n_fit = kv_positions_ > n_ctx ? 0 : (n_ctx - too_many) / page * page;
    std::string hint =
        n_fit >= page ? fmt::format("--ctx {}", n_fit) : "a smaller quantization of the model, or a smaller model";
    if (m_.kv_store && needed - limit_ + kSpare <= m_.kv_store->room_bytes()) hint = "--kv-store off, or " + hint;
    // The conversations' room grows with the limit.
    const uint64_t grown =
        m_.kv_store ? kv_store_room_bytes(needed + 8 * kMiB) - kv_store_room_bytes(limit_) : uint64_t{0};
    if (o_.ram_bytes) hint = fmt::format("--ram {}MiB, or {}", (needed + grown + kSpare) / kMiB + 1, hint);
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
  const model::ModelOutline outline_;
  const uint64_t process_bytes_;
  int64_t kv_positions_ = o_.kv_positions;
  uint64_t limit_ = 0, before_cache_ = 0;
  std::vector<fs::path> copies_;
  std::vector<double> rates_;
  std::shared_ptr<Residency> weights_;
};

// A text is read in one pass, and nothing of it is kept.
void suit_encoder(const model::HParams& hp, LoadOptions& o) {
  o.n_ctx = std::min(o.n_ctx > 0 ? o.n_ctx : kDefaultContext, hp.n_ctx_train);
  o.max_rows = encoder_rows(o.n_ctx);
  o.kv_positions = encoder_kv_positions(o.max_rows);
  o.kv_bytes = 0;
  o.kv_types = encoder_kv_types();
  o.kv_store.reset();
}

// Nothing is cached yet, so one sequence may have all pages for a moment.
Status touch_cache(KvCache& kv, ThreadTeam& team, const std::function<bool()>& cancelled) {
  constexpr int64_t kSystemPage = 4096;
  const auto n_bytes = static_cast<int64_t>(kv.page_bytes());
  const SequenceId all = kv.add();
  WATRA_TRY(kv.reserve(all, kv.total_positions()));
  team.parallel_for(kv.total_pages(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (cancelled && cancelled()) return;
      std::byte* const page = kv.slot_page(all, i * kernels::kKvPage);
      for (int64_t at = 0; at < n_bytes; at += kSystemPage) page[at] = std::byte{0};
    }
  });
  kv.remove(all);
  return {};
}

}  // namespace

Result<LoadedModel> load_model(const fs::path& path, const LoadOptions& wanted) {
  const auto go_on = [&]() -> Status {
    if (!wanted.cancelled || !wanted.cancelled()) return {};
    return fail("load.cancelled", fmt::format("loading {} was stopped", path.filename().string()));
  };
  LoadedModel m;
  LoadOptions options = wanted;
  WATRA_ASSIGN(const kernels::Kernels* kernels, kernels::select(options.isa));
  constexpr std::string_view kSynthetic = "synthetic:";
  if (const std::string name = path.string(); name.starts_with(kSynthetic)) {
    WATRA_ASSIGN(auto made, model::synthetic_checkpoint(std::string_view(name).substr(kSynthetic.size())));
    WATRA_ASSIGN(m.model, model::Model::from(std::move(made)));
  } else {
    WATRA_ASSIGN(m.model, model::Model::open(path, options.disks));
  }
  WATRA_TRY(go_on());
  if (m.model->hparams().is_encoder) suit_encoder(m.model->hparams(), options);
  const int64_t n_ctx = options.n_ctx > 0 ? options.n_ctx : std::min(m.model->hparams().n_ctx_train, kDefaultContext);
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

  WATRA_TRY(go_on());
  // Everything is reserved first, then held against the limit.
  m.budget = std::make_shared<MemoryBudget>();
  Fitting fitting(m, options, *kernels, n_ctx);
  WATRA_ASSIGN(const uint64_t free_while_loading, fitting.fit());
  // While weights are read, what cache and activations will need later is free.
  WATRA_TRY(
      fitting.weights().read(*m.team, options.progress, options.ram_bytes ? free_while_loading : 0, options.cancelled));
  m.forward->warm();
  if (options.touch_cache) WATRA_TRY(touch_cache(m.forward->kv(), *m.team, options.cancelled));
  WATRA_TRY(go_on());
  return m;
}

}  // namespace watra::engine
