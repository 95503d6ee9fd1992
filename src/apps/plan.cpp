// watra plan: what speed a model will reach on a machine, why, and what would change it; before it is downloaded.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/draft_choice.h"
#include "apps/machine.h"
#include "apps/model_proposer.h"
#include "apps/plan_text.h"
#include "base/home.h"
#include "base/memory.h"
#include "engine/loaded_model.h"
#include "engine/plan_advice.h"
#include "engine/run_record.h"
#include "model/model.h"
#include "model/synthetic.h"
#ifndef WATRA_ENGINE_ONLY
#include "hub/catalog.h"
#endif

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;
using engine::Tier;
using model::ModelOutline;

struct PlanCommand {
  std::string model, shape, quant, draft = "none";
  double target_tps = 0;
  int64_t prompt = 512, depth = -1;
  bool table = false, measure = false, why = false;
};

std::string known_file_name(const std::string& name) {
#ifdef WATRA_ENGINE_ONLY
  (void)name;
  return {};
#else
  const auto* entry = hub::find_in_catalog(name);
  return entry ? entry->file_name : std::string();
#endif
}

// The quantization that a file's name ends with: "...-Q4_K_M.gguf"; the longest that fits.
std::optional<model::QuantMix> quant_in(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
  std::optional<model::QuantMix> found;
  size_t longest = 0;
  for (const auto& m : model::quant_mixes())
    if (m.name.size() > longest && name.find(m.name) != std::string::npos) found = m.mix, longest = m.name.size();
  return found;
}

Result<ModelOutline> outline_of_shape(const std::string& name, const std::string& quant, const std::string& file_name) {
  WATRA_ASSIGN(const auto* shape, model::find_shape(name));
  model::QuantMix mix = quant_in(file_name).value_or(model::QuantMix::q4_k_m);
  if (!quant.empty()) {
    WATRA_ASSIGN(mix, model::parse_quant_mix(quant));
  }
  return model::outline_of(*shape, mix);
}

// A file, a name on the shelf, "synthetic:...", a name of the catalog that was not downloaded yet, or a shape's name.
Result<ModelOutline> outline_of_model(const Globals& g, const std::string& name, const std::string& quant) {
  std::shared_ptr<const model::Model> opened;
  if (constexpr std::string_view kSynthetic = "synthetic:"; name.starts_with(kSynthetic)) {
    WATRA_ASSIGN(auto made, model::synthetic_checkpoint(std::string_view(name).substr(kSynthetic.size())));
    WATRA_ASSIGN(opened, model::Model::from(std::move(made)));
  } else {
    const auto path = resolve_model(g, name);
    std::error_code ec;
    if (!path || !fs::exists(*path, ec)) {
      if (auto shape = outline_of_shape(name, quant, known_file_name(name))) return shape;
      if (!path) return fail(path.error());
    }
    WATRA_ASSIGN(opened, model::Model::open(*path));
  }
  ModelOutline o = model::outline_of(*opened);
  if (o.name.empty() || name.starts_with("synthetic:")) o.name = name;
  if (quant.empty()) return o;
  WATRA_ASSIGN(const auto mix, model::parse_quant_mix(quant));
  return model::requantized(o, mix);
}

Result<engine::PlanOptions> plan_options(const Globals& g, const PlanCommand& c) {
  WATRA_ASSIGN(engine::PlanOptions o, plan_options(g));
  o.depth = c.depth;
  o.n_prompt = c.prompt;
  return o;
}

Status choose_drafts(const Globals& g, const PlanCommand& c, const ModelOutline& outline, engine::PlanOptions& o) {
  std::string path;  // of a file that is here as it is planned
  std::error_code ec;
  if (const auto found = c.shape.empty() && c.quant.empty() ? resolve_model(g, c.model) : Result<std::string>("");
      found && fs::exists(*found, ec))
    path = *found;
  const bool is_word = c.draft == "none" || c.draft == "auto" || c.draft == "ngram" || c.draft == "model" ||
                       c.draft == "best" || is_self_draft(c.draft);
  std::optional<ModelOutline> named;
  if (!is_word) {
    WATRA_ASSIGN(named, outline_of_model(g, c.draft, ""));
  }
  WATRA_TRY(offer_drafts(g, c.draft, path, outline, o, named));
  if (g.hardware.empty()) o.measured_drafts = worth_of_drafts(g, path);  // they were worth it on this machine
  return {};
}

