// Watra's own export of a thread.
#include <algorithm>

#include "home/check.h"
#include "home/internal/base64.h"
#include "home/internal/import_compare.h"
#include "home/internal/import_date.h"
#include "home/internal/import_talks.h"
#include "home/settings_schema.h"

namespace watra::home {
namespace {

constexpr size_t kMostName = 64;  // of a model, of a persona's id

std::optional<std::string> short_text(const Json& value) {
  if (!value.is_string() || value.get_ref<const std::string&>().size() > kMostName) return std::nullopt;
  return value.get<std::string>();
}

// The files that an export of one conversation carries.
void read_files(const Json& files, const ImportSink& sink) {
  for (const Json& file : files) {
    const std::string hash = text_or(member(file, "hash"));
    const Json& content = member(file, "content");
    if (!content.is_string()) continue;  // it was gone, or too large: told where a message shows it
    if (const auto bytes = from_base64(content.get_ref<const std::string&>()))
      sink.file({hash, text_or(member(file, "name"), "file"), text_or(member(file, "mime")), *bytes});
    else
      sink.problem("attachments", hash + ": its content is no base64");
  }
}

bool are_texts(const Json& part, std::initializer_list<const char*> names) {
  return std::ranges::all_of(names, [&](const char* name) { return member(part, name).is_string(); });
}

// What the rest of the house reads of a part without asking again.
bool is_part(const Json& part) {
  const std::string type = text_or(member(part, "type"));
  const bool is_file = type == "attachment" || part.contains("hash");
  if (is_file && !are_texts(part, {"hash", "name", "mime"})) return false;
  if (type == "text" || type == "reasoning") return are_texts(part, {"text"});
  return !type.empty();
}

bool are_facts(const Json& facts) {
  const Json& context = member(facts, "context");
  if (!context.is_object() || !context.contains("sees_from")) return false;
  const Json& from = context.at("sees_from");
  return from.is_null() || from.is_string();
}

bool is_state(const std::string& state) {
  return state == "done" || state == "stopped" || state == "interrupted" || state == "failed" || state == "erased";
}

std::string one_of(const Json& value, std::initializer_list<std::string_view> names, const char* other) {
  const std::string text = text_or(value);
  return std::ranges::find(names, text) != names.end() ? text : other;
}

// What the person was writing when the conversation went out; null when it is none.
Json read_draft(const Json& draft) {
  if (!draft.is_object() || !member(draft, "text").is_string() || !member(draft, "at_ms").is_number_integer())
    return nullptr;
  Json parts = Json::array();
  for (const Json& part : member(draft, "parts"))
    if (part.is_object() && is_part(part)) parts.push_back(part);
  return {{"text", draft.at("text")}, {"parts", std::move(parts)}, {"at_ms", draft.at("at_ms")}};
}

}  // namespace

std::string kept_id(std::string id) {
  const bool fits = !id.empty() && id.size() <= 64 && std::ranges::all_of(id, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return fits ? std::move(id) : std::string();
}

void read_watra(const Json& exported, const ImportSink& sink) {
  const Json& t = member(exported, "thread");
  const Json& messages = member(exported, "messages");
  if (!t.is_object() || !messages.is_array() || !member(t, "id").is_string()) {
    sink.problem("thread", "thread or messages are missing");
    return;
  }
  if (const Json& personas = member(exported, "personas"); personas.is_array()) sink.kept("personas", personas);
  read_files(member(exported, "attachments"), sink);
  ImportedThread thread;
  thread.own = true;
  thread.external = "watra:" + t.at("id").get<std::string>();
  thread.id = kept_id(t.at("id"));
  thread.title = text_or(member(t, "title"));
  thread.named = member(t, "named") == true;
  thread.pinned = member(t, "pinned") == true;
  thread.archived = member(t, "archived") == true;
  thread.created_ms = parse_date(member(t, "created_ms"));
  thread.updated_ms = parse_date(member(t, "updated_ms"));
  if (member(t, "folder").is_string()) thread.folder = t.at("folder").get<std::string>();
  if (member(t, "system").is_string()) thread.system = t.at("system").get<std::string>();
  if (member(t, "tags").is_array()) thread.tags = t.at("tags");
  thread.model = short_text(member(t, "model"));
  thread.persona = short_text(member(t, "persona"));
  try {
    if (member(t, "sampling").is_object()) thread.sampling = checked_sampling(t.at("sampling"), "sampling");
  } catch (const Failure& e) {
    sink.problem(thread.title, e.error.message);
  }
  thread.draft = read_draft(member(t, "draft"));
  if (const Json& origin = member(t, "origin"); origin.is_object()) {
    const std::string from = kept_id(text_or(member(origin, "thread"))),
                      at = kept_id(text_or(member(origin, "message")));
    if (!from.empty() && !at.empty()) thread.origin = {{"thread", from}, {"message", at}};
  }
  const Json compare = opened_compare(member(exported, "compare"));
  if (!compare.is_null()) thread.compare = read_compare(compare, sink);
  if (member(t, "head").is_string()) thread.head = "watra:" + t.at("head").get<std::string>();
  for (const Json& message : messages) {
    const Json j = unveiled(message, compare);
    if (!j.is_object() || !member(j, "id").is_string() || !member(j, "parts").is_array()) {
      sink.problem(thread.title, "a message without id or parts");
      continue;
    }
    ImportedMessage m;
    m.external = "watra:" + j.at("id").get<std::string>();
    m.id = kept_id(j.at("id"));
    if (member(j, "parent").is_string()) m.parent = "watra:" + j.at("parent").get<std::string>();
    m.role = text_or(member(j, "role"), "user");
    if (const Json& actor = member(j, "actor"); actor.is_object()) {
      if (member(actor, "name").is_string()) m.name = actor.at("name").get<std::string>();
      if (member(actor, "id").is_string()) m.model = actor.at("id").get<std::string>();
      m.actor_kind = one_of(member(actor, "kind"), {"person", "companion", "model", "system"}, "");
    }
    m.at_ms = parse_date(member(j, "at_ms"));
    for (const Json& part : j.at("parts"))
      if (part.is_object() && is_part(part)) {
        m.parts.push_back(part);
        m.parts.back().erase("missing");  // it may be here
      } else {
        sink.problem(thread.title, "a part of a message that lacks its type, its text or its file");
      }
    if (const Json& facts = member(j, "answer"); are_facts(facts)) m.facts = facts;
    if (member(j, "error").is_object()) m.error = j.at("error");
    if (member(j, "ref").is_string()) m.ref = "watra:" + j.at("ref").get<std::string>();
    m.source = one_of(member(j, "source"), {"page", "api", "pasted", "edited"}, "import");
    m.origin = kept_id(text_or(member(j, "origin")));
    m.pinned = member(j, "pinned") == true;
    const std::string state = text_or(member(j, "state"), "done");
    m.state = state == "running" ? "interrupted" : is_state(state) ? state : "done";
    thread.messages.push_back(std::move(m));
  }
  sink.thread(std::move(thread));
}

}  // namespace watra::home
