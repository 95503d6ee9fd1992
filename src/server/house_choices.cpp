#include "server/house_conversations.h"
#include "server/house_fields.h"

namespace watra::server {
namespace {

// Small named things the person keeps: listed together, each put and removed by its id.
void add_kept(Router& router, home::Kept& kept, const home::KeptKind& kind) {
  const std::string all = std::string("/") + kind.plural, one = all + "/{id}";
  add_json(router, "GET", all.c_str(), 200, [&kept, &kind](Exchange&) -> Json {
    return {{kind.plural, house_value(kept.list(kind))}};
  });
  add_json(router, "PUT", one.c_str(), 200,
           [&kept, &kind](Exchange& x) -> Json { return house_value(kept.put(kind, x.params["id"], x.json())); });
  add_json(router, "DELETE", one.c_str(), 204, [&kept, &kind](Exchange& x) -> Json {
    house_value(kept.remove(kind, x.params["id"]));
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

  for (const home::KeptKind* kind : home::kept_kinds()) add_kept(router, house.home.kept(), *kind);
}

}  // namespace watra::server
