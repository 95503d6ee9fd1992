#include "home/personas.h"

#include "home/check.h"
#include "home/ids.h"
#include "home/settings_schema.h"

namespace watra::home {
namespace {

constexpr size_t kMostQuestions = 1000;
constexpr size_t kMostQuestion = 200'000;  // characters, as a compare takes them

constexpr Personas::Kind kPersona{"persona", "personas"}, kPreset{"preset", "presets"}, kSet{"set", "question_sets"};

std::string checked_id(const std::string& id) {
  const bool plain =
      id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == std::string::npos;
  if (id.empty() || id.size() > 64 || !plain) refuse_field("id", "1 to 64 of A-Z a-z 0-9 _ - .");
  return id;
}

Json builtin_presets() {
  const auto preset = [](const char* id, const char* pl, const char* en, Json sampling) {
    return Json{{"id", id},
                {"name", {{"pl", pl}, {"en", en}}},
                {"sampling", std::move(sampling)},
                {"builtin", true},
                {"updated_ms", 0}};
  };
  return Json::array(
      {preset("calm", "Rzeczowo", "Matter-of-fact", {{"temperature", 0.3}, {"top_p", 0.9}, {"min_p", 0.05}}),
       preset("talk", "Rozmowa", "Conversation", {{"temperature", 0.8}, {"top_p", 0.95}, {"min_p", 0.05}}),
       preset("story", "Opowieść", "Story",
              {{"temperature", 1.1}, {"top_p", 1.0}, {"min_p", 0.08}, {"dry_multiplier", 0.8}}),
       preset("exact", "Zawsze tak samo", "Always the same", {{"temperature", 0.0}, {"seed", 1}})});
}

void refuse_builtin(const std::string& id) {
  for (const Json& p : builtin_presets())
    if (p.at("id") == id) refuse("preset.builtin", fmt::format("{} comes with Watra", id), "another name for your own");
}

}  // namespace

// The time of a change: later than that of what it replaces, so that no two of one thing are alike.
int64_t Personas::checked_stamp(const Kind& kind, const std::string& id, const Json& body) const {
  Statement s = db_.query(fmt::format("SELECT updated_ms FROM {} WHERE id = ?", kind.table), id);
  const int64_t before = s.step() ? s.integer(0) : 0;
  const Json& seen = member(body, "if_updated_ms");
  if (!seen.is_null() && !seen.is_number_integer())
    refuse_field("if_updated_ms", "the updated_ms of what is changed, 0 where there is none yet");
  if (!seen.is_null() && seen != before)
    refuse(fmt::format("{}.changed", kind.name),
           before == 0 ? fmt::format("{} {} was removed meanwhile", kind.name, id)
                       : fmt::format("{} {} was changed meanwhile, at {}; what was read is of {}", kind.name, id,
                                     before, seen.get<int64_t>()),
           "read it again, or leave if_updated_ms out to write over it");
  return std::max(now_ms(), before + 1);
}

void Personas::tell(const Kind& kind, const std::string& id, std::optional<int64_t> updated_ms) {
  ledger_.events().publish(fmt::format("{}.changed", kind.name), std::nullopt, std::nullopt,
                           {{"id", id}, {"updated_ms", updated_ms ? Json(*updated_ms) : Json(nullptr)}});
}

void Personas::drop(const Kind& kind, const std::string& id) {
  if (db_.run(fmt::format("DELETE FROM {} WHERE id = ?", kind.table), id) == 0)
    refuse(fmt::format("{}.unknown", kind.name), fmt::format("there is no {} {}", kind.name, id));
  tell(kind, id, std::nullopt);
}

Result<std::vector<Persona>> Personas::list() const {
  return guarded([&] {
    std::vector<Persona> out;
    Statement s = db_.query("SELECT id, name, text, updated_ms FROM personas ORDER BY name, id");
    while (s.step()) out.push_back({s.text(0), s.text(1), s.text(2), s.integer(3)});
    return out;
  });
}

Result<Persona> Personas::find(const std::string& id) const {
  return guarded([&] {
    Statement s = db_.query("SELECT id, name, text, updated_ms FROM personas WHERE id = ?", id);
    if (!s.step()) refuse("persona.unknown", fmt::format("there is no persona {}", id));
    return Persona{s.text(0), s.text(1), s.text(2), s.integer(3)};
  });
}

Result<Persona> Personas::put(const std::string& id, const Json& body) {
  return guarded([&] {
    Transaction t(db_);
    Persona p{checked_id(id), checked_text(member(body, "name"), "name", 1, 80),
              checked_text(member(body, "text"), "text", 0, 65536), checked_stamp(kPersona, id, body)};
    db_.run("INSERT OR REPLACE INTO personas VALUES(?,?,?,?)", p.id, p.name, p.text, p.updated_ms);
    tell(kPersona, p.id, p.updated_ms);
    t.commit();
    return p;
  });
}

Status Personas::remove(const std::string& id) {
  return guarded([&] {
    Transaction t(db_);
    drop(kPersona, id);
    std::vector<std::string> threads;
    {
      Statement s = db_.query("SELECT id FROM threads WHERE persona = ?", id);
      while (s.step()) threads.push_back(s.text(0));
    }
    for (const std::string& thread : threads) {
      db_.run("UPDATE threads SET persona = NULL WHERE id = ?", thread);
      ledger_.tell_thread(thread);
    }
    t.commit();
  });
}

Result<Json> Personas::presets() const {
  return guarded([&] {
    Json out = builtin_presets();
    Statement s = db_.query("SELECT id, name, sampling, updated_ms FROM presets ORDER BY updated_ms, id");
    while (s.step())
      out.push_back({{"id", s.text(0)},
                     {"name", s.json(1)},
                     {"sampling", s.json(2)},
                     {"builtin", false},
                     {"updated_ms", s.integer(3)}});
    return out;
  });
}

Result<Json> Personas::put_preset(const std::string& id, const Json& body) {
  return guarded([&]() -> Json {
    refuse_builtin(id);
    const Json& name = member(body, "name");
    if (!name.is_object()) refuse_field("name", "{\"pl\", \"en\"}");
    const Json words = {{"pl", checked_text(member(name, "pl"), "name.pl", 1, 80)},
                        {"en", checked_text(member(name, "en"), "name.en", 1, 80)}};
    if (!member(body, "sampling").is_object()) refuse_field("sampling", "an object");
    const Json sampling = checked_sampling(body.at("sampling"), "sampling");
    Transaction t(db_);
    const int64_t at_ms = checked_stamp(kPreset, checked_id(id), body);
    db_.run("INSERT OR REPLACE INTO presets VALUES(?,?,?,?)", id, dump(words), dump(sampling), at_ms);
    tell(kPreset, id, at_ms);
    t.commit();
    return {{"id", id}, {"name", words}, {"sampling", sampling}, {"builtin", false}, {"updated_ms", at_ms}};
  });
}

Status Personas::remove_preset(const std::string& id) {
  return guarded([&] {
    refuse_builtin(id);
    Transaction t(db_);
    drop(kPreset, id);
    t.commit();
  });
}

Result<Json> Personas::sets() const {
  return guarded([&] {
    Json out = Json::array();
    Statement s = db_.query("SELECT id, name, questions, updated_ms FROM question_sets ORDER BY updated_ms, id");
    while (s.step())
      out.push_back({{"id", s.text(0)}, {"name", s.text(1)}, {"questions", s.json(2)}, {"updated_ms", s.integer(3)}});
    return out;
  });
}

Result<Json> Personas::put_set(const std::string& id, const Json& body) {
  return guarded([&]() -> Json {
    const std::string name = checked_text(member(body, "name"), "name", 1, 80);
    const Json& questions = member(body, "questions");
    if (!questions.is_array() || questions.size() > kMostQuestions)
      refuse_field("questions", fmt::format("a list of at most {} texts", kMostQuestions));
    for (const Json& q : questions) checked_text(q, "questions", 1, kMostQuestion);
    Transaction t(db_);
    const int64_t at_ms = checked_stamp(kSet, checked_id(id), body);
    db_.run("INSERT OR REPLACE INTO question_sets VALUES(?,?,?,?)", id, name, dump(questions), at_ms);
    tell(kSet, id, at_ms);
    t.commit();
    return {{"id", id}, {"name", name}, {"questions", questions}, {"updated_ms", at_ms}};
  });
}

Status Personas::remove_set(const std::string& id) {
  return guarded([&] {
    Transaction t(db_);
    drop(kSet, id);
    t.commit();
  });
}

}  // namespace watra::home
