#include "server/shelf/estimate.h"

#include <algorithm>
#include <array>

#include "engine/plan_advice.h"

namespace watra::server {
namespace {

using engine::Part;
using engine::Tier;

// Reading aloud takes about four tokens a second; below one a second a word is waited for.
constexpr double kReadingPace = 4, kCrawl = 1;
constexpr size_t kMostAdvice = 5;

std::string_view tier_name(Tier t) { return t == Tier::vram ? "vram" : t == Tier::ram ? "ram" : "disk"; }

// What most of a pass waits for.
std::string_view bound_by(const engine::PassTime& pass) {
  const double vram = pass[Part::vram].exposed + pass[Part::pcie].exposed;
  const double ram = pass[Part::ram].exposed + pass[Part::kv].exposed;
  const double disk = pass[Part::disk].exposed, compute = pass[Part::overhead].exposed;
  const double most = std::max({vram, ram, disk, compute});
  return most == disk ? "disk" : most == ram ? "ram" : most == vram ? "vram" : "compute";
}

// Layers in the model's order, neighbours on one tier together; a layer lies where most of its bytes do.
Json layers_json(const model::ModelOutline& outline, const engine::Placement& placement) {
  std::vector<std::array<uint64_t, 3>> bytes(static_cast<size_t>(outline.n_layers));
  for (const auto& t : outline.tensors) {
    if (t.layer < 0 || t.layer >= outline.n_layers) continue;
    auto& layer = bytes[static_cast<size_t>(t.layer)];
    int64_t placed = 0;
    if (const auto ranges = placement.tensors.find(t.name); ranges != placement.tensors.end())
      for (const engine::RowRange& r : ranges->second) {
        const int64_t n = r.end - r.begin;
        layer[static_cast<size_t>(r.tier)] += static_cast<uint64_t>(n) * t.row_bytes();
        placed += n;
      }
    if (placed < t.rows)
      layer[static_cast<size_t>(Tier::ram)] += static_cast<uint64_t>(t.rows - placed) * t.row_bytes();
  }
  Json layers = Json::array();
  for (const auto& layer : bytes) {
    const auto most = static_cast<Tier>(std::ranges::max_element(layer) - layer.begin());
    if (!layers.empty() && layers.back()["tier"] == tier_name(most))
      layers.back()["n"] = layers.back()["n"].get<int64_t>() + 1;
    else
      layers.push_back({{"tier", tier_name(most)}, {"n", 1}});
  }
  return layers;
}

Json capacity_json(const engine::Hardware& hw, uint64_t vram, uint64_t ram) {
  uint64_t disk = 0;
  for (const auto& d : hw.disks) disk = std::max(disk, d.free_bytes);
  return {{"vram_bytes", vram}, {"ram_bytes", ram}, {"disk_bytes", disk}};
}

std::string kv_name(const engine::KvTypes& types) {
  const std::string text = types.text();
  return text.substr(0, text.find_first_of(",/"));
}

}  // namespace

std::string_view verdict_of(double tps) { return tps >= kReadingPace ? "good" : tps >= kCrawl ? "slow" : "very_slow"; }

Json estimate_json(const model::ModelOutline& outline, const engine::Hardware& hw, const engine::PlanOptions& options,
                   bool advice) {
  const auto plan = engine::make_plan(outline, hw, options);
  if (!plan) {
    const int64_t n_ctx = options.n_ctx > 0 ? options.n_ctx : std::min<int64_t>(outline.n_ctx_train, 4096);
    const uint64_t bytes = outline.weight_bytes();
    return {{"verdict", "no_fit"},
            {"decode_tokens_per_s", 0},
            {"prefill_tokens_per_s", 0},
            {"load_s", 0},
            {"n_ctx", n_ctx},
            {"kv_type", kv_name(options.kv_types)},
            {"bound_by", "ram"},
            {"layers", Json::array({Json{{"tier", "ram"}, {"n", outline.n_layers}}})},
            {"placement", {{"vram_bytes", 0}, {"ram_bytes", bytes}, {"disk_bytes", 0}}},
            {"capacity", capacity_json(hw, hw.vram.bytes, options.ram_bytes ? options.ram_bytes : hw.ram.bytes)},
            {"memory", Json::array({Json{{"tag", "weights"}, {"bytes", bytes}}})},
            {"advice", Json::array()},
            {"with_drafts", nullptr},
            {"measured_tokens_per_s", nullptr},
            {"measured_answers", 0}};
  }
  Json memory = Json::array(), changes = Json::array();
  for (const auto& use : plan->memory) memory.push_back({{"tag", use.tag}, {"bytes", use.bytes}});
  if (advice && !outline.is_encoder)
    for (const auto& a : engine::advise(outline, hw, options, *plan, 0)) {
      if (changes.size() == kMostAdvice) break;
      changes.push_back({{"change", a.change}, {"option", a.option}, {"decode_tokens_per_s", a.decode_tokens_per_s}});
    }
  const double prefill = plan->ttft_s > 0 ? static_cast<double>(plan->n_prompt) / plan->ttft_s : 0;
  // An encoder writes nothing: its speed is that of reading.
  const double speed = outline.is_encoder ? prefill : plan->decode_tokens_per_s;
  return {{"verdict", verdict_of(speed)},
          {"decode_tokens_per_s", speed},
          {"prefill_tokens_per_s", prefill},
          {"load_s", plan->load_s},
          {"n_ctx", plan->n_ctx},
          {"kv_type", kv_name(plan->kv_types)},
          {"bound_by", bound_by(plan->pass)},
          {"layers", layers_json(outline, plan->placed.placement)},
          {"placement",
           {{"vram_bytes", plan->placed.vram_bytes},
            {"ram_bytes", plan->placed.ram_bytes},
            {"disk_bytes", plan->placed.disk_bytes}}},
          {"capacity", capacity_json(hw, plan->vram_limit_bytes, plan->ram_limit_bytes)},
          {"memory", std::move(memory)},
          {"advice", std::move(changes)},
          {"with_drafts", nullptr},
          {"measured_tokens_per_s", nullptr},
          {"measured_answers", 0}};
}

Json with_drafts_json(const model::ModelOutline& outline, const engine::Hardware& hw,
                      const engine::PlanOptions& options) {
  if (outline.is_encoder || options.draft == "none") return nullptr;
  const auto plan = engine::make_plan(outline, hw, options);
  if (!plan || plan->draft.n == 0) return nullptr;
  return {{"decode_tokens_per_s", plan->decode_tokens_per_s}, {"tau", plan->draft.tau}, {"draft", plan->draft.word}};
}

}  // namespace watra::server
