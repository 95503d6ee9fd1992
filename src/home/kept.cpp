#include "home/kept.h"

#include "home/check.h"
#include "home/ids.h"
#include "home/settings_schema.h"

namespace watra::home {
namespace {

constexpr size_t kMostQuestions = 1000;
constexpr size_t kMostQuestion = 200'000;  // characters, as a compare takes them
constexpr size_t kMostWords = 65536;       // characters: a persona of many pages

Json checked_name(const Json& value) { return checked_text(value, "name", 1, 80); }
Json checked_words(const Json& value) { return checked_text(value, "text", 1, kMostWords); }
Json checked_character(const Json& value) { return checked_text(value, "text", 0, kMostWords); }

Json checked_both_names(const Json& value) {
  if (!value.is_object()) refuse_field("name", "{\"pl\", \"en\"}");
  return {{"pl", checked_text(member(value, "pl"), "name.pl", 1, 80)},
          {"en", checked_text(member(value, "en"), "name.en", 1, 80)}};
}

Json checked_values(const Json& value) {
  if (!value.is_object()) refuse_field("sampling", "an object");
  return checked_sampling(value, "sampling");
}

Json checked_questions(const Json& value) {
  if (!value.is_array() || value.size() > kMostQuestions)
    refuse_field("questions", fmt::format("a list of at most {} texts", kMostQuestions));
  for (const Json& q : value) checked_text(q, "questions", 1, kMostQuestion);
  return value;
}

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

void refuse_builtin(const KeptKind& kind, const std::string& id) {
  if (!kind.builtin) return;
  for (const Json& one : kind.builtin())
    if (one.at("id") == id)
      refuse(fmt::format("{}.builtin", kind.name), fmt::format("{} comes with Watra", id), "another name for your own");
}

std::string columns(const KeptKind& kind) {
  std::string out = "id, ";
  for (const auto& field : kind.fields) out += fmt::format("{}, ", field.name);
  return out + "updated_ms";
}

// A row of columns().
Json read(const KeptKind& kind, Statement& s) {
  Json one = {{"id", s.text(0)}};
  int column = 1;
  for (const auto& field : kind.fields) {
    one[field.name] = field.is_json ? s.json(column) : Json(s.text(column));
    ++column;
  }
  one["updated_ms"] = s.integer(column);
  if (kind.builtin) one["builtin"] = false;
  return one;
}

}  // namespace

const KeptKind kPersona{
    "persona", "personas", "personas", "name, id", {{"name", false, checked_name}, {"text", false, checked_character}}};
const KeptKind kPreset{"preset",
                       "presets",
                       "presets",
                       "updated_ms, id",
                       {{"name", true, checked_both_names}, {"sampling", true, checked_values}},
                       builtin_presets};
const KeptKind kSet{"set",
                    "sets",
                    "question_sets",
                    "updated_ms, id",
                    {{"name", false, checked_name}, {"questions", true, checked_questions}}};
const KeptKind kPhrase{
    "phrase", "phrases", "phrases", "name, id", {{"name", false, checked_name}, {"text", false, checked_words}}};

const std::vector<const KeptKind*>& kept_kinds() {
  static const std::vector<const KeptKind*> kinds = {&kPersona, &kPreset, &kSet, &kPhrase};
  return kinds;
}

// The time of a change: later than that of what it replaces, so that no two of one thing are alike.
int64_t Kept::checked_stamp(const KeptKind& kind, const std::string& id, const Json& body) const {
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

void Kept::tell(const KeptKind& kind, const std::string& id, std::optional<int64_t> updated_ms) {
  ledger_.events().publish(fmt::format("{}.changed", kind.name), std::nullopt, std::nullopt,
                           {{"id", id}, {"updated_ms", updated_ms ? Json(*updated_ms) : Json(nullptr)}});
}

Result<Json> Kept::list(const KeptKind& kind) const {
  return guarded([&] {
    Json out = kind.builtin ? kind.builtin() : Json::array();
    Statement s = db_.query(fmt::format("SELECT {} FROM {} ORDER BY {}", columns(kind), kind.table, kind.order));
    while (s.step()) out.push_back(read(kind, s));
    return out;
  });
}

Result<Json> Kept::find(const KeptKind& kind, const std::string& id) const {
  return guarded([&] {
    Statement s = db_.query(fmt::format("SELECT {} FROM {} WHERE id = ?", columns(kind), kind.table), id);
    if (!s.step()) refuse(fmt::format("{}.unknown", kind.name), fmt::format("there is no {} {}", kind.name, id));
    return read(kind, s);
  });
}

Result<Json> Kept::put(const KeptKind& kind, const std::string& id, const Json& body) {
  return guarded([&] {
    refuse_builtin(kind, id);
    Json one = {{"id", checked_id(id)}};
    std::string places;
    for (const auto& field : kind.fields) {
      one[field.name] = field.checked(member(body, field.name));
      places += "?, ";
    }
    if (kind.builtin) one["builtin"] = false;
    Transaction t(db_);
    const int64_t at_ms = checked_stamp(kind, id, body);
    one["updated_ms"] = at_ms;
    Statement s =
        db_.query(fmt::format("INSERT OR REPLACE INTO {}({}) VALUES(?, {}?)", kind.table, columns(kind), places), id);
    int column = 1;
    for (const auto& field : kind.fields) {
      const Json& value = one.at(field.name);
      s.bind(++column, field.is_json ? dump(value) : value.get<std::string>());
    }
    s.bind(++column, at_ms);
    s.step();
    tell(kind, id, at_ms);
    t.commit();
    return one;
  });
}

Status Kept::remove(const KeptKind& kind, const std::string& id) {
  return guarded([&] {
    refuse_builtin(kind, id);
    Transaction t(db_);
    if (db_.run(fmt::format("DELETE FROM {} WHERE id = ?", kind.table), id) == 0)
      refuse(fmt::format("{}.unknown", kind.name), fmt::format("there is no {} {}", kind.name, id));
    tell(kind, id, std::nullopt);
    if (&kind == &kPersona) leave_persona(id);
    t.commit();
  });
}

void Kept::leave_persona(const std::string& id) {
  std::vector<std::string> threads;
  {
    Statement s = db_.query("SELECT id FROM threads WHERE persona = ?", id);
    while (s.step()) threads.push_back(s.text(0));
  }
  for (const std::string& thread : threads) {
    db_.run("UPDATE threads SET persona = NULL WHERE id = ?", thread);
    ledger_.tell_thread(thread);
  }
  if (db_.run("DELETE FROM settings WHERE key = ? AND value = ?", kPersonaSetting, dump(Json(id))) > 0)
    ledger_.events().publish("engine.settings", std::nullopt, std::nullopt, {{"values", {{kPersonaSetting, ""}}}});
}

}  // namespace watra::home
