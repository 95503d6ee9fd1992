#include "home/compares.h"

#include <algorithm>
#include <random>

#include "home/check.h"
#include "home/ids.h"
#include "home/settings_schema.h"

namespace watra::home {
namespace {

Json& column_of(Compare& c, const std::string& id) {
  for (Json& column : c.columns)
    if (column.at("id") == id) return column;
  refuse("compare.unknown", fmt::format("this compare has no column {}", id));
}

Json checked_columns(const Json& columns) {
  if (!columns.is_array() || columns.size() < 2 || columns.size() > kMostAskedColumns)
    refuse_field("columns", fmt::format("2..{}", kMostAskedColumns));
  Json out = Json::array();
  for (const Json& c : columns) {
    if (!c.is_object()) refuse_field("columns", "objects");
    const Json& persona = member(c, "persona");
    out.push_back(
        {{"id", make_id("k_")},
         {"label", ""},
         {"model", checked_text(member(c, "model"), "columns.model", 1, 64)},
         {"persona", persona.is_null() ? Json(nullptr) : Json(checked_text(persona, "columns.persona", 1, 64))},
         {"sampling", checked_sampling(member(c, "sampling"), "columns.sampling")},
         {"state", "queued"},
         {"message", nullptr},
         {"pasted", false}});
  }
  return out;
}

// What the answer shows of what its run does: as long as it has no words, nobody has spoken.
const char* under_way(const Message& answer) {
  bool has_thoughts = false;
  for (const Json& part : answer.parts) {
    const Json& text = member(part, "text");
    if (!text.is_string() || text.get_ref<const std::string&>().empty()) continue;
    if (member(part, "type") == "text") return "speaking";
    has_thoughts = true;
  }
  return has_thoughts ? "thinking" : "reading";
}

}  // namespace

Compare Compares::read(const std::string& id) const {
  Statement s = ledger_.db().query(
      "SELECT id, thread_id, question, system, blind, revealed, run_order, state, created_ms, vote, columns FROM "
      "compares WHERE id = ?",
      id);
  if (!s.step()) refuse("compare.unknown", fmt::format("there is no compare {}", id));
  return {.id = s.text(0),
          .thread = s.text(1),
          .question = s.text(2),
          .system = s.maybe_text(3),
          .blind = s.boolean(4),
          .revealed = s.boolean(5),
          .order = s.text(6),
          .state = s.text(7),
          .created_ms = s.integer(8),
          .vote = s.json(9),
          .columns = s.json(10)};
}

void Compares::write(const Compare& c) {
  ledger_.db().run("UPDATE compares SET revealed = ?, run_order = ?, state = ?, vote = ?, columns = ? WHERE id = ?",
                   c.revealed, c.order, c.state, c.vote, dump(c.columns), c.id);
}

Json Compares::json(const Compare& c, bool with_answers) const {
  Json columns = Json::array();
  for (Json column : c.columns) {
    column["answer"] = nullptr;
    if (!column.at("message").is_null()) {
      const Message m = ledger_.message(column.at("message"));
      if (with_answers) column["answer"] = m.json();
      column["state"] = m.state == "running" ? under_way(m) : m.state == "erased" ? "done" : m.state;
    }
    if (c.hides() && !column.at("pasted")) {
      column["model"] = column["persona"] = nullptr;
      column["sampling"] = Json::object();
    }
    columns.push_back(std::move(column));
  }
  return {{"id", c.id},
          {"thread", c.thread},
          {"question", c.question},
          {"system", or_null(c.system)},
          {"blind", c.blind},
          {"revealed", c.revealed},
          {"order", c.order},
          {"state", c.state},
          {"created_ms", c.created_ms},
          {"vote", c.vote},
          {"columns", std::move(columns)}};
}

void Compares::tell(const Compare& c) {
  ledger_.events().publish("compare.changed", c.thread, std::nullopt, json(c, false));
}

Json Compares::changed(Transaction& t, const Compare& c) {
  write(c);
  tell(c);
  Json out = json(c, true);
  t.commit();
  return out;
}

Result<std::optional<std::string>> Compares::seen(const Json& client_id) const {
  return guarded([&]() -> std::optional<std::string> {
    const auto made = ledger_.made_by(client_id);
    if (!made || !made->contains("compare")) return std::nullopt;
    return made->at("compare").get<std::string>();
  });
}

Result<Compares::Begun> Compares::begin(const Json& body, const std::string& order) {
  return guarded([&] {
    Transaction t(ledger_.db());
    Begun out{.fresh = false};
    const Json made = ledger_.once(member(body, "client_id"), [&]() -> Json {
      out.fresh = true;
      const Json& system = member(body, "system");
      Compare c{.id = make_id("c_"),
                .thread = make_id("t_"),
                .question = checked_text(member(body, "question"), "question", 1, 200'000),
                .blind = checked_bool(member(body, "blind"), "blind"),
                .order = order,
                .created_ms = now_ms(),
                .columns = checked_columns(member(body, "columns"))};
      if (!system.is_null()) c.system = checked_text(system, "system", 0, 65536);
      c.revealed = !c.blind;
      if (c.blind) {
        std::random_device random;
        std::shuffle(c.columns.begin(), c.columns.end(), random);
      }
      for (size_t i = 0; i < c.columns.size(); ++i) c.columns[i]["label"] = std::string(1, kColumnLabels[i]);
      ledger_.insert_thread({.id = c.thread,
                             .title = title_of(c.question),
                             .hidden = true,
                             .created_ms = c.created_ms,
                             .updated_ms = c.created_ms,
                             .system = c.system});
      Message question{.thread = c.thread, .parts = Json::array({{{"type", "text"}, {"text", c.question}}})};
      ledger_.insert_message(question);
      put(c);
      return {{"compare", c.id}};
    });
    if (!made.contains("compare")) refuse_field("client_id", "an id that made nothing else");
    out.compare = read(made.at("compare"));
    t.commit();
    return out;
  });
}

Result<Turn> Compares::open(const std::string& id, const std::string& column, const Answerer& by) {
  return guarded([&] {
    Transaction t(ledger_.db());
    Compare c = read(id);
    std::string question;
    {
      Statement s = ledger_.db().query("SELECT id FROM messages WHERE thread_id = ? ORDER BY log LIMIT 1", c.thread);
      if (!s.step()) refuse("compare.unknown", "the question of this compare was erased");
      question = s.text(0);
    }
    Turn turn{.run = make_id("r_")};
    turn.answer = answers_.open(c.thread, question, by, turn.run);
    column_of(c, column)["message"] = turn.answer.id;
    write(c);
    turn.answer = ledger_.message(turn.answer.id);  // veiled, where the compare is blind
    turn.answer.seq = ledger_.events().next();
    ledger_.events().publish("answer.started", c.thread, turn.answer.id,
                             {{"run", new_run(turn.run, c.thread, turn.answer.id)}, {"message", turn.answer.json()}});
    tell(c);
    t.commit();
    return turn;
  });
}

Status Compares::tell_changed(const std::string& id) {
  return guarded([&] {
    Transaction t(ledger_.db());
    tell(read(id));
    t.commit();
  });
}

Status Compares::end(const std::string& id, const std::string& state) {
  return guarded([&] {
    Transaction t(ledger_.db());
    Compare c = read(id);
    c.state = state;
    for (Json& column : c.columns)
      if (column.at("message").is_null() && column.at("state") == "queued") column["state"] = "stopped";
    write(c);
    tell(c);
    t.commit();
  });
}

Result<Compare> Compares::find(const std::string& id) const {
  return guarded([&] { return read(id); });
}

Result<Compares::List> Compares::list(int64_t limit, const std::optional<Before>& before) const {
  return guarded([&] {
    const auto held = ledger_.db().lock();
    List out;
    const auto at_ms = before ? std::optional(before->at_ms) : std::nullopt;
    const std::string id = before ? before->id : "";
    Statement s = ledger_.db().query(
        "SELECT id FROM compares WHERE (?1 IS NULL OR created_ms < ?1 OR (created_ms = ?1 AND id < ?2)) ORDER BY "
        "created_ms DESC, id DESC LIMIT ?3",
        at_ms, id, limit + 1);
    while (s.step()) out.compares.push_back(json(read(s.text(0)), true));
    out.more = static_cast<int64_t>(out.compares.size()) > limit;
    if (out.more) out.compares.pop_back();
    out.as_of = ledger_.events().last();
    return out;
  });
}

Result<Json> Compares::shown(const std::string& id) const {
  return guarded([&]() -> Json {
    const auto held = ledger_.db().lock();
    return {{"compare", json(read(id), true)}, {"as_of", ledger_.events().last()}};
  });
}

Result<Json> Compares::paste(const std::string& id, const Json& body) {
  return guarded([&] {
    Transaction t(ledger_.db());
    Compare c = read(id);
    if (c.columns.size() >= kMostColumns) refuse_field("columns", fmt::format("at most {}", kMostColumns));
    std::string question;
    {
      Statement s = ledger_.db().query("SELECT id FROM messages WHERE thread_id = ? ORDER BY log LIMIT 1", c.thread);
      if (s.step()) question = s.text(0);
    }
    Message m{
        .thread = c.thread,
        .parent = question,
        .role = "assistant",
        .actor_kind = "model",
        .actor_name = checked_text(member(body, "name"), "name", 1, 80),
        .parts = Json::array({{{"type", "text"}, {"text", checked_text(member(body, "text"), "text", 1, 200'000)}}}),
        .source = "pasted"};
    ledger_.insert_message(m);
    c.columns.push_back({{"id", make_id("k_")},
                         {"label", std::string(1, kColumnLabels[c.columns.size()])},
                         {"model", nullptr},
                         {"persona", nullptr},
                         {"sampling", Json::object()},
                         {"state", "done"},
                         {"message", m.id},
                         {"pasted", true}});
    return changed(t, c);
  });
}

Result<Json> Compares::vote(const std::string& id, const Json& body) {
  return guarded([&] {
    Transaction t(ledger_.db());
    Compare c = read(id);
    const Json& verdict = member(body, "verdict");
    if (verdict != "best" && verdict != "tie" && verdict != "none") refuse_field("verdict", "best, tie, none");
    const Json& column = member(body, "column");
    if (verdict == "best" && column.is_null()) refuse_field("column", "the column that is best");
    if (!column.is_null()) column_of(c, checked_text(column, "column", 1, 64));
    c.vote = {{"column", column}, {"verdict", verdict}};
    c.revealed = true;
    return changed(t, c);
  });
}

Result<Thread> Compares::keep(const std::string& id, const Json& body) {
  return guarded([&] {
    Transaction t(ledger_.db());
    Compare c = read(id);
    const Json column = column_of(c, checked_text(member(body, "column"), "column", 1, 64));
    if (column.at("message").is_null()) refuse_field("column", "a column that has answered");
    const Json made = ledger_.once(member(body, "client_id"), [&]() -> Json {
      Thread thread{.id = make_id("t_"),
                    .title = title_of(c.question),
                    .created_ms = now_ms(),
                    .updated_ms = now_ms(),
                    .system = c.system,
                    .sampling = column.at("sampling")};
      if (!c.hides()) {
        if (!column.at("model").is_null()) thread.model = column.at("model").get<std::string>();
        if (!column.at("persona").is_null()) thread.persona = column.at("persona").get<std::string>();
      }
      ledger_.insert_thread(thread);
      const std::string head = copy_path(ledger_, column.at("message"), thread.id);
      ledger_.db().run("UPDATE threads SET head = ?, updated_ms = ? WHERE id = ?", head, now_ms(), thread.id);
      ledger_.tell_thread(thread.id);
      return {{"thread", thread.id}};
    });
    if (!made.contains("thread")) refuse_field("client_id", "an id that made nothing else");
    Thread thread = ledger_.thread(made.at("thread"));
    t.commit();
    return thread;
  });
}

Status Compares::remove(const std::string& id) {
  WATRA_TRY(guarded([&] {
    Transaction t(ledger_.db());
    const Compare c = read(id);
    if (c.state == "running") refuse("compare.busy", "its answers are under way", "stop it first");
    Json ids = Json::array();
    {
      Statement s = ledger_.db().query("SELECT id FROM messages WHERE thread_id = ?", c.thread);
      while (s.step()) ids.push_back(s.text(0));
    }
    for (const Json& message : ids) ledger_.erase_words(message);
    ledger_.receipt("compare", ids);
    ledger_.events().forget_thread(c.thread);
    ledger_.db().run("DELETE FROM threads WHERE id = ?", c.thread);  // and the compare with it
    t.commit();
  }));
  return guarded([&] { ledger_.forget(); });
}

Status Compares::close_left_over() {
  return guarded([&] {
    std::vector<std::string> open;
    {
      Statement s = ledger_.db().query("SELECT id FROM compares WHERE state = 'running'");
      while (s.step()) open.push_back(s.text(0));
    }
    for (const std::string& id : open) value_or_refuse(end(id, "stopped"));
  });
}

}  // namespace watra::home
