#include "server/house_conversations.h"
#include "server/house_fields.h"

namespace watra::server {
void add_house_choices(Router& router, Household& house) {
  home::Settings& settings = house.home.settings();
  home::Personas& personas = house.home.personas();
  add_json(router, "GET", "/settings/schema", 200, [](Exchange&) -> Json { return home::settings_schema(); });
  add_json(router, "GET", "/settings", 200, [&settings](Exchange&) -> Json {
    const auto seen = house_value(settings.seen());
    return {{"values", seen.values}, {"as_of", seen.as_of}};
  });
  add_json(router, "PATCH", "/settings", 200, [&settings](Exchange& x) -> Json {
    return {{"values", house_value(settings.change(x.json()))}};
  });

  add_json(router, "GET", "/personas", 200, [&personas](Exchange&) -> Json {
    Json list = Json::array();
    for (const auto& p : house_value(personas.list())) list.push_back(p.json());
    return {{"personas", std::move(list)}};
  });
  add_json(router, "PUT", "/personas/{id}", 200,
           [&personas](Exchange& x) -> Json { return house_value(personas.put(x.params["id"], x.json())).json(); });
  add_json(router, "DELETE", "/personas/{id}", 204, [&personas](Exchange& x) -> Json {
    house_value(personas.remove(x.params["id"]));
    return nullptr;
  });

  add_json(router, "GET", "/presets", 200, [&personas](Exchange&) -> Json {
    return {{"presets", house_value(personas.presets())}};
  });
  add_json(router, "PUT", "/presets/{id}", 200,
           [&personas](Exchange& x) -> Json { return house_value(personas.put_preset(x.params["id"], x.json())); });
  add_json(router, "DELETE", "/presets/{id}", 204, [&personas](Exchange& x) -> Json {
    house_value(personas.remove_preset(x.params["id"]));
    return nullptr;
  });

  add_json(router, "GET", "/sets", 200, [&personas](Exchange&) -> Json {
    return {{"sets", house_value(personas.sets())}};
  });
  add_json(router, "PUT", "/sets/{id}", 200,
           [&personas](Exchange& x) -> Json { return house_value(personas.put_set(x.params["id"], x.json())); });
  add_json(router, "DELETE", "/sets/{id}", 204, [&personas](Exchange& x) -> Json {
    house_value(personas.remove_set(x.params["id"]));
    return nullptr;
  });
}

}  // namespace watra::server
