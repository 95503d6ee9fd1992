// GET /api/tags, /api/ps, /api/version; POST /api/show
#include <fmt/chrono.h>

#include "server/ollama.h"
#include "watra_version.h"

namespace watra::server {
namespace {

std::string rfc3339(int64_t seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

Json details(const ServedModel* m) {
  if (!m)
    return {{"format", "gguf"},
            {"family", ""},
            {"families", Json::array()},
            {"parameter_size", ""},
            {"quantization_level", ""}};
  const std::string family = m->model().hparams().architecture;
  return {{"parent_model", ""},
          {"format", "gguf"},
          {"family", family},
          {"families", Json::array({family})},
          {"parameter_size", fmt::format("{:.1f}M", static_cast<double>(m->model().n_params()) / 1e6)},
          {"quantization_level", m->quant()}};
}

Json tag(const std::string& id, uint64_t bytes, int64_t seconds, const ServedModel* m) {
  return {{"name", id + ":latest"}, {"model", id + ":latest"}, {"modified_at", rfc3339(seconds)}, {"size", bytes},
          {"digest", ""},           {"details", details(m)}};
}

Json model_info(const ServedModel& m) {
  const auto& hp = m.model().hparams();
  const std::string& a = hp.architecture;
  return {{"general.architecture", a},
          {"general.parameter_count", m.model().n_params()},
          {a + ".context_length", hp.n_ctx_train},
          {a + ".embedding_length", hp.d_model},
          {a + ".block_count", hp.n_layers}};
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
    const auto loaded = house.room.current();
    Json models = Json::array();
    if (loaded) models.push_back(tag(loaded->id(), loaded->model().weight_bytes(), loaded->created_s(), loaded.get()));
    for (const ShelfEntry& e : house.room.shelf())
      if (!loaded || !loaded->answers_to(e.id)) models.push_back(tag(e.id, e.bytes, 0, nullptr));
    Json reply = {{"models", std::move(models)}};
    co_await x.reply_json(std::move(reply));
  });
  get("/api/ps", [&house](Exchange& x) -> Awaitable<void> {
    const auto loaded = house.room.current();
    Json models = Json::array();
    if (loaded) {
      models.push_back(tag(loaded->id(), loaded->model().weight_bytes(), loaded->created_s(), loaded.get()));
      models.back()["size_vram"] = 0;
      models.back()["context_length"] = loaded->n_ctx();
    }
    Json reply = {{"models", std::move(models)}};
    co_await x.reply_json(std::move(reply));
  });
  const auto show = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    const std::string name = f.text("model").value_or(f.text("name").value_or(""));
    if (name.empty()) f.refuse("model", "the name of a model");
    const auto m = co_await house.room.acquire(x, name);
    Json capabilities = Json::array({m->is_encoder() ? "embedding" : "completion"});
    if (m->tokenizer().spec().fim_prefix >= 0) capabilities.push_back("insert");
    if (m->template_source().find("tools") != std::string::npos) capabilities.push_back("tools");
    Json reply = {{"modelfile", ""},
                  {"parameters", fmt::format("num_ctx {}", m->n_ctx())},
                  {"template", m->template_source()},
                  {"details", details(m.get())},
                  {"model_info", model_info(*m)},
                  {"capabilities", std::move(capabilities)}};
    co_await x.reply_json(std::move(reply));
  };
  router.add({.method = "POST", .pattern = "/api/show", .handler = show, .dialect = Dialect::ollama});
}

}  // namespace watra::server