std::string_view tier_name(Tier t) { return t == Tier::vram ? "vram" : t == Tier::ram ? "ram" : "disk"; }

Json draft_json(const engine::DraftPlan& d) {
  return {{"method", d.method},
          {"model", d.model.empty() ? Json(nullptr) : Json(d.model)},
          {"option", "--draft " + d.word},
          {"n", d.n},
          {"acceptance", d.acceptance.p},
          {"is_measured", d.acceptance.basis == engine::Basis::answers_here},
          {"basis", engine::basis_name(d.acceptance.basis)},
          {"source", d.acceptance.source},
          {"tau", d.tau},
          {"seconds", d.seconds},
          {"tier", tier_name(d.tier)},
          {"bytes", d.bytes}};
}

Json plan_json(const PlanReport& r) {
  const engine::Plan& p = r.plan;
  Json pass = Json::array(), memory = Json::array(), advice = Json::array(), losses = Json::array(),
       disks = Json::array();
  for (int i = 0; i < engine::kParts; ++i) {
    const auto part = static_cast<engine::Part>(i);
    pass.push_back({{"part", engine::part_name(part)},
                    {"seconds", p.pass[part].seconds},
                    {"exposed_seconds", p.pass[part].exposed},
                    {"bytes", static_cast<uint64_t>(p.pass[part].bytes)}});
  }
  for (const auto& m : p.memory) memory.push_back({{"tag", m.tag}, {"tier", tier_name(m.tier)}, {"bytes", m.bytes}});
  for (const auto& a : r.advice)
    advice.push_back({{"change", a.change},
                      {"option", a.option},
                      {"decode_tokens_per_s", a.decode_tokens_per_s},
                      {"reaches_target", a.reaches_target}});
  for (const auto& l : p.losses) losses.push_back({{"reason", l.reason}, {"seconds", l.seconds}});
  for (const auto& d : p.disks) disks.push_back(d);
  return {{"model", r.outline.name},
          {"quant", r.outline.quant},
          {"is_encoder", r.outline.is_encoder},
          {"hardware", r.hardware.name},
          {"verdict", verdict(r)},
          {"target_tokens_per_s", r.target_tps > 0 ? Json(r.target_tps) : Json(nullptr)},
          {"reaches_target", r.target_tps > 0 ? Json(p.decode_tokens_per_s >= r.target_tps) : Json(nullptr)},
          {"predicted",
           {{"decode_tokens_per_s", p.decode_tokens_per_s},
            {"seconds_per_pass", p.seconds},
            {"tau", p.draft.tau},
            {"ttft_s", p.ttft_s},
            {"load_s", p.load_s > 0 ? Json(p.load_s) : Json(nullptr)},
            {"no_speculation_tps", p.no_speculation_tps},
            {"without_draft_tps", p.undrafted_tps}}},
          {"bound", {{"seconds_per_pass", p.bound_seconds}, {"tokens_per_s", p.bound_tps}}},
          {"losses", losses},
          {"pass", pass},
          {"placement",
           {{"vram_bytes", p.placed.vram_bytes},
            {"ram_bytes", p.placed.ram_bytes},
            {"disk_bytes", p.placed.disk_bytes},
            {"gpu_layers", p.placed.n_gpu_layers},
            {"disks", disks}}},
          {"memory", memory},
          {"prefix_cache_bytes", p.prefix_cache_bytes},
          {"n_params", r.outline.n_params()},
          {"n_active_params", r.outline.n_active_params()},
          {"weight_bytes", r.outline.weight_bytes()},
          {"n_ctx", p.n_ctx},
          {"depth", p.depth},
          {"n_prompt", p.n_prompt},
          {"micro_batch", p.micro_batch},
          {"threads", p.threads},
          {"kv_type", p.kv_types.text()},
          {"draft", draft_json(p.draft)},
          {"advice", advice},
          {"rates",
           {{"measured_at", r.hardware.measured_at.empty() ? Json(nullptr) : Json(r.hardware.measured_at)},
            {"vram_gb_s", r.hardware.has_vram() ? Json(r.hardware.vram.gb_s) : Json(nullptr)},
            {"ram_gb_s", r.hardware.ram_gb_s(p.threads)},
            {"disk_gb_s", r.hardware.disks.empty() ? Json(nullptr) : Json(r.hardware.disks[0].gb_s)}}}};
}

