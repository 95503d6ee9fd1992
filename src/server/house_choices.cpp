#include "server/house_conversations.h"
#include "server/house_fields.h"

namespace watra::server {
namespace {

// Small named things the person keeps: listed together, each put and removed by its id.
struct Kept {
  const char* what;  // "presets"
  std::function<Json()> list;
  std::function<Json(const std::string& id, const Json& body)> put;
  std::function<Status(const std::string& id)> remove;
};

void add_kept(Router& router, const Kept& kept) {
  const std::string all = std::string("/") + kept.what, one = all + "/{id}";
  add_json(router, "GET", all.c_str(), 200, [kept](Exchange&) -> Json { return {{kept.what, kept.list()}}; });
  add_json(router, "PUT", one.c_str(), 200, [kept](Exchange& x) -> Json { return kept.put(x.params["id"], x.json()); });
  add_json(router, "DELETE", one.c_str(), 204, [kept](Exchange& x) -> Json {
    house_value(kept.remove(x.params["id"]));
    return nullptr;
  });
}

}  // namespace

void add_house_choices(Router& router, Household& house) {
  home::Settings& settings = house.home.settings();
  add_json(router, "GET", "/settings/schema", 200, [](Exchange&) -> Json { return home::settings_schema(); });
  add_json(router, "GET", "/settings", 200, [&settings](Exchange&) -> Json {
    const auto seen = house_value(settings.seen());
    return {{"values", seen.values}, {"as_of", seen.as_of}};
  });
  add_json(router, "PATCH", "/settings", 200, [&settings](Exchange& x) -> Json {
    return {{"values", house_value(settings.change(x.json()))}};
  });

  home::Personas& kept = house.home.personas();
  add_kept(router, {.what = "personas",
                    .list =
                        [&kept] {
                          Json list = Json::array();
                          for (const auto& p : house_value(kept.list())) list.push_back(p.json());
                          return list;
                        },
                    .put = [&kept](const auto& id, const Json& body) { return house_value(kept.put(id, body)).json(); },
                    .remove = [&kept](const auto& id) { return kept.remove(id); }});
  add_kept(router, {.what = "presets",
                    .list = [&kept] { return house_value(kept.presets()); },
                    .put = [&kept](const auto& id, const Json& body) { return house_value(kept.put_preset(id, body)); },
                    .remove = [&kept](const auto& id) { return kept.remove_preset(id); }});
  add_kept(router, {.what = "sets",
                    .list = [&kept] { return house_value(kept.sets()); },
                    .put = [&kept](const auto& id, const Json& body) { return house_value(kept.put_set(id, body)); },
                    .remove = [&kept](const auto& id) { return kept.remove_set(id); }});
}

}  // namespace watra::server
