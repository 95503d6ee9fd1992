// GET /v1/models, /v1/models/{id}
#include <fmt/chrono.h>

#include <algorithm>

#include "server/openai.h"

namespace watra::server {
namespace {

// Anthropic's clients read type, display_name and created_at.
Json entry(const std::string& id, int64_t created, Json meta) {
  const auto day = fmt::gmtime(static_cast<std::time_t>(created));
  return {{"id", id},
          {"object", "model"},
          {"type", "model"},
          {"display_name", id},
          {"created", created},
          {"created_at", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", day)},
          {"owned_by", "watra"},
          {"architecture", {{"input_modalities", {"text"}}, {"output_modalities", {"text"}}}},
          {"meta", std::move(meta)}};
}

// What its file says; one that cannot be read is listed by its size alone.
Json shelf_entry(ModelFiles& files, const ShelfEntry& e) {
  constexpr int64_t kNanoseconds = 1'000'000'000;
  Json meta = {{"size", e.bytes}, {"loaded", false}};
  const auto known = files.facts(e.path);
  if (!known) return entry(e.id, 0, std::move(meta));
  const ModelFacts& facts = **known;
  meta.update({{"n_params", facts.n_params}, {"quant", facts.quant}, {"architecture", facts.architecture}});
  if (facts.n_vocab > 0) meta["n_vocab"] = facts.n_vocab;
  const auto n_ctx = facts.metadata.find(facts.architecture + ".context_length");
  if (n_ctx != facts.metadata.end()) meta["n_ctx_train"] = *n_ctx;
  return entry(e.id, facts.stamp.modified_ns / kNanoseconds, std::move(meta));
}

Json capabilities_json(const ServedModel& m) {
  return m.is_encoder() ? Json::array({"embeddings"}) : Json::array({"completion", "embeddings"});
}

Json loaded_entry(const ServedModel& m) {
  const auto& hp = m.model().hparams();
  Json meta = {{"n_vocab", m.n_vocab()},
               {"n_ctx", m.n_ctx()},
               {"n_ctx_train", hp.n_ctx_train},
               {"n_embd", hp.d_model},
               {"n_params", m.model().n_params()},
               {"size", m.model().weight_bytes()},
               {"quant", m.quant()},
               {"architecture", hp.architecture},
               {"capabilities", capabilities_json(m)},
               {"loaded", true}};
  return entry(m.id(), m.created_s(), std::move(meta));
}

// The loaded one first, then what lies on the shelf.
Json model_list(const House& house) {
  Json data = Json::array();
  const auto loaded = house.room.current();
  if (loaded) data.push_back(loaded_entry(*loaded));
  for (const ShelfEntry& e : house.room.shelf())
    if (!loaded || !loaded->answers_to(e.id)) data.push_back(shelf_entry(house.files, e));
  return data;
}

}  // namespace

void add_openai_models(Router& router, House& house) {
  const auto list = [&house](Exchange& x) -> Awaitable<void> {
    Json data = co_await house.slow.run([&house] { return model_list(house); });
    const auto id_of = [](const Json& e) { return e.at("id"); };
    Json reply = {{"object", "list"},
                  {"has_more", false},
                  {"first_id", data.empty() ? Json(nullptr) : id_of(data.front())},
                  {"last_id", data.empty() ? Json(nullptr) : id_of(data.back())}};
    reply["data"] = std::move(data);
    co_await x.reply_json(std::move(reply));
  };
  for (const char* path : {"/v1/models", "/models"}) router.add({.method = "GET", .pattern = path, .handler = list});
  const auto one = [&house](Exchange& x) -> Awaitable<void> {
    const std::string id = x.params.at("id");
    const auto loaded = house.room.current();
    const Json all = co_await house.slow.run([&house] { return model_list(house); });
    for (const Json& e : all) {
      if (e.at("id") != id && !(e.at("meta").at("loaded") == true && loaded && loaded->answers_to(id))) continue;
      co_await x.reply_json(e);
      co_return;
    }
    throw ApiError{.status = 404,
                   .code = "model_not_found",
                   .message = fmt::format("there is no model '{}'; /v1/models lists them", id),
                   .param = "model"};
  };
  router.add({.method = "GET", .pattern = "/v1/models/{id*}", .handler = one});
}

}  // namespace watra::server
