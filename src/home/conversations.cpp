#include "home/conversations.h"

#include "home/check.h"
#include "home/ids.h"
#include "home/settings_schema.h"

namespace watra::home {
namespace {

constexpr size_t kMostTags = 50;
constexpr size_t kMostAtOnce = 500;    // conversations: one page of the list
constexpr size_t kMostSystem = 65536;  // characters; a persona of many pages
constexpr size_t kMostWords = 4'000'000;

std::optional<std::string> text_or_none(const Json& value, std::string_view field, size_t most) {
  if (value.is_null()) return std::nullopt;
  return checked_text(value, field, 1, most);
}

Json checked_tags(const Json& tags, std::string_view field) {
  if (!tags.is_array() || tags.size() > kMostTags)
    refuse_field(field, fmt::format("a list of at most {} texts", kMostTags));
  for (const Json& tag : tags) checked_text(tag, field, 1, 60);
  return tags;
}

bool has(const Json& list, const Json& one) { return std::ranges::find(list, one) != list.end(); }

// Tags with some more, each once, and without others.
Json other_tags(const Json& tags, const Json& add, const Json& remove) {
  Json out = Json::array();
  for (const Json* list : {&tags, &add})
    for (const Json& tag : *list)
      if (!has(out, tag) && !has(remove, tag)) out.push_back(tag);
  if (out.size() > kMostTags) refuse_field("add_tags", fmt::format("at most {} tags of one conversation", kMostTags));
  return out;
}

// Each once, in their order.
std::vector<std::string> checked_threads(const Json& body) {
  const Json& ids = member(body, "ids");
  const std::string allowed = fmt::format("a list of 1 to {} ids of conversations", kMostAtOnce);
  if (!ids.is_array() || ids.empty() || ids.size() > kMostAtOnce) refuse_field("ids", allowed);
  std::vector<std::string> out;
  for (const Json& id : ids) {
    std::string one = checked_text(id, "ids", 1, 64);
    if (std::ranges::find(out, one) == out.end()) out.push_back(std::move(one));
  }
  return out;
}

// Parts whose text, in the place where the last of it stood, is `words`.
Json with_words(const Json& parts, const std::string& words) {
  Json out = Json::array();
  std::optional<size_t> at;
  for (const Json& p : parts) {
    if (p.at("type") == "text")
      at = out.size();
    else
      out.push_back(p);
  }
  out.insert(out.begin() + static_cast<std::ptrdiff_t>(at.value_or(out.size())),
             Json{{"type", "text"}, {"text", words}});
  return out;
}

Json checked_draft(const Json& draft) {
  if (draft.is_null()) return nullptr;
  if (!draft.is_object() || !member(draft, "text").is_string() || !member(draft, "parts").is_array() ||
      !member(draft, "at_ms").is_number_integer())
    refuse_field("draft", "{\"text\", \"parts\", \"at_ms\"} or null");
  return {{"text", draft.at("text")}, {"parts", draft.at("parts")}, {"at_ms", draft.at("at_ms")}};
}

}  // namespace

Result<Conversations::Threads> Conversations::list(int64_t limit, const std::optional<Before>& before,
                                                   bool archived) const {
  return guarded([&] {
    const auto held = ledger_.db().lock();
    Threads out;
    const auto at_ms = before ? std::optional(before->at_ms) : std::nullopt;
    const std::string id = before ? before->id : "";
    bool pinned = before && before->pinned.value_or(false);
    if (before && !before->pinned && !id.empty()) {
      Statement last = ledger_.db().query("SELECT pinned FROM threads WHERE id = ?", id);
      pinned = last.step() && last.boolean(0);
    }
    Statement s = ledger_.db().query(
        "SELECT id FROM threads WHERE hidden = 0 AND archived = ?1 AND (?2 IS NULL OR pinned < ?5 OR (pinned = ?5 AND "
        "(updated_ms < ?2 OR (updated_ms = ?2 AND id < ?3)))) ORDER BY pinned DESC, updated_ms DESC, id DESC LIMIT ?4",
        archived, at_ms, id, limit + 1, pinned);
    while (s.step()) out.threads.push_back(ledger_.thread(s.text(0)));
    out.more = static_cast<int64_t>(out.threads.size()) > limit;
    if (out.more) out.threads.pop_back();
    out.as_of = ledger_.events().last();
    return out;
  });
}

// Who new conversations are with, where nobody says.
std::optional<std::string> Conversations::usual_persona() const {
  Statement s = ledger_.db().query("SELECT value FROM settings WHERE key = ?", kPersonaSetting);
  const Json id = s.step() ? s.json(0) : Json();
  return id.is_string() && id != "" ? std::optional(id.get<std::string>()) : std::nullopt;
}

Result<Thread> Conversations::create(const Json& body) {
  return guarded([&] {
    Transaction t(ledger_.db());
    const Json made = ledger_.once(member(body, "client_id"), [&]() -> Json {
      Thread thread{.id = make_id("t_"), .created_ms = now_ms()};
      thread.updated_ms = thread.created_ms;
      if (const Json& title = member(body, "title"); !title.is_null()) {
        thread.title = checked_text(title, "title", 1, 200);
        thread.named = true;
      }
      thread.folder = text_or_none(member(body, "folder"), "folder", 200);
      thread.model = text_or_none(member(body, "model"), "model", 64);
      thread.persona = body.contains("persona") ? text_or_none(body.at("persona"), "persona", 64) : usual_persona();
      ledger_.insert_thread(thread);
      ledger_.tell_thread(thread.id);
      return {{"thread", thread.id}};
    });
    Thread thread = ledger_.thread(made.at("thread"));
    t.commit();
    return thread;
  });
}

Result<Conversations::SeenThread> Conversations::thread(const std::string& id) const {
  return guarded([&] {
    const auto held = ledger_.db().lock();
    return SeenThread{ledger_.thread(id), ledger_.events().last()};
  });
}

Result<Thread> Conversations::change(const std::string& id, const Json& body) {
  return guarded([&] {
    Database& db = ledger_.db();
    Transaction t(db);
    const Thread before = ledger_.thread(id);
    const auto set = [&](const char* column, const auto& value) {
      db.run(fmt::format("UPDATE threads SET {} = ? WHERE id = ?", column), value, id);
    };
    for (const auto& [name, value] : body.items()) {
      if (name == "title" && !value.is_null()) {
        set("title", checked_text(value, name, 1, 200));
        set("named", true);
      } else if ((name == "pinned" || name == "archived") && !value.is_null()) {
        set(name.c_str(), checked_bool(value, name));
      } else if (name == "folder") {
        set("folder", text_or_none(value, name, 200));
      } else if (name == "tags" && !value.is_null()) {
        set("tags", dump(checked_tags(value, name)));
      } else if (name == "head" && !value.is_null()) {
        const std::string head = checked_text(value, name, 1, 64);
        if (ledger_.message(head).thread != id) refuse_field("head", "a message of this thread");
        set("head", head);
      } else if (name == "model" || name == "persona") {
        set(name.c_str(), text_or_none(value, name, 64));
      } else if (name == "system") {
        set("system", text_or_none(value, name, kMostSystem));
      } else if (name == "sampling") {
        set("sampling", dump(checked_sampling(value, name)));
      } else if (name == "draft") {
        const Json draft = checked_draft(value);
        // Of two devices the one that wrote last is right, whichever reaches us first.
        const bool older =
            draft.is_object() && before.draft.is_object() && draft.at("at_ms") < before.draft.at("at_ms");
        if (!older) set("draft", draft);
      }
    }
    ledger_.tell_thread(id);
    Thread after = ledger_.thread(id);
    t.commit();
    return after;
  });
}

Result<std::vector<Thread>> Conversations::change_many(const Json& body) {
  return guarded([&] {
    Database& db = ledger_.db();
    Transaction t(db);
    const std::vector<std::string> ids = checked_threads(body);
    const Json& add = member(body, "add_tags");
    const Json& remove = member(body, "remove_tags");
    for (const auto& [tags, name] : {std::pair(&add, "add_tags"), std::pair(&remove, "remove_tags")})
      if (!tags->is_null()) checked_tags(*tags, name);
    std::vector<Thread> out;
    for (const std::string& id : ids) {
      const Thread before = ledger_.thread(id);
      for (const char* name : {"archived", "pinned"})
        if (const Json& value = member(body, name); !value.is_null())
          db.run(fmt::format("UPDATE threads SET {} = ? WHERE id = ?", name), checked_bool(value, name), id);
      if (body.contains("folder"))
        db.run("UPDATE threads SET folder = ? WHERE id = ?", text_or_none(body.at("folder"), "folder", 200), id);
      if (!add.is_null() || !remove.is_null())
        db.run("UPDATE threads SET tags = ? WHERE id = ?", dump(other_tags(before.tags, add, remove)), id);
      ledger_.tell_thread(id);
      out.push_back(ledger_.thread(id));
    }
    t.commit();
    return out;
  });
}

Result<Conversations::Erased> Conversations::erase_threads(const std::vector<std::string>& threads) {
  auto erased = guarded([&] {
    Database& db = ledger_.db();
    Transaction t(db);
    Json ids = Json::array();
    for (const std::string& id : threads) {
      const Thread thread = ledger_.thread(id);
      if (thread.run) refuse("thread.busy", "an answer is under way in this thread", *thread.run);
      Statement s = db.query("SELECT id FROM messages WHERE thread_id = ?", id);
      while (s.step()) ids.push_back(s.text(0));
    }
    for (const Json& message : ids) ledger_.erase_words(message);
    Erased out{.n = static_cast<int64_t>(ids.size()), .receipt = ledger_.receipt("thread", ids)};
    for (const std::string& id : threads) {
      ledger_.events().forget_thread(id);
      db.run("DELETE FROM threads WHERE id = ?", id);
      ledger_.events().publish("thread.removed", id, std::nullopt, Json::object());
    }
    t.commit();
    return out;
  });
  if (erased) WATRA_TRY(guarded([&] { ledger_.forget(); }));
  return erased;
}

Result<Conversations::Erased> Conversations::erase_thread(const std::string& id) { return erase_threads({id}); }

Result<Conversations::Erased> Conversations::erase_many(const Json& body) {
  WATRA_ASSIGN(const std::vector<std::string> ids, guarded([&] { return checked_threads(body); }));
  return erase_threads(ids);
}

Result<Conversations::Messages> Conversations::messages(const std::string& thread, int64_t limit,
                                                        std::optional<int64_t> before) const {
  return guarded([&] {
    const auto held = ledger_.db().lock();
    ledger_.thread(thread);
    Messages out;
    out.messages = ledger_.messages(thread, before.value_or(std::numeric_limits<int64_t>::max()), limit + 1);
    out.more = static_cast<int64_t>(out.messages.size()) > limit;
    if (out.more) out.messages.erase(out.messages.begin());
    out.as_of = ledger_.events().last();
    return out;
  });
}

std::string copy_path(Ledger& ledger, const std::string& head, const std::string& to_thread) {
  std::optional<std::string> parent;
  for (Message m : ledger.path(head)) {
    m.origin = m.id;
    m.id.clear();
    m.thread = to_thread;
    m.parent = parent;
    m.pinned = false;
    if (m.state == "running") m.state = "interrupted";
    ledger.insert_message(m);
    parent = m.id;
  }
  return *parent;
}

Result<Thread> Conversations::fork(const std::string& id, const Json& body) {
  return guarded([&] {
    Transaction t(ledger_.db());
    const Thread from = ledger_.thread(id);
    const std::string at = checked_text(member(body, "at"), "at", 1, 64);
    if (ledger_.message(at).thread != id) refuse_field("at", "a message of this thread");
    const Json made = ledger_.once(member(body, "client_id"), [&]() -> Json {
      Thread thread{.id = make_id("t_"),
                    .title = from.title,
                    .named = from.named,
                    .folder = from.folder,
                    .tags = from.tags,
                    .created_ms = now_ms(),
                    .updated_ms = now_ms(),
                    .model = from.model,
                    .persona = from.persona,
                    .system = from.system,
                    .sampling = from.sampling,
                    .origin = {{"thread", id}, {"message", at}}};
      ledger_.insert_thread(thread);
      const std::string head = copy_path(ledger_, at, thread.id);
      ledger_.db().run("UPDATE threads SET head = ?, updated_ms = ? WHERE id = ?", head, now_ms(), thread.id);
      ledger_.tell_thread(thread.id);
      return {{"thread", thread.id}};
    });
    Thread thread = ledger_.thread(made.at("thread"));
    t.commit();
    return thread;
  });
}

Result<Message> Conversations::message(const std::string& id) const {
  return guarded([&] { return ledger_.message(id); });
}

Result<std::vector<Message>> Conversations::path(const std::string& head) const {
  return guarded([&] {
    const auto held = ledger_.db().lock();
    return ledger_.path(head);
  });
}

Result<Message> Conversations::pin(const std::string& id, bool pinned) {
  return guarded([&] {
    Transaction t(ledger_.db());
    ledger_.message(id);
    ledger_.db().run("UPDATE messages SET pinned = ? WHERE id = ?", pinned, id);
    Message m = ledger_.message(id);
    ledger_.tell_message(m);
    t.commit();
    return m;
  });
}

Result<Message> Conversations::rewrite(const std::string& id, const Json& body) {
  return guarded([&] {
    Transaction t(ledger_.db());
    const Json made = ledger_.once(member(body, "client_id"), [&]() -> Json {
      const std::string words = checked_text(member(body, "text"), "text", 1, kMostWords);
      Message m = ledger_.message(id);
      if (m.role != "assistant" || m.state == "erased") refuse_field("id", "an answer that has words");
      if (const Thread thread = ledger_.thread(m.thread); thread.run)
        refuse("thread.busy", "an answer is under way in this thread", *thread.run);
      m = {.thread = m.thread,
           .parent = m.parent,
           .role = m.role,
           .actor_kind = m.actor_kind,
           .actor_id = m.actor_id,
           .actor_name = m.actor_name,
           .parts = with_words(m.parts, words),
           .source = "edited",
           .origin = id};
      ledger_.insert_message(m);
      ledger_.db().run("UPDATE threads SET head = ? WHERE id = ?", m.id, m.thread);
      ledger_.tell_message(m);
      ledger_.tell_thread(m.thread);
      return {{"message", m.id}};
    });
    if (!made.contains("message")) refuse_field("client_id", "an id that made nothing else");
    Message m = ledger_.message(made.at("message"));
    t.commit();
    return m;
  });
}

// A title made of words that were erased goes with them.
void Conversations::retitle(const std::string& id) {
  const Thread thread = ledger_.thread(id);
  if (thread.named) return;
  std::string title;
  Statement s = ledger_.db().query(
      "SELECT parts FROM messages WHERE thread_id = ? AND role = 'user' AND state = 'done' ORDER BY log LIMIT 1", id);
  if (s.step()) title = title_of(text_of(s.json(0)));
  ledger_.db().run("UPDATE threads SET title = ? WHERE id = ?", title, id);
}

Result<Conversations::Erased> Conversations::erase_message(const std::string& id) {
  auto erased = guarded([&] {
    Transaction t(ledger_.db());
    Message m = ledger_.message(id);
    if (m.state == "running") refuse("message.busy", "this answer is under way", m.run.value_or(""));
    ledger_.erase_words(id);
    if (!m.parent) ledger_.db().run("UPDATE compares SET question = '' WHERE thread_id = ?", m.thread);
    Erased out{.n = 1, .receipt = ledger_.receipt("message", Json::array({id}))};
    ledger_.db().run("DELETE FROM events WHERE thread_id = ? AND type IN ('thread.changed', 'compare.changed')",
                     m.thread);
    retitle(m.thread);
    m = ledger_.message(id);
    ledger_.tell_message(m);
    ledger_.tell_thread(m.thread);
    t.commit();
    return out;
  });
  if (erased) WATRA_TRY(guarded([&] { ledger_.forget(); }));
  return erased;
}

}  // namespace watra::home
