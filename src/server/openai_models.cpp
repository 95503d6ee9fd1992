// GET /v1/models, /v1/models/{id}
#include <algorithm>

#include "server/openai.h"

namespace watra::server {
namespace {

Json entry(const std::string& id, int64_t created, Json meta) {
  return {{"id", id}, {"object", "model"}, {"created", created}, {"owned_by", "watra"}, {"meta", std::move(meta)}};
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
Json model_list(const ModelRoom& room) {
  Json data = Json::array();
  const auto loaded = room.current();
  if (loaded) data.push_back(loaded_entry(*loaded));
  for (const ShelfEntry& e : room.shelf()) {
    if (loaded && loaded->answers_to(e.id)) continue;
    data.push_back(entry(e.id, 0, {{"size", e.bytes}, {"loaded", false}}));
  }
  return data;
}

}  // namespace

void add_openai_models(Router& router, House& house) {
  const auto list = [&house](Exchange& x) -> Awaitable<void> {
    Json reply = {{"object", "list"}, {"data", model_list(house.room)}};
    co_await x.reply_json(std::move(reply));
  };
  for (const char* path : {"/v1/models", "/models"}) router.add({.method = "GET", .pattern = path, .handler = list});
  const auto one = [&house](Exchange& x) -> Awaitable<void> {
    const std::string id = x.params.at("id");
    const auto loaded = house.room.current();
    const Json all = model_list(house.room);
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
