#include "apps/draft_choice.h"

#include <algorithm>

#include "apps/machine.h"
#include "apps/model_proposer.h"
#include "base/home.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread_team.h"
#include "engine/draft_model.h"
#include "engine/hardware.h"
#include "engine/kept_experience.h"
#include "engine/memory_needs.h"
#include "engine/ngram_proposer.h"
#include "model/vocab.h"
#include "workshop/self_draft.h"
#ifndef WATRA_ENGINE_ONLY
#include "hub/catalog.h"
#include "hub/shelf.h"
#endif

namespace watra::apps {
namespace {

using model::ModelOutline;

constexpr std::string_view kSynthetic = "synthetic:";
// Of the target's file: a draft that is larger costs more than it gives.
constexpr double kLargestShare = 0.4;
// To make a copy, of a weight and core (1.5 billion weights: 95 s, docs/measurements.md).
constexpr double kCopySeconds = 63e-9;

bool is_file(const std::string& model) { return !model.empty() && !model.starts_with(kSynthetic); }

uint64_t bytes_of_file(const fs::path& path) {
  std::error_code ec;
  const auto size = fs::file_size(path, ec);
  return ec ? 0 : size;
}

// A model's vocabulary and outline, of a file that may turn out to be anything.
struct Opened {
  ModelOutline outline;
  text::VocabSpec vocab;
};
std::optional<Opened> open_model(const fs::path& path) {
  const auto opened = model::Model::open(path);
  if (!opened) return std::nullopt;
  auto vocab = model::load_vocab((*opened)->file());
  if (!vocab) return std::nullopt;
  Opened out{model::outline_of(**opened), std::move(*vocab)};
  // The name under which what it taught is kept (DraftModel::name).
  out.outline.name = (*opened)->hparams().name;
  return out;
}

// Models on the shelf that are small enough and speak the target's words.
void offer_shelf(const Globals& g, const std::string& target, std::vector<engine::DraftOffer>& offers) {
#ifdef WATRA_ENGINE_ONLY
  (void)g, (void)target, (void)offers;
#else
  const auto home = home_folder(g.home);
  const auto list = home ? hub::Shelf(*home).list() : Result<std::vector<hub::ShelfModel>>(fail(home.error()));
  if (!list) return;
  const auto most = static_cast<uint64_t>(kLargestShare * static_cast<double>(bytes_of_file(target)));
  std::optional<Opened> of_target;
  for (const hub::ShelfModel& m : *list) {
    if (m.parts_missing > 0 || m.files.size() != 1 || m.bytes == 0 || m.bytes > most) continue;
    if (!of_target) of_target = open_model(target);
    if (!of_target) return;
    const auto small = open_model(m.path);
    if (!small || small->outline.is_encoder || small->outline.n_params() >= of_target->outline.n_params() ||
        !engine::SharedVocabulary::create(of_target->vocab, small->vocab))
      continue;
    offers.push_back({.method = "model", .word = m.name, .outline = small->outline, .is_ready = true});
  }
#endif
}

// Well-known small models that are not on the shelf.
void offer_well_known(const Globals& g, const ModelOutline& target, std::vector<engine::DraftOffer>& offers) {
  for (engine::DraftOffer& d : engine::draft_candidates(target)) {
    const auto is_same = [&](const engine::DraftOffer& have) { return have.is_ready && have.word == d.word; };
    if (std::ranges::any_of(offers, is_same)) continue;
    if (const auto here = resolve_model(g, d.word); !here || bytes_of_file(*here) == 0) {
      d.first = "a file of it, named by --draft FILE";
#ifndef WATRA_ENGINE_ONLY
      if (hub::find_in_catalog(d.word)) d.first = "watra pull " + d.word;
#endif
    }
    offers.push_back(std::move(d));
  }
}

void offer_copies(const Globals& g, const std::string& word, const std::string& model, const ModelOutline& target,
                  std::vector<engine::DraftOffer>& offers) {
  std::vector<engine::DraftOffer> copies;
  const auto home = home_folder(g.home);
  for (const tensor::DType type : engine::self_draft_types()) {
    engine::DraftOffer copy{.method = "self", .word = fmt::format("self:{}", tensor::dtype_name(type))};
    const bool made = home && is_file(model) && workshop::made_self_draft(model, *home, type);
    // Copies of four bits are for those who ask: of them nothing was measured.
    if (type == tensor::DType::q4_k && !made && copy.word != word) continue;
    copy.outline = model::low_bit_copy(target, type);
    if (copy.outline.weight_bytes() >= target.weight_bytes()) continue;
    copy.is_ready = made;
    if (!made) {
      const int threads = g.threads > 0 ? g.threads : default_thread_count();
      const double minutes = static_cast<double>(target.n_params()) * kCopySeconds / threads / 60;
      copy.first = fmt::format("it is made at its first use, {} and {} of disk",
                               minutes < 1 ? "less than a minute" : fmt::format("about {:.0f} min", minutes),
                               format_bytes(copy.outline.weight_bytes()));
    }
    copies.push_back(std::move(copy));
  }
  std::ranges::stable_partition(copies, [](const auto& c) { return c.is_ready; });
  for (auto& c : copies) offers.push_back(std::move(c));
}

// What drafts were worth in answers of this model here.
std::vector<engine::MeasuredDraft> worth_of_drafts(const Globals& g, const model::Model& model) {
  const auto home = home_folder(g.home);
  const auto key = engine::experience_key(model);
  engine::DraftExperience experience;
  if (!home || !key || !engine::load_experience(*home, *key, "", experience)) return {};
  return engine::measured_drafts(experience);
}

// A machine of which nothing is known but how much it holds: for places, not for speeds.
engine::Hardware unmeasured_machine() {
  engine::Hardware hw;
  hw.ram.bytes = std::max<uint64_t>(engine::usable_memory_bytes(), 1);
  return hw;
}

// Folders that nobody measured are taken for as fast as the disk that was.
void add_disks(const Globals& g, const std::string& model, engine::Hardware& hw) {
  if (hw.disks.empty()) hw.disks.push_back({.path = fs::path(model).parent_path().string(), .gb_s = 1});
  const double rate = hw.disks[0].gb_s;
  for (const std::string& folder : g.disks)
    if (std::ranges::none_of(hw.disks, [&](const auto& d) { return d.path == folder; }))
      hw.disks.push_back({.path = folder, .gb_s = rate});
}

void say_what_it_costs(const engine::Plan& plan, const std::string& word) {
  if (plan.draft_costs())
    log::warn(
        "--draft {} costs more than it gives here: {:.3g} tokens a second predicted, {:.3g} without a draft, whose "
        "{} the model's own weights would have (--draft auto)",
        word, plan.decode_tokens_per_s, plan.undrafted_tps, format_bytes(plan.draft.bytes));
  else if (plan.draft.n == 0 && plan.decode_tokens_per_s > 0)
    log::info("--draft {} is not expected to pay here ({}): it is asked where it does", word,
              plan.draft.acceptance.source);
}

}  // namespace

Result<engine::PlanOptions> plan_options(const Globals& g) {
  engine::PlanOptions o;
  o.n_ctx = g.ctx;
  o.threads = g.threads;
  o.disks = g.disks;
  o.keeps_conversations = true;
  WATRA_ASSIGN(o.kv_types, engine::KvTypes::parse(g.kv_type));
  if (!g.ram.empty()) {
    WATRA_ASSIGN(o.ram_bytes, parse_bytes(g.ram));
  }
  if (!g.vram.empty()) {
    WATRA_ASSIGN(o.vram_bytes, parse_bytes(g.vram));
    o.use_gpu = o.vram_bytes > 0;
  }
  return o;
}

Status offer_drafts(const Globals& g, const std::string& word, const std::string& model, const ModelOutline& target,
                    engine::PlanOptions& o, const std::optional<ModelOutline>& named) {
  o.draft = word;
  if (named) {
    o.draft = "model";
    o.drafts = {{.method = "model", .word = word, .outline = *named, .is_ready = true}};
    return {};
  }
  if (is_self_draft(word)) WATRA_TRY(copy_type(word));
  if (is_file(model)) offer_shelf(g, model, o.drafts);
  offer_well_known(g, target, o.drafts);
  offer_copies(g, word, model, target, o.drafts);
  return {};
}

void expect_drafts(const Globals& g, const DraftOptions& o, const std::string& model, const ModelOutline& target,
                   engine::PlanOptions& options) {
  options.draft = "none";
  if (o.method == "none" || target.is_encoder) return;
  options.draft = "ngram";
  options.draft_max = o.max;
  options.measured_drafts = worth_of_drafts(g, model);
  if (o.method == "ngram" || o.method.starts_with(kSynthetic)) return;
  std::optional<ModelOutline> named;
  if (o.method != "auto" && !is_self_draft(o.method)) {
    const auto path = resolve_model(g, o.method);
    const auto draft = path ? model::Model::open(*path) : Result<std::shared_ptr<const model::Model>>(nullptr);
    if (!draft || !*draft) return;
    named = model::outline_of(**draft);
    named->name = (*draft)->hparams().name;
  }
  if (!offer_drafts(g, o.method, model, target, options, named)) {
    options.draft = "ngram";
    options.drafts.clear();
  }
  if (o.method == "auto") std::erase_if(options.drafts, [](const auto& d) { return !d.is_ready; });
}

std::vector<engine::MeasuredDraft> worth_of_drafts(const Globals& g, const std::string& model) {
  const auto opened = is_file(model) ? model::Model::open(model) : Result<std::shared_ptr<const model::Model>>(nullptr);
  return opened && *opened ? worth_of_drafts(g, **opened) : std::vector<engine::MeasuredDraft>();
}

Result<DraftChoice> choose_draft(const Globals& g, const DraftOptions& o, const std::string& name,
                                 int64_t kv_positions) {
  DraftChoice c;
  c.word = o.method;
  if (o.method == "none") return c;
  const bool is_auto = o.method == "auto", is_named = !is_auto && o.method != "ngram";
  WATRA_ASSIGN(engine::PlanOptions options, plan_options(g));
  options.use_gpu = false;  // the card's share comes with a later version
  options.kv_positions = kv_positions;
  options.draft_max = o.max;
  const int64_t n_ctx = options.n_ctx > 0 ? options.n_ctx : 4096;
  c.room_bytes = engine::NgramProposer::memory_bytes(static_cast<size_t>(n_ctx)) + kHistoryBytes;
  c.in_use.draft = "ngram";
  if (is_auto) c.word = "ngram";
  if (name.starts_with(kSynthetic) || o.method.starts_with(kSynthetic)) return c;  // nothing to look at before
  const auto hardware = cached_machine(g);
  if (!is_named && !hardware) return c;  // speeds decide, and nobody measured them
  WATRA_ASSIGN(const std::string model, resolve_model(g, name));
  WATRA_ASSIGN(const auto opened, model::Model::open(model, std::vector<fs::path>(g.disks.begin(), g.disks.end())));
  const ModelOutline target = model::outline_of(*opened);
  if (target.is_encoder) return c;
  c.in_use.measured = options.measured_drafts = worth_of_drafts(g, *opened);
  if (o.method == "ngram") return c;
  std::optional<ModelOutline> named;
  if (is_named && !is_self_draft(o.method)) {
    WATRA_ASSIGN(const std::string path, resolve_model(g, o.method));
    WATRA_ASSIGN(const auto draft, model::Model::open(path));
    named = model::outline_of(*draft);
    named->name = draft->hparams().name;
  }
  WATRA_TRY(offer_drafts(g, o.method, model, target, options, named));
  if (is_auto) std::erase_if(options.drafts, [](const auto& d) { return !d.is_ready; });
  if (is_auto && options.drafts.empty()) return c;
  engine::Hardware hw = hardware ? *hardware : unmeasured_machine();
  add_disks(g, model, hw);
  auto plan = engine::make_plan(target, hw, options);
  if (!plan) {
    engine::PlanOptions without = options;
    without.draft = "none";
    if (is_auto || plan.error().code != "plan.no_fit" || !engine::make_plan(target, hw, without)) return c;
    Error e = plan.error();
    e.code = "draft.no_room";
    e.hint = "--draft auto needs no room; " + e.hint;
    return fail(std::move(e));
  }
  c.plan = std::move(*plan);
  const engine::DraftPlan& draft = c.plan->draft;
  if (draft.bytes == 0) return c;  // of auto: words said before
  c.word = draft.word;
  c.needs_room = true;
  c.room_bytes += draft.bytes;
  c.in_use.draft = draft.method == "self" ? draft.word : "model";
  c.in_use.drafts = options.drafts;
  std::erase_if(c.in_use.drafts, [&](const auto& d) { return d.word != draft.word; });
  if (is_auto)
    log::info("drafts by {}: {:.3g} tokens a second predicted, {:.3g} without", draft.word, c.plan->decode_tokens_per_s,
              c.plan->undrafted_tps);
  else
    say_what_it_costs(*c.plan, o.method);
  return c;
}

}  // namespace watra::apps