Status table(const Globals& g, const PlanCommand& c) {
  std::vector<engine::Hardware> machines;
  const std::vector<std::string> names = g.hardware.empty()
                                             ? std::vector<std::string>{"reference-pc", "reference-pc-four-sticks"}
                                             : std::vector<std::string>{g.hardware};
  if (c.measure) {
    WATRA_ASSIGN(auto here, this_machine(g, true));
    machines.push_back(std::move(here));
  } else {
    for (const auto& name : names) {
      WATRA_ASSIGN(auto hw, named_hardware(name));
      machines.push_back(std::move(hw));
    }
  }
  WATRA_ASSIGN(const auto options, plan_options(g, c));
  const double target = c.target_tps > 0 ? c.target_tps : 5;
  const auto rows = engine::plan_table(machines, options, target);
  if (!g.json) {
    print_table(rows, machines, target);
    return {};
  }
  Json list = Json::array();
  for (size_t m = 0; m < machines.size(); ++m)
    for (const auto& r : rows) {
      if (r.machine != m) continue;
      const auto or_null = [&](double v) { return r.fits ? Json(v) : Json(nullptr); };
      list.push_back(
          {{"shape", r.shape->name},
           {"quant", r.quant},
           {"hardware", machines[m].name},
           {"ram_gb_s", machines[m].ram.gb_s},
           {"bytes", r.bytes},
           {"n_params", r.n_params},
           {"n_active_params", r.n_active_params},
           {"seconds_per_pass", or_null(r.seconds_per_pass)},
           {"bound_tps", r.bound_tps},
           {"no_speculation_tps", or_null(r.no_speculation_tps)},
           {"lossless_tps", or_null(r.lossless_tps)},
           {"draft", draft_json(r.draft)},
           {"needs_tau_for_target", or_null(r.needs_tau)},
           {"needs_tau_at_bound", target / r.bound_tps},
           {"main_loss", r.main_loss.reason.empty() ? Json(nullptr)
                                                    : Json{{"reason", r.main_loss.reason},
                                                           {"seconds", r.main_loss.seconds},
                                                           {"share", r.main_loss.seconds / r.seconds_per_pass}}}});
    }
  print_json({{"target_tokens_per_s", target}, {"rows", list}});
  return {};
}

Status why(const Globals& g, const PlanCommand& c) {
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  const auto runs = engine::load_runs(home);
  const auto run =
      std::find_if(runs.begin(), runs.end(), [&](const auto& r) { return c.model.empty() || r.model == c.model; });
  if (run == runs.end())
    return fail(
        "plan.no_run",
        c.model.empty() ? "no run has been recorded yet" : fmt::format("no run of {} has been recorded", c.model),
        fmt::format("watra run {} \"a question\", then this again", c.model.empty() ? "MODEL" : c.model));
  const auto causes = engine::explain_run(*run);
  if (!g.json) {
    print_why(*run, causes);
    return {};
  }
  Json list = Json::array();
  for (const auto& cause : causes)
    list.push_back(
        {{"what", cause.what}, {"figure", cause.figure}, {"advice", cause.advice}, {"slows_by", cause.slows_by}});
  print_json({{"model", run->model},
              {"when", run->when},
              {"predicted",
               {{"decode_tokens_per_s", run->planned_tps > 0     ? Json(run->planned_tps)
                                        : run->predicted_tps > 0 ? Json(run->predicted_tps)
                                                                 : Json(nullptr)},
                {"with_these_drafts", run->predicted_tps > 0 ? Json(run->predicted_tps) : Json(nullptr)}}},
              {"measured",
               {{"decode_tokens_per_s", run->measured_tps},
                {"n_prompt", run->n_prompt},
                {"n_gen", run->n_gen},
                {"threads", run->threads},
                {"weight_gb_s", run->weight_gb_s},
                {"seconds", run->load.wall_s},
                {"processor_seconds", run->load.cpu_s},
                {"processor_pressure_seconds", run->load.cpu_pressure_s},
                {"memory_pressure_seconds", run->load.memory_pressure_s},
                {"involuntary_switches", run->load.involuntary_switches},
                {"major_faults", run->load.major_faults},
                {"disk_read_bytes", run->load.disk_read_bytes},
                {"clock_mhz", run->clock_after.mhz > 0 ? Json(run->clock_after.mhz) : Json(nullptr)}}},
              {"slower", engine::is_slower(*run)},
              {"causes", list}});
  return {};
}

