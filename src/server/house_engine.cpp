#include "server/house_engine.h"

#include "base/log.h"
#include "server/house_fields.h"
#include "watra_version.h"

namespace watra::server {
namespace {

Json engine_json(const ModelRoom::View& view, const ServedModel* model) {
  const bool is_ready = view.state == RoomState::ready && model;
  Json engine = {{"state", room_state_name(view.state)},
                 {"model", is_ready ? Json(view.id) : Json(nullptr)},
                 {"n_ctx", is_ready ? Json(model->n_ctx()) : Json(nullptr)},
                 {"vision", false}};
  if (view.state == RoomState::error) engine["error"] = {{"code", view.error_code}, {"message", view.error}};
  return engine;
}

}  // namespace

Json EngineWatch::engine() const {
  const auto model = house_.room.current();
  return engine_json(house_.room.view(), model.get());
}

void EngineWatch::room_changed() {
  const ModelRoom::View view = house_.room.view();
  switch (view.state) {
    case RoomState::empty:
      house_.hearth.rest("asleep");
      break;
    case RoomState::loading:
      house_.hearth.rest("loading", view.progress);
      break;
    case RoomState::ready:
      house_.hearth.rest("idle");
      break;
    case RoomState::error:
      house_.hearth.rest("error");
      break;
  }
  const auto model = house_.room.current();
  Json now = engine_json(view, model.get());
  std::string before;
  {
    const std::lock_guard lock(mutex_);
    Json seen = now;
    seen["of"] = view.id;
    if (seen == told_) return;  // a step of loading
    told_ = std::move(seen);
    before = std::exchange(model_, view.id);
  }
  if (const Status told = house_.home.events().tell("engine.state", std::nullopt, std::nullopt, now); !told)
    log::warn("the state of the engine could not be told: {}", told.error().message);
  if (!model_changed) return;
  if (!before.empty() && before != view.id) model_changed(before);
  if (!view.id.empty()) model_changed(view.id);
}

void EngineWatch::add(Router& router, const Door& door, Entrance& entrance, std::function<Json()> settings) {
  router.add(house_route("GET", "/house", [=, this, &door, &entrance](Exchange& x) -> Awaitable<void> {
    // The number first: what happens after it is told again by the stream.
    const int64_t as_of = house_value(house_.home.events().newest());
    Json values = settings();
    const bool is_first = !values.value("house.first_start_done", false);
    Json reply = {{"version", kVersion},
                  {"first_start", is_first},
                  {"door", {{"lan", door.is_lan()}, {"tls", door.is_tls()}, {"password", entrance.has_password()}}},
                  {"engine", engine()},
                  {"settings", std::move(values)},
                  {"as_of", as_of}};
    co_await x.reply_json(std::move(reply));
  }));
}

}  // namespace watra::server
