#include "home/compares.h"

#include <algorithm>
#include <random>

#include "home/check.h"
#include "home/conversations.h"
#include "home/ids.h"
#include "home/settings_schema.h"

namespace watra::home {
namespace {

constexpr size_t kMostColumns = 6;  // four that are asked, two that are pasted in
constexpr std::string_view kLabels = "ABCDEF";

Json& column_of(Compare& c, const std::string& id) {
  for (Json& column : c.columns)
    if (column.at("id") == id) return column;
  refuse("compare.unknown", fmt::format("this compare has no column {}", id));
}

Json checked_columns(const Json& columns) {
  if (!columns.is_array() || columns.size() < 2 || columns.size() > 4) refuse_field("columns", "2..4");
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
      column["state"] = m.state == "running" ? "speaking" : m.state == "erased" ? "done" : m.state;
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
      for (size_t i = 0; i < c.columns.size(); ++i) c.columns[i]["label"] = std::string(1, kLabels[i]);
      ledger_.insert_thread({.id = c.thread,
                             .title = title_of(c.question),
                             .hidden = true,
                             .created_ms = c.created_ms,
                             .updated_ms = c.created_ms,
                             .system = c.system});
      Message question{.thread = c.thread, .parts = Json::array({{{"type", "text"}, {"text", c.question}}})};
      ledger_.insert_message(question);
      ledger_.db().run("INSERT INTO compares VALUES(?,?,?,?,?,?,?,?,?,?,?)", c.id, c.thread, c.question, c.system,
                       c.blind, c.revealed, c.order, c.state, c.created_ms, c.vote, dump(c.columns));
      tell(c);
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

Result<Compares::List> Compares::list(int64_t limit, std::optional<int64_t> before) const {
  return guarded([&] {
    const auto held = ledger_.db().lock();
    List out;
    Statement s = ledger_.db().query(
        "SELECT id FROM compares WHERE (?1 IS NULL OR created_ms < ?1) ORDER BY created_ms DESC, rowid DESC LIMIT ?2",
        before, limit + 1);
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
                         {"label", std::string(1, kLabels[c.columns.size()])},
                         {"model", nullptr},
                         {"persona", nullptr},
                         {"sampling", Json::object()},
                         {"state", "done"},
                         {"message", m.id},
                         {"pasted", true}});
    write(c);
    tell(c);
    Json out = json(c, true);
    t.commit();
    return out;
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
    write(c);
    tell(c);
    Json out = json(c, true);
    t.commit();
    return out;
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
  return guarded([&] { ledger_.db().forget_log(); });
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

namespace {

std::string cell_text(const Json& value) {
  return value.is_null() ? "" : value.is_string() ? value.get<std::string>() : dump(value);
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

std::string csv_cell(const Json& value) {
  std::string text = cell_text(value);
  // A spreadsheet takes a cell that begins so for a formula.
  if (!text.empty() && std::string_view("=+-@").find(text[0]) != std::string_view::npos && !value.is_number())
    text.insert(text.begin(), '\'');
  return "\"" + replaced(std::move(text), "\"", "\"\"") + "\"";
}

std::string md_cell(const Json& value) {
  return replaced(replaced(replaced(cell_text(value), "\r", ""), "\n", "<br>"), "|", "\\|");
}

}  // namespace

Result<std::string> Compares::table(const std::string& format, const std::vector<std::string>& ids) const {
  return guarded([&]() -> std::string {
    if (format != "csv" && format != "md" && format != "json") refuse_field("format", "csv, md, json");
    const auto held = ledger_.db().lock();
    std::vector<std::string> which = ids;
    if (which.empty()) {
      Statement s = ledger_.db().query("SELECT id FROM compares ORDER BY created_ms, rowid");
      while (s.step()) which.push_back(s.text(0));
    }
    Json rows = Json::array();
    for (const std::string& id : which) {
      const Json c = json(read(id), true);
      for (const Json& column : c.at("columns")) {
        const Json& answer = column.at("answer");
        const Json facts = answer.is_null() ? Json(nullptr) : answer.at("answer");
        const auto fact = [&](const char* name) { return facts.is_object() ? facts.at(name) : Json(nullptr); };
        const bool voted = c.at("vote").is_object() && c.at("vote").at("column") == column.at("id");
        rows.push_back({{"question", c.at("question")},
                        {"column", column.at("label")},
                        {"model", column.at("pasted") ? answer.at("actor").at("name") : column.at("model")},
                        {"quant", facts.is_object() ? facts.at("model").at("quant") : Json(nullptr)},
                        {"persona", column.at("persona")},
                        {"sampling", column.at("sampling")},
                        {"seed", fact("seed")},
                        {"tokens_per_s", fact("decode_tokens_per_s")},
                        {"vote", voted ? c.at("vote").at("verdict") : Json(nullptr)},
                        {"answer", answer.is_null() ? "" : text_of(answer.at("parts"))}});
      }
    }
    if (format == "json") return rows.dump(1, ' ', false, Json::error_handler_t::replace);
    static constexpr const char* kHead[] = {"question", "column", "model",        "quant", "persona",
                                            "sampling", "seed",   "tokens_per_s", "vote",  "answer"};
    const bool csv = format == "csv";
    const auto line = [&](const auto& cell) {
      std::string out = csv ? "" : "|";
      for (const char* name : kHead)
        out += csv ? (out.empty() ? "" : ",") + csv_cell(cell(name)) : " " + md_cell(cell(name)) + " |";
      return out + (csv ? "\r\n" : "\n");
    };
    std::string out = line([](const char* name) { return Json(name); });
    if (!csv) out += line([](const char*) { return Json("---"); });
    for (const Json& row : rows) out += line([&](const char* name) { return row.at(name); });
    return out;
  });
}

}  // namespace watra::home
