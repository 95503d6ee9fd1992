#include "home/prompts.h"
#include "server/answering.h"
#include "server/house_conversations.h"
#include "server/house_fields.h"
#include "server/reasoning.h"
#include "server/shelf/model_words.h"
#include "server/turn_prompt.h"

namespace watra::server {

Answering find_answering(Household& house, std::string model, const std::string& persona,
                         const std::vector<Json>& layers) {
  Answering out;
  out.sampling = house_value(house.home.settings().sampling());
  for (const Json& layer : layers)
    if (layer.is_object()) out.sampling.update(layer);
  if (!persona.empty()) {
    const home::Persona p = house_value(house.home.personas().find(persona));
    out.by.persona = p.id;
    out.by.persona_name = p.name;
  }
  const auto loaded = house.room.current();
  const auto view = house.room.view();
  if (model.empty() && !loaded && view.state != RoomState::loading)
    model = house_value(house.home.settings().value("engine.default_model")).get<std::string>();
  if (loaded && (model.empty() || loaded->answers_to(model))) {
    out.model = loaded;
    out.by.model = loaded->id();
    out.by.model_name =
        shown_name(loaded->id(), loaded->model().file().metadata().get_string("general.name").value_or(""));
    return out;
  }
  if (model.empty() || (view.state == RoomState::loading && view.id == model)) {
    if (view.state != RoomState::loading)
      throw in_the_way("engine.empty", "no model is loaded", "load one on the shelf, or name one in the turn");
    out.by.model = view.id;
    out.by.model_name = shown_name(view.id, "");
    return out;
  }
  const auto entry = find_on_shelf(house.room, model);
  if (!entry) {
    ApiError error = unknown("model", model);
    error.param = "model";
    throw error;
  }
  if (!house_value(house.home.settings().value("engine.load_on_demand")).get<bool>())
    throw in_the_way("engine.empty", entry->id + " is not loaded, and loading on demand is switched off",
                     "load it on the shelf");
  out.by.model = entry->id;
  out.by.model_name = shown_name(entry->id, "");
  return out;
}

namespace {

std::optional<std::string> text_field(const Json& body, std::string_view name) { return Fields(body).text(name); }

// A persona that was removed speaks no more: what was kept with it is answered without one.
std::string if_still_there(Household& house, const std::optional<std::string>& persona) {
  return persona && house.home.personas().find(*persona) ? *persona : "";
}

Json run_json(const Runs& runs, const home::Turn& turn) {
  if (auto run = runs.find(turn.run)) return *std::move(run);
  Json run = home::new_run(turn.run, turn.answer.thread, turn.answer.id);
  if (turn.answer.state != "running") run["state"] = turn.answer.state == "erased" ? "done" : turn.answer.state;
  return run;
}

Json turn_json(const Runs& runs, const home::Turn& turn) {
  return {{"message", turn.said ? turn.said->json() : Json(nullptr)},
          {"answer", turn.answer.json()},
          {"run", run_json(runs, turn)},
          {"as_of", turn.as_of}};
}

// The first words of an answer, as the person gives them: thoughts where they open a block of them, then words.
Json begun_parts(const std::string& begin, const home::TurnWish& wish) {
  constexpr size_t kMost = 65536;  // bytes
  if (begin.empty() || begin.size() > kMost)
    throw request_invalid("begin", fmt::format("a text of 1 to {} bytes", kMost));
  if (wish.go_on) throw request_invalid("begin", "an answer that is still to begin: \"continue\" has its beginning");
  ReasoningSplitter splitter(true, false);
  const auto first = splitter.feed(begin), rest = splitter.finish();
  const std::string thoughts = first.reasoning + rest.reasoning, words = first.content + rest.content;
  Json parts = Json::array();
  if (!thoughts.empty()) parts.push_back({{"type", "reasoning"}, {"text", thoughts}, {"seconds", nullptr}});
  if (!words.empty()) parts.push_back({{"type", "text"}, {"text", words}});
  if (parts.empty()) throw request_invalid("begin", "words");
  return parts;
}

// A prompt that can never fit is refused before anything is written down.
void check_fits(Household& house, const home::Thread& thread, const home::TurnWish& wish, const Answering& by) {
  if (!by.model) return;
  std::vector<home::Message> path;
  const auto& end = wish.go_on ? wish.go_on : wish.parent;
  if (end) path = house_value(house.home.conversations().path(*end));
  if (!wish.parts.is_null()) {
    house_value(house.home.answers().check(wish.parts));
    path.push_back({.parts = wish.parts, .ref = wish.ref});
  }
  if (!wish.begun.is_null()) path.push_back({.role = "assistant", .parts = wish.begun});
  TurnWords words = turn_words(house.home, path, wish.go_on || !wish.begun.is_null());
  if (!wish.begun.is_null()) words.n_must = 2;
  words.system = thread.system.value_or("");
  if (by.by.persona) words.persona = house_value(house.home.personas().find(*by.by.persona)).text;
  if (words.turns.empty()) throw request_invalid("parts", "words to be answered");
  context_of(*by.model, words, by.sampling.value("max_tokens", int64_t{-1}));
}

Json take_turn(Exchange& x, Household& house, Runs& runs) {
  const Json body = x.json();
  const Fields fields(body);
  if (auto seen = house_value(house.home.answers().seen(fields.has("client_id") ? body["client_id"] : Json())))
    return turn_json(runs, *seen);
  const home::Thread thread = house_value(house.home.conversations().thread(x.params["id"])).thread;
  home::TurnWish wish{.client_id = body["client_id"],
                      .thread = thread.id,
                      .parent = text_field(body, "parent"),
                      .parts = fields.has("parts") ? body["parts"] : Json(),
                      .ref = text_field(body, "ref"),
                      .go_on = text_field(body, "continue")};
  if (const auto begin = text_field(body, "begin")) wish.begun = begun_parts(*begin, wish);
  const Json given =
      house_value(house.home.settings().checked_sampling_of(fields.has("sampling") ? body["sampling"] : Json()));
  std::string model = text_field(body, "model").value_or("");
  if (model.empty()) model = thread.model.value_or("");
  std::string persona = text_field(body, "persona").value_or("");
  if (persona.empty()) persona = if_still_there(house, thread.persona);
  if (wish.go_on && !fields.has("persona"))  // it goes on as who began it
    if (const home::Message m = house_value(house.home.conversations().message(*wish.go_on));
        m.actor_kind == "companion")
      persona = if_still_there(house, m.actor_id);
  const Answering answering = find_answering(house, model, persona, {thread.sampling, given});
  check_fits(house, thread, wish, answering);
  Runs::Place place = runs.take_place();
  wish.by = answering.by;
  const home::Turn turn = house_value(house.home.answers().begin(wish));
  if (turn.fresh)
    runs.begin({.run = turn.run,
                .thread = thread.id,
                .answer = turn.answer.id,
                .model = answering.by.model,
                .sampling = answering.sampling,
                .persona = answering.by.persona,
                .go_on = wish.go_on || !wish.begun.is_null(),
                .begun = !wish.begun.is_null()},
               std::move(place));
  return turn_json(runs, turn);
}

// How full the context is at a place in the tree, as the loaded model would see it.
Json thread_context(Household& house, const home::Thread& thread, const std::optional<std::string>& head) {
  std::vector<home::Message> path;
  if (head) path = house_value(house.home.conversations().path(*head));
  const auto model = house.room.current();
  if (!model) {
    for (auto m = path.rbegin(); m != path.rend(); ++m)
      if (m->facts.is_object()) return m->facts.at("context");
    return {{"n_ctx", house_value(house.home.settings().value("engine.n_ctx"))},
            {"used_tokens", 0},
            {"reserve_tokens", 0},
            {"sees_from", nullptr}};
  }
  TurnWords words = turn_words(house.home, path, false);
  words.system = thread.system.value_or("");
  if (thread.persona)
    if (const auto persona = house.home.personas().find(*thread.persona)) words.persona = persona->text;
  Json sampling = house_value(house.home.settings().sampling());
  sampling.update(thread.sampling);
  const auto max_tokens = sampling.value("max_tokens", int64_t{-1});
  try {
    return context_of(*model, words, max_tokens);
  } catch (const ApiError& e) {
    if (e.code != "context.too_long") throw;
  }
  return {{"n_ctx", model->n_ctx()}, {"used_tokens", model->n_ctx()}, {"reserve_tokens", 0}, {"sees_from", nullptr}};
}

}  // namespace

void add_house_turns(Router& router, Household& house, Runs& runs) {
  add_json(router, "POST", "/threads/{id}/turns", 202,
           [&house, &runs](Exchange& x) -> Json { return take_turn(x, house, runs); });
  add_json(router, "GET", "/threads/{id}/context", 200, [&house](Exchange& x) -> Json {
    const auto thread = house_value(house.home.conversations().thread(x.params["id"])).thread;
    auto head = query_text(x, "head");
    if (!head) head = thread.head;
    return thread_context(house, thread, head);
  });
  add_json(router, "GET", "/runs", 200, [&house, &runs](Exchange&) -> Json {
    const int64_t as_of = house_value(house.home.events().newest());  // before: what is told twice is harmless
    return {{"runs", runs.list()}, {"as_of", as_of}};
  });
  add_json(router, "POST", "/runs/{id}/stop", 202, [&runs](Exchange& x) -> Json {
    auto run = runs.stop(x.params["id"]);
    if (!run) throw unknown("run", x.params["id"]);
    return *std::move(run);
  });
  add_json(router, "GET", "/messages/{id}/prompt", 200, [&house](Exchange& x) -> Json {
    const auto message = house_value(house.home.conversations().message(x.params["id"]));
    if (message.veiled) throw unknown("message", message.id);  // its prompt would tell who answers
    return house_value(home::read_prompt(house.home.db(), message.id));
  });
}

}  // namespace watra::server
