// GET /api/tags, /api/ps, /api/version; POST /api/show
#include <fmt/chrono.h>

#include "server/ollama.h"
#include "watra_version.h"

namespace watra::server {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;
constexpr int64_t kLong = int64_t{100} * 365 * 24 * 3600;  // a model stays until another one is asked for

std::string rfc3339(int64_t seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

std::string modified(const ModelFacts& facts) { return rfc3339(facts.stamp.modified_ns / kNanoseconds); }

Json details(const ModelFacts& facts) {
  return {{"parent_model", ""},
          {"format", "gguf"},
          {"family", facts.architecture},
          {"families", Json::array({facts.architecture})},
          {"parameter_size", parameter_size(facts.n_params)},
          {"quantization_level", facts.quant}};
}

// One that cannot be read is listed by what its folder tells.
Json tag(ModelFiles& files, const ShelfEntry& e) {
  static const ModelFacts unknown;
  const auto known = files.facts(e.path);
  const ModelFacts& facts = known ? **known : unknown;
  return {{"name", e.id + ":latest"}, {"model", e.id + ":latest"},        {"modified_at", modified(facts)},
          {"size", e.bytes},          {"digest", digest_of(e.id, facts)}, {"details", details(facts)}};
}

// By its name in answers, with what the shelf knows of it.
ShelfEntry loaded_entry(const ModelRoom& room, const ServedModel& model) {
  ShelfEntry e = room.entry_of(model);
  e.id = model.id();
  return e;
}

Json capabilities(const ModelFacts& facts) {
  if (facts.is_encoder) return Json::array({"embedding"});
  Json out = Json::array({"completion"});
  if (facts.fills_in) out.push_back("insert");
  if (facts.chat_template.find("tools") != std::string::npos) out.push_back("tools");
  if (facts.chat_template.find("<think>") != std::string::npos) out.push_back("thinking");
  return out;
}

Json shown(const ModelFacts& facts, const ShelfEntry& e, const ServedModel* loaded) {
  const std::string& words = loaded ? loaded->template_source() : facts.chat_template;
  return {{"license", facts.licence},
          {"modelfile", fmt::format("FROM {}\n", e.id)},
          {"parameters", loaded ? fmt::format("num_ctx {}", loaded->n_ctx()) : std::string()},
          {"template", words},
          {"details", details(facts)},
          {"model_info", facts.metadata},
          {"capabilities", capabilities(facts)},
          {"modified_at", modified(facts)}};
}

}  // namespace

void add_ollama_models(Router& router, House& house) {
  const auto get = [&router](const char* path, Handler handler) {
    router.add({.method = "GET", .pattern = path, .handler = std::move(handler), .dialect = Dialect::ollama});
  };
  get("/api/version", [](Exchange& x) -> Awaitable<void> {
    Json reply = {{"version", kVersion}};
    co_await x.reply_json(std::move(reply));
  });
  get("/api/tags", [&house](Exchange& x) -> Awaitable<void> {
    const auto list = [&house]() -> Json {
      const auto loaded = house.room.current();
      Json models = Json::array();
      if (loaded) models.push_back(tag(house.files, loaded_entry(house.room, *loaded)));
      for (const ShelfEntry& e : house.room.shelf())
        if (!loaded || (!loaded->answers_to(e.id) && e.path != loaded->names().path))
          models.push_back(tag(house.files, e));
      return {{"models", std::move(models)}};
    };
    Json reply = co_await house.slow.run(list);
    co_await x.reply_json(std::move(reply));
  });
  get("/api/ps", [&house](Exchange& x) -> Awaitable<void> {
    const auto list = [&house]() -> Json {
      const auto loaded = house.room.current();
      Json models = Json::array();
      if (loaded) {
        models.push_back(tag(house.files, loaded_entry(house.room, *loaded)));
        models.back().update({{"expires_at", rfc3339(loaded->created_s() + kLong)},
                              {"size_vram", 0},
                              {"context_length", loaded->n_ctx()}});
      }
      return {{"models", std::move(models)}};
    };
    Json reply = co_await house.slow.run(list);
    co_await x.reply_json(std::move(reply));
  });
  const auto show = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    const std::string name = f.text("model").value_or(f.text("name").value_or(""));
    if (name.empty()) f.refuse("model", "the name of a model");
    const auto describe = [&house, name]() -> Json {
      const ShelfEntry e = house.room.look_up(name);
      const auto loaded = house.room.current();
      const auto facts = value_or_throw(house.files.facts(e.path), "model");
      return shown(*facts, e, loaded && loaded->names().path == e.path ? loaded.get() : nullptr);
    };
    Json reply = co_await house.slow.run(describe);
    co_await x.reply_json(std::move(reply));
  };
  router.add({.method = "POST", .pattern = "/api/show", .handler = show, .dialect = Dialect::ollama});
}

}  // namespace watra::server
