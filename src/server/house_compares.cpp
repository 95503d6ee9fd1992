#include "home/export.h"
#include "server/house_conversations.h"
#include "server/house_fields.h"

namespace watra::server {
namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out;
  for (size_t at = 0; at < list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    if (comma > at) out.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return out;
}

// Tables to be read, or what another house takes in.
Awaitable<void> reply_table(Exchange& x, home::Home& home) {
  const std::string format = query_text(x, "format").value_or("");
  const auto ids = split(query_text(x, "ids").value_or(""));
  const bool whole = format == "watra";
  std::string table = house_value(whole ? home::export_compares(home, ids) : home.compares().table(format, ids));
  std::string type = format == "json"  ? "application/json"
                     : whole           ? "application/x-ndjson"
                     : format == "csv" ? "text/csv; charset=utf-8"
                                       : "text/markdown; charset=utf-8";
  x.extra_head +=
      fmt::format("Content-Disposition: attachment; filename=\"compares.{}\"\r\n", whole ? "jsonl" : format);
  co_await x.reply(200, std::move(type), std::move(table));
}

}  // namespace

void add_house_compares(Router& router, Household& house, Comparing& comparing) {
  home::Compares& compares = house.home.compares();
  add_json(router, "POST", "/compares", 202, [&comparing](Exchange& x) -> Json { return comparing.begin(x.json()); });
  add_json(router, "GET", "/compares", 200, [&compares](Exchange& x) -> Json {
    const int64_t limit = query_integer(x, "limit", 1, 200).value_or(50);
    const auto found = house_value(compares.list(limit, query_before(x)));
    return {{"compares", found.compares}, {"more", found.more}, {"as_of", found.as_of}};
  });
  router.add(house_route("GET", "/compares/export", [&house](Exchange& x) { return reply_table(x, house.home); }));
  add_json(router, "GET", "/compares/{id}", 200,
           [&compares](Exchange& x) -> Json { return house_value(compares.shown(x.params["id"])); });
  add_json(router, "DELETE", "/compares/{id}", 204, [&compares](Exchange& x) -> Json {
    house_value(compares.remove(x.params["id"]));
    return nullptr;
  });
  add_json(router, "POST", "/compares/{id}/columns", 200,
           [&compares](Exchange& x) -> Json { return house_value(compares.paste(x.params["id"], x.json())); });
  add_json(router, "POST", "/compares/{id}/vote", 200,
           [&compares](Exchange& x) -> Json { return house_value(compares.vote(x.params["id"], x.json())); });
  add_json(router, "POST", "/compares/{id}/keep", 201,
           [&compares](Exchange& x) -> Json { return house_value(compares.keep(x.params["id"], x.json())).json(); });
  add_json(router, "POST", "/compares/{id}/stop", 202,
           [&comparing](Exchange& x) -> Json { return comparing.stop(x.params["id"]); });
  add_json(router, "POST", "/series", 202,
           [&comparing](Exchange& x) -> Json { return comparing.series().begin(x.json()); });
  add_json(router, "GET", "/series", 200, [&house, &comparing](Exchange&) -> Json {
    const int64_t as_of = house_value(house.home.events().newest());  // before: what is told twice is harmless
    return {{"series", comparing.series().now()}, {"as_of", as_of}};
  });
  add_json(router, "POST", "/series/{id}/stop", 202,
           [&comparing](Exchange& x) -> Json { return comparing.series().stop(x.params["id"]); });
}

}  // namespace watra::server
