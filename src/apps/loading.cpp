#include "apps/loading.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/cpu.h"
#include "base/home.h"
#include "base/log.h"
#include "base/terminal.h"
#include "model/vocab.h"
#ifndef WATRA_ENGINE_ONLY
#include "hub/shelf.h"
#endif

namespace watra::apps {

Result<std::string> resolve_model(const Globals& g, const std::string& model) {
  if (model.starts_with("synthetic:")) return model;
#ifdef WATRA_ENGINE_ONLY
  (void)g;
  return model;
#else
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  WATRA_ASSIGN(const fs::path path, hub::Shelf(home).resolve(model));
  return path.string();
#endif
}

Result<std::vector<int>> chosen_cpus(const Globals& g) {
  if (!g.cpus) return std::vector<int>{};
  std::vector<int> cpus;
  for (std::string_view left = *g.cpus;;) {
    const size_t comma = left.find(',');
    const std::vector<int> part = parse_cpu_list(left.substr(0, comma));
    if (part.empty())
      return fail("usage.cpus", fmt::format("--cpus has '{}', wanted logical processors", *g.cpus), "--cpus 0-3,8");
    cpus.insert(cpus.end(), part.begin(), part.end());
    if (comma == std::string_view::npos) break;
    left.remove_prefix(comma + 1);
  }
  const std::vector<int> allowed = allowed_cpus();
  for (int cpu : cpus) {
    if (std::count(cpus.begin(), cpus.end(), cpu) > 1)
      return fail("usage.cpus", fmt::format("--cpus names processor {} twice; each thread gets one of its own", cpu),
                  "each processor once: --cpus 0-3,8");
    if (std::find(allowed.begin(), allowed.end(), cpu) == allowed.end())
      return fail("usage.cpus", fmt::format("--cpus names processor {}, which this process may not use", cpu),
                  fmt::format("those it may use: {}", fmt::join(allowed, ",")));
  }
  return cpus;
}

// Threads wait for each other by spinning, so more of them than processors are many times slower.
void warn_of_too_many_threads(const Globals& g, size_t n_chosen) {
  const size_t n = allowed_cpus().size();
  if (n_chosen > 0 && g.threads > static_cast<int>(n_chosen))
    log::warn(
        "--threads {}: --cpus names {} logical processor{}, and more threads than that only wait for each other; "
        "without --threads each of them gets one",
        g.threads, n_chosen, n_chosen == 1 ? "" : "s");
  else if (g.threads > static_cast<int>(n))
    log::warn(
        "--threads {}: this process may use {} logical processors, and more threads than that only wait for each "
        "other; without --threads it is one per physical core ({})",
        g.threads, n, default_thread_count());
}

Error beside_draft(Error e, uint64_t room_bytes) {
  // The limit that the model asks for, and the draft's room.
  constexpr std::string_view kOption = "--ram ", kUnit = "MiB";
  const size_t at = e.hint.find(kOption), end = e.hint.find(kUnit, at == std::string::npos ? 0 : at);
  if (at != std::string::npos && end != std::string::npos) {
    const size_t number = at + kOption.size();
    if (const auto model = parse_bytes(e.hint.substr(number, end + kUnit.size() - number)))
      e.hint.replace(number, end - number, fmt::format("{}", (*model + room_bytes) / (1u << 20) + 1));
  }
  e.code = "draft.no_room";
  e.message += fmt::format("; {} more are the draft's", format_bytes(room_bytes));
  e.hint = "--draft auto, or " + e.hint;
  return e;
}

Result<engine::LoadedModel> load_for(const Globals& g, const std::string& model, int64_t n_ctx_default,
                                     int64_t max_logit_rows, int64_t n_sequences, int64_t max_rows,
                                     const std::optional<engine::KvStoreOptions>& kv_store, const Later& later) {
  WATRA_ASSIGN(const std::string path, resolve_model(g, model));
  engine::LoadOptions o;
  o.threads = g.threads;
  WATRA_ASSIGN(o.cpus, chosen_cpus(g));
  warn_of_too_many_threads(g, o.cpus.size());
  o.n_ctx = g.ctx ? g.ctx : n_ctx_default;
  o.max_rows = max_rows;
  o.max_logit_rows = max_logit_rows;
  o.n_sequences = n_sequences;
  o.kv_store = kv_store;
  if (!g.ram.empty()) {
    WATRA_ASSIGN(o.ram_bytes, parse_bytes(g.ram));
  }
  o.isa = g.isa;
  o.disks.assign(g.disks.begin(), g.disks.end());
  WATRA_ASSIGN(o.kv_types, engine::KvTypes::parse(g.kv_type));
  ProgressBar bar(ProgressBar::Unit::bytes);
  o.progress = [&](uint64_t done, uint64_t total) { bar.update("loading", done, total); };
  const uint64_t limit = o.ram_bytes;
  if (later.bytes < limit) o.ram_bytes -= later.bytes;
  auto loaded = engine::load_model(path, o);
  if (!loaded && loaded.error().code == "memory.over_budget" && o.ram_bytes < limit) {
    if (later.is_needed) return fail(beside_draft(loaded.error(), later.bytes));
    o.ram_bytes = limit;
    loaded = engine::load_model(path, o);
  }
  bar.clear();
  if (loaded) warn_of_unused_disks(*loaded);
  if (loaded && loaded->model->hparams().is_encoder)
    return fail(
        "model.is_encoder", fmt::format("{} is an encoder: it turns texts into vectors and writes nothing", model),
        fmt::format("`watra serve --model {}` gives them at /v1/embeddings; to write, name another model", model));
  if (loaded && limit > 0) WATRA_TRY(loaded->budget->set_limit(limit));
  if (loaded)
    log::info("{}: {} in {:.2f} s ({:.1f} GB/s), {} kernels, {} threads, n_ctx {}", model,
              format_bytes(loaded->weights->report().bytes), loaded->weights->report().seconds,
              loaded->weights->report().gb_s(), kernels::name_of(loaded->forward->kernels()), loaded->team->size(),
              loaded->forward->options().n_ctx);
  if (const engine::WeightStream* stream = loaded ? loaded->weights->stream() : nullptr)
    log::info("{} of {} stay on disk and are read in every pass, through {} of memory by {}{}",
              format_bytes(loaded->streamed_bytes), format_bytes(loaded->model->pass_bytes()),
              format_bytes(stream->ring_bytes()), stream->way(),
              loaded->weights->files()->n_disks() > 1
                  ? fmt::format(", from {} disks", loaded->weights->files()->n_disks())
                  : "");
  return loaded;
}

void warn_of_unused_disks(const engine::LoadedModel& model) {
  for (const Error& e : model.unused_disks) log::warn("--disk: {} ({})", e.message, e.hint);
}

Result<fs::path> kv_folder(const Globals& g) {
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  return home / "kv";
}

Result<std::optional<engine::KvStoreOptions>> kv_store_options(const Globals& g, const std::string& option) {
  if (option == "off") return std::nullopt;
  engine::KvStoreOptions o;
  if (!option.empty()) {
    WATRA_ASSIGN(o.limit_bytes, parse_bytes(option));
  }
  auto folder = kv_folder(g);
  if (!folder && option.empty()) return std::nullopt;  // no home, nothing to keep; nobody asked for it
  WATRA_ASSIGN(o.folder, std::move(folder));
  return o;
}

Result<std::unique_ptr<text::Tokenizer>> load_tokenizer(const Globals& g, const std::string& model,
                                                        checkpoint::Checkpoint* file) {
  WATRA_ASSIGN(const std::string path, resolve_model(g, model));
  WATRA_ASSIGN(auto opened, checkpoint::Checkpoint::open(path, std::vector<fs::path>(g.disks.begin(), g.disks.end())));
  WATRA_ASSIGN(auto spec, model::load_vocab(opened));
  if (spec.kind == text::VocabKind::none)
    return fail("model.no_vocabulary", fmt::format("{} has no vocabulary", path),
                "use a complete model file, or a vocabulary-only one");
  auto tokenizer = text::Tokenizer::create(std::move(spec));
  if (file) *file = std::move(opened);
  return tokenizer;
}

}  // namespace watra::apps
