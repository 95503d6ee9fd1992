#include "home/search.h"
#include "server/house_conversations.h"
#include "server/house_fields.h"

namespace watra::server {
namespace {

template <class T>
Json list_json(const std::vector<T>& items) {
  Json out = Json::array();
  for (const T& item : items) out.push_back(item.json());
  return out;
}

Json erased_json(const home::Conversations::Erased& e) { return {{"erased", e.n}, {"receipt", e.receipt}}; }

bool query_bool(const Exchange& x, std::string_view name) {
  const auto text = query_text(x, name);
  if (text && *text != "true" && *text != "false") throw request_invalid(std::string(name), "true or false");
  return text == "true";
}

void add_threads(Router& router, home::Conversations& talks) {
  add_json(router, "GET", "/threads", 200, [&talks](Exchange& x) -> Json {
    const int64_t limit = query_integer(x, "limit", 1, 500).value_or(100);
    auto before = query_before(x);
    if (query_text(x, "before_pinned")) {
      if (!before) throw request_invalid("before_pinned", "what goes with the time of `before`");
      before->pinned = query_bool(x, "before_pinned");
    }
    const auto found = house_value(talks.list(limit, before, query_bool(x, "archived")));
    return {{"threads", list_json(found.threads)}, {"more", found.more}, {"as_of", found.as_of}};
  });
  add_json(router, "POST", "/threads", 201,
           [&talks](Exchange& x) -> Json { return house_value(talks.create(x.json())).json(); });
  add_json(router, "PATCH", "/threads", 200, [&talks](Exchange& x) -> Json {
    return {{"threads", list_json(house_value(talks.change_many(x.json())))}};
  });
  add_json(router, "POST", "/threads/erase", 200,
           [&talks](Exchange& x) -> Json { return erased_json(house_value(talks.erase_many(x.json()))); });
  add_json(router, "GET", "/threads/{id}", 200, [&talks](Exchange& x) -> Json {
    const auto seen = house_value(talks.thread(x.params["id"]));
    return {{"thread", seen.thread.json()}, {"as_of", seen.as_of}};
  });
  add_json(router, "PATCH", "/threads/{id}", 200,
           [&talks](Exchange& x) -> Json { return house_value(talks.change(x.params["id"], x.json())).json(); });
  add_json(router, "DELETE", "/threads/{id}", 200,
           [&talks](Exchange& x) -> Json { return erased_json(house_value(talks.erase_thread(x.params["id"]))); });
  add_json(router, "GET", "/threads/{id}/messages", 200, [&talks](Exchange& x) -> Json {
    const int64_t limit = query_integer(x, "limit", 1, 2000).value_or(500);
    const auto found = house_value(talks.messages(x.params["id"], limit, query_integer(x, "before", 0)));
    return {{"messages", list_json(found.messages)}, {"more", found.more}, {"as_of", found.as_of}};
  });
  add_json(router, "POST", "/threads/{id}/fork", 201,
           [&talks](Exchange& x) -> Json { return house_value(talks.fork(x.params["id"], x.json())).json(); });
}

void add_messages(Router& router, home::Conversations& talks) {
  add_json(router, "GET", "/messages/{id}", 200,
           [&talks](Exchange& x) -> Json { return house_value(talks.message(x.params["id"])).json(); });
  add_json(router, "PATCH", "/messages/{id}", 200, [&talks](Exchange& x) -> Json {
    const Json body = x.json();
    const auto pinned = Fields(body).boolean("pinned");
    if (!pinned) throw request_invalid("pinned", "true or false");
    return house_value(talks.pin(x.params["id"], *pinned)).json();
  });
  add_json(router, "POST", "/messages/{id}/versions", 201,
           [&talks](Exchange& x) -> Json { return house_value(talks.rewrite(x.params["id"], x.json())).json(); });
  add_json(router, "DELETE", "/messages/{id}", 200,
           [&talks](Exchange& x) -> Json { return erased_json(house_value(talks.erase_message(x.params["id"]))); });
}

}  // namespace

std::optional<home::Before> query_before(const Exchange& x) {
  const auto at_ms = query_integer(x, "before", 0);
  auto id = query_text(x, "before_id").value_or("");
  if (id.size() > 64 || (!id.empty() && !at_ms))
    throw request_invalid("before_id", "the id that goes with the time of `before`");
  return at_ms ? std::optional(home::Before{*at_ms, std::move(id)}) : std::nullopt;
}

void add_json(Router& router, const char* method, const char* path, int status, std::function<Json(Exchange&)> make) {
  router.add(house_route(method, path, [make = std::move(make), status](Exchange& x) -> Awaitable<void> {
    Json reply = make(x);
    if (status == 204)
      co_await x.reply(204, "", "");
    else
      co_await x.reply_json(std::move(reply), status);
  }));
}

void add_house_threads(Router& router, Household& house) {
  add_threads(router, house.home.conversations());
  add_messages(router, house.home.conversations());
  add_json(router, "GET", "/search", 200, [&house](Exchange& x) -> Json {
    const auto began = std::chrono::steady_clock::now();
    const int64_t limit = query_integer(x, "limit", 1, 200).value_or(40);
    const auto found =
        house_value(home::search(house.home.ledger(), query_text(x, "q").value_or(""), limit, query_before(x)));
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    return {{"hits", list_json(found.hits)}, {"more", found.more}, {"ms", took.count()}};
  });
}

void add_house_conversations(Router& router, Household& house, Runs& runs, Comparing& comparing) {
  add_house_threads(router, house);
  add_house_turns(router, house, runs);
  add_house_choices(router, house);
  add_house_compares(router, house, comparing);
  add_house_files(router, house);
}

}  // namespace watra::server