Status plan(const Globals& g, const PlanCommand& c) {
  if (c.why && c.table)
    return fail("usage.plan", "--why is of the last run, --table of every well-known large model", "one of the two");
  if (c.why) return why(g, c);
  if (c.table && (!c.model.empty() || !c.shape.empty() || !c.quant.empty()))
    return fail("usage.plan", "--table is of every well-known large model, in every quantization",
                "watra plan --table alone, or watra plan MODEL without it");
  if (c.table) return table(g, c);
  if (c.model.empty() == c.shape.empty())
    return fail("usage.plan",
                c.model.empty() ? "plan needs a MODEL, --shape or --table" : "plan takes MODEL or --shape, not both",
                "watra plan smollm2, watra plan --shape llama-3.3-70b --quant Q8_0, or watra plan --table");
  // Names are cheaper to check than machines to measure.
  WATRA_ASSIGN(const ModelOutline outline,
               !c.shape.empty() ? outline_of_shape(c.shape, c.quant, "") : outline_of_model(g, c.model, c.quant));
  WATRA_ASSIGN(engine::PlanOptions options, plan_options(g, c));
  WATRA_TRY(choose_drafts(g, c, outline, options));
  if (!g.hardware.empty() && c.measure)
    return fail("usage.plan", "--measure takes the rates of this machine, --hardware those of another",
                "one of the two");
  engine::Hardware hardware;
  if (!g.hardware.empty()) {
    WATRA_ASSIGN(hardware, named_hardware(g.hardware));
  } else {
    WATRA_ASSIGN(hardware, this_machine(g, c.measure));
  }
  WATRA_ASSIGN(const engine::Plan made, engine::make_plan(outline, hardware, options));
  std::vector<engine::Advice> advice;  // of an encoder's speed there is nothing to tell
  if (!outline.is_encoder) advice = engine::advise(outline, hardware, options, made, c.target_tps);
  const PlanReport report{outline, hardware, options, made, advice, c.target_tps};
  if (g.json)
    print_json(plan_json(report));
  else
    print_plan(report);
  return {};
}

}  // namespace

void add_plan(CLI::App& app, Globals& g, Handler& chosen) {
  auto o = std::make_shared<PlanCommand>();
  auto* c = app.add_subcommand("plan", "Say what speed a model will reach, why, and what would change it");
  c->add_option("MODEL", o->model, "Model file, name, or the name of a well-known shape");
  c->add_option("--shape", o->shape, "A well-known shape: llama-3.3-70b, qwen2.5-72b, grok-2, ...");
  c->add_option("--quant", o->quant, "Quantization: Q8_0, Q6_K, Q4_K_M, ... (of a shape, by default Q4_K_M)");
  c->add_flag("--table", o->table, "Every well-known large model in every quantization on the reference machine");
  c->add_flag("--why", o->why, "Why the last run (of MODEL) was slower than predicted");
  c->add_option("--target-tps", o->target_tps, "Tokens a second you wish for")->check(CLI::Range(0.001, 1e6));
  c->add_option(
       "--draft", o->draft,
       "Speculation: none, auto (what `watra run` does), ngram, self (self:q2_k, self:q3_k), a draft MODEL, or "
       "best: also what would have to be made or fetched first")
      ->capture_default_str();
  c->add_option("-p,--prompt", o->prompt, "Tokens of the prompt whose first word is waited for")
      ->check(CLI::Range(1, 1 << 30));
  c->add_option("--depth", o->depth, "Tokens of conversation at which the speed is told (default: a quarter of --ctx)")
      ->check(CLI::Range(0, 1 << 30));
  c->add_flag("--measure", o->measure, "Measure this machine anew first");
  c->callback([&g, &chosen, o] { chosen = [&g, o] { return plan(g, *o); }; });
}

}  // namespace watra::apps
