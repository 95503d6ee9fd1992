#include "engine/kept_experience.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "engine/page_key.h"

namespace watra::engine {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMostBytes = 4 << 20;
// Below so many tokens a speed says more of the answer than of the drafts.
constexpr double kEnoughTokens = 64;

fs::path path_of(const fs::path& home) { return home / "drafts.json"; }

Result<Json> read_models(const fs::path& home) {
  std::error_code ec;
  if (!fs::exists(path_of(home), ec)) return Json::array();
  WATRA_ASSIGN(const std::string text, read_text_file(path_of(home), kMostBytes));
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("models") || !json["models"].is_array())
    return fail("experience.unreadable", fmt::format("{} is not what was written there", path_of(home).string()),
                "it is begun anew");
  return std::move(json["models"]);
}

bool is_of(const Json& entry, std::string_view key) {
  return entry.is_object() && entry.contains("key") && entry["key"].is_string() &&
         entry["key"].get_ref<const std::string&>() == key;
}

}  // namespace

Result<std::string> experience_key(const model::Model& model) {
  constexpr size_t kSampleBytes = 64;
  PageKey key;
  const auto add = [&key](const auto* data, size_t n) { key = hash_bytes(std::as_bytes(std::span(data, n)), key); };
  std::byte sample[kSampleBytes];
  for (const auto& t : model.file().tensors()) {
    add(t.name.data(), t.name.size());
    add(&t.dtype, 1);
    add(&t.size_bytes, 1);
    if (!model.file().has_files()) continue;  // made in memory: the name says how
    const std::span<std::byte> bytes(sample, std::min<uint64_t>(t.size_bytes, kSampleBytes));
    WATRA_TRY(model.file().read(t, bytes));
    add(bytes.data(), bytes.size());
  }
  return fmt::format("{:016x}{:016x}", key.a, key.b);
}

std::string pass_circumstances(const LoadedModel& model) {
  return fmt::format("{}, {} threads, {} MB streamed", model.forward->kernels().isa, model.team->size(),
                     model.streamed_bytes / 1000000);
}

Status load_experience(const fs::path& home, std::string_view key, std::string_view of_passes, DraftExperience& out) {
  WATRA_ASSIGN(const Json models, read_models(home));
  for (const Json& m : models)
    if (is_of(m, key) && m.contains("experience")) return out.from_text(m["experience"].dump(), of_passes);
  return {};
}

Status save_experience(const fs::path& home, std::string_view key, std::string_view of_passes,
                       const DraftExperience& experience) {
  auto before = read_models(home);
  Json models = Json::array();
  models.push_back({{"key", key}, {"experience", Json::parse(experience.to_text(of_passes))}});
  if (before)
    for (const Json& m : *before)
      if (!is_of(m, key) && models.size() < kMostModels) models.push_back(m);
  WATRA_TRY(make_folders(home));
  return write_file_atomic(path_of(home), Json{{"models", models}}.dump(1, ' ', false, Json::error_handler_t::replace));
}

std::shared_ptr<DraftExperience> keep_experience(const fs::path& home, const LoadedModel& model) {
  struct Kept {
    fs::path home;
    std::string key, of_passes;
    DraftExperience experience;
    ~Kept() {
      try {
        if (experience.totals().empty()) return;  // nothing was written
        if (Status saved = save_experience(home, key, of_passes, experience); !saved)
          log::debug("what drafts were worth was not kept: {}", saved.error().message);
      } catch (const std::exception& e) {  // no memory: nothing is thrown out of an end
        log::debug("what drafts were worth was not kept: {}", e.what());
      }
    }
  };
  auto key = experience_key(*model.model);
  if (!key) return std::make_shared<DraftExperience>();
  auto kept = std::make_shared<Kept>();
  kept->home = home;
  kept->key = std::move(*key);
  kept->of_passes = pass_circumstances(model);
  if (Status loaded = load_experience(home, kept->key, kept->of_passes, kept->experience); !loaded)
    log::debug("what drafts were worth is learned anew: {}", loaded.error().message);
  return {kept, &kept->experience};
}

std::vector<MeasuredDraft> measured_drafts(const DraftExperience& experience) {
  std::vector<MeasuredDraft> out;
  for (const auto& [way, t] : experience.totals()) {
    if (t.n_tokens < kEnoughTokens || t.n_passes < 1) continue;
    const size_t colon = way.find(':');
    const std::string method = way.substr(0, colon);
    out.push_back({.method = method,
                   .model = colon != std::string::npos ? way.substr(colon + 1) : "",
                   .accept_rate = t.n_drafted > 0 ? t.n_accepted / t.n_drafted : 0,
                   .tau = t.tau(),
                   .nodes_per_pass = t.n_drafted / t.n_passes,
                   .speed_up = t.speed_up(),
                   .n_answers = std::max<int64_t>(1, std::llround(t.n_answers))});
  }
  return out;
}

}  // namespace watra::engine
