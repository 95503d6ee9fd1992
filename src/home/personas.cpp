#include "home/personas.h"

#include "home/check.h"
#include "home/ids.h"
#include "home/settings_schema.h"

namespace watra::home {
namespace {

constexpr size_t kMostQuestions = 1000;
constexpr size_t kMostQuestion = 200'000;  // characters, as a compare takes them

std::string checked_id(const std::string& id) {
  const bool plain =
      id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == std::string::npos;
  if (id.empty() || id.size() > 64 || !plain) refuse_field("id", "1 to 64 of A-Z a-z 0-9 _ - .");
  return id;
}

Json builtin_presets() {
  const auto preset = [](const char* id, const char* pl, const char* en, Json sampling) {
    return Json{{"id", id}, {"name", {{"pl", pl}, {"en", en}}}, {"sampling", std::move(sampling)}, {"builtin", true}};
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
    Persona p{checked_id(id), checked_text(member(body, "name"), "name", 1, 80),
              checked_text(member(body, "text"), "text", 0, 65536), now_ms()};
    db_.run("INSERT OR REPLACE INTO personas VALUES(?,?,?,?)", p.id, p.name, p.text, p.updated_ms);
    return p;
  });
}

Status Personas::remove(const std::string& id) {
  return guarded([&] {
    Transaction t(db_);
    if (db_.run("DELETE FROM personas WHERE id = ?", id) == 0)
      refuse("persona.unknown", fmt::format("there is no persona {}", id));
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
    Statement s = db_.query("SELECT id, name, sampling FROM presets ORDER BY updated_ms, id");
    while (s.step())
      out.push_back({{"id", s.text(0)}, {"name", s.json(1)}, {"sampling", s.json(2)}, {"builtin", false}});
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
    db_.run("INSERT OR REPLACE INTO presets VALUES(?,?,?,?)", checked_id(id), dump(words), dump(sampling), now_ms());
    return {{"id", id}, {"name", words}, {"sampling", sampling}, {"builtin", false}};
  });
}

Status Personas::remove_preset(const std::string& id) {
  return guarded([&] {
    refuse_builtin(id);
    if (db_.run("DELETE FROM presets WHERE id = ?", id) == 0)
      refuse("preset.unknown", fmt::format("there is no preset {}", id));
  });
}

Result<Json> Personas::sets() const {
  return guarded([&] {
    Json out = Json::array();
    Statement s = db_.query("SELECT id, name, questions FROM question_sets ORDER BY updated_ms, id");
    while (s.step()) out.push_back({{"id", s.text(0)}, {"name", s.text(1)}, {"questions", s.json(2)}});
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
    db_.run("INSERT OR REPLACE INTO question_sets VALUES(?,?,?,?)", checked_id(id), name, dump(questions), now_ms());
    return {{"id", id}, {"name", name}, {"questions", questions}};
  });
}

Status Personas::remove_set(const std::string& id) {
  return guarded([&] {
    if (db_.run("DELETE FROM question_sets WHERE id = ?", id) == 0)
      refuse("set.unknown", fmt::format("there is no set {}", id));
  });
}

}  // namespace watra::home
