#include "home/ledger.h"

#include <algorithm>

#include "base/folder.h"
#include "base/log.h"
#include "home/check.h"
#include "home/fold.h"
#include "home/ids.h"

namespace watra::home {
namespace {

constexpr int64_t kDayMs = int64_t{24} * 3600 * 1000;

constexpr std::string_view kThreadColumns =
    "SELECT id, title, named, pinned, archived, hidden, folder, tags, created_ms, updated_ms, n_messages, head, model, "
    "persona, system, sampling, draft, run, origin FROM threads ";

constexpr std::string_view kMessageColumns =
    "SELECT id, log, seq, thread_id, parent_id, role, actor_kind, actor_id, actor_name, at_ms, parts, state, pinned, "
    "ref_id, source, origin, facts, error, run, EXISTS(SELECT 1 FROM compares c WHERE c.thread_id = m.thread_id AND "
    "c.blind AND NOT c.revealed) FROM messages m ";

std::string sql(std::string_view columns, std::string_view rest) { return std::string(columns) + std::string(rest); }

bool is_client_id(const Json& id) {
  if (!id.is_string()) return false;
  const auto& s = id.get_ref<const std::string&>();
  return !s.empty() && s.size() <= 64 && std::ranges::all_of(s, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

Thread read_thread(const Statement& s) {
  return {.id = s.text(0),
          .title = s.text(1),
          .named = s.boolean(2),
          .pinned = s.boolean(3),
          .archived = s.boolean(4),
          .hidden = s.boolean(5),
          .folder = s.maybe_text(6),
          .tags = s.json(7),
          .created_ms = s.integer(8),
          .updated_ms = s.integer(9),
          .n_messages = s.integer(10),
          .head = s.maybe_text(11),
          .model = s.maybe_text(12),
          .persona = s.maybe_text(13),
          .system = s.maybe_text(14),
          .sampling = s.json(15),
          .draft = s.json(16),
          .run = s.maybe_text(17),
          .origin = s.json(18)};
}

// What is searched of a message: its words, not its thoughts.
std::string searchable(const Json& parts) {
  std::string text;
  for (const Json& p : parts) {
    if (p.at("type") != "text") continue;
    if (!text.empty()) text += '\n';
    text += p.at("text").get<std::string>();
  }
  return text;
}

}  // namespace

std::optional<Json> Ledger::made_by(const Json& client_id) const {
  if (!is_client_id(client_id)) refuse_field("client_id", "1 to 64 of A-Z a-z 0-9 _ -");
  Statement s = db_.query("SELECT made FROM client_ids WHERE client_id = ? AND at_ms >= ?",
                          client_id.get<std::string>(), now_ms() - kDayMs);
  return s.step() ? std::optional(s.json(0)) : std::nullopt;
}

Json Ledger::once(const Json& client_id, const std::function<Json()>& make) {
  if (auto made = made_by(client_id)) return *std::move(made);
  db_.run("DELETE FROM client_ids WHERE at_ms < ?", now_ms() - kDayMs);
  Json made = make();
  db_.run("INSERT INTO client_ids VALUES(?, ?, ?)", client_id.get<std::string>(), now_ms(), dump(made));
  return made;
}

int64_t Ledger::append(const LogRow& row) {
  db_.run(
      "INSERT INTO log(id, at_ms, tz, kind, actor_kind, actor_id, thread_id, parent_id, ref_id, content, source) "
      "VALUES(?,?,?,?,?,?,?,?,?,?,?)",
      row.id, row.at_ms ? row.at_ms : now_ms(), local_zone(), row.kind, row.actor_kind, row.actor_id, row.thread,
      row.parent, row.ref, dump(row.content), row.source);
  return db_.last_rowid();
}

Thread Ledger::thread(const std::string& id) const {
  Statement s = db_.query(sql(kThreadColumns, "WHERE id = ?"), id);
  if (!s.step()) refuse("thread.unknown", fmt::format("there is no thread {}", id));
  return read_thread(s);
}

Message Ledger::read_message(Statement& s) const {
  Message m{.id = s.text(0),
            .log = s.integer(1),
            .seq = s.integer(2),
            .thread = s.text(3),
            .parent = s.maybe_text(4),
            .role = s.text(5),
            .actor_kind = s.text(6),
            .actor_id = s.maybe_text(7),
            .actor_name = s.maybe_text(8),
            .at_ms = s.integer(9),
            .parts = s.json(10),
            .state = s.text(11),
            .pinned = s.boolean(12),
            .ref = s.maybe_text(13),
            .source = s.text(14),
            .origin = s.maybe_text(15),
            .facts = s.json(16),
            .error = s.json(17),
            .run = s.maybe_text(18)};
  m.veiled = s.boolean(19) && m.role == "assistant" && m.source != "pasted";
  if (m.state == "running") add_pieces(m);
  for (const Json& p : m.parts)
    if (p.contains("hash") && !has_file(p.at("hash"))) m.missing.push_back(p.at("hash"));
  return m;
}

bool Ledger::has_file(const std::string& hash) const {
  Statement s = db_.query("SELECT 1 FROM attachments WHERE hash = ?", hash);
  std::error_code unreadable;
  return s.step() && fs::exists(attachments_ / hash, unreadable);
}

void Ledger::add_pieces(Message& m) const {
  Statement s = db_.query("SELECT part, kind, text FROM pieces WHERE message_id = ? ORDER BY n", m.id);
  while (s.step()) {
    const auto part = static_cast<size_t>(s.integer(0));
    while (m.parts.size() <= part) {
      Json made = {{"type", s.text(1)}, {"text", ""}};
      if (s.text(1) == "reasoning") made["seconds"] = nullptr;
      m.parts.push_back(std::move(made));
    }
    m.parts[part]["text"].get_ref<std::string&>() += s.text(2);
  }
}

Message Ledger::message(const std::string& id) const {
  Statement s = db_.query(sql(kMessageColumns, "WHERE id = ?"), id);
  if (!s.step()) refuse("message.unknown", fmt::format("there is no message {}", id));
  return read_message(s);
}

std::vector<Message> Ledger::messages(const std::string& thread, int64_t before_log, int64_t limit) const {
  std::vector<Message> out;
  Statement s = db_.query(sql(kMessageColumns, "WHERE thread_id = ? AND log < ? ORDER BY log DESC LIMIT ?"), thread,
                          before_log, limit);
  while (s.step()) out.push_back(read_message(s));
  std::ranges::reverse(out);
  return out;
}

std::vector<Message> Ledger::path(const std::string& head) const {
  std::vector<Message> out;
  out.push_back(message(head));
  while (out.back().parent) out.push_back(message(*out.back().parent));
  std::ranges::reverse(out);
  return out;
}

void Ledger::insert_thread(const Thread& t, const std::optional<std::string>& import,
                           const std::optional<std::string>& external) {
  db_.run(
      "INSERT INTO threads(id, title, named, pinned, archived, hidden, folder, tags, created_ms, updated_ms, "
      "n_messages, head, model, persona, system, sampling, draft, run, origin, import_id, external) "
      "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
      t.id, t.title, t.named, t.pinned, t.archived, t.hidden, t.folder, dump(t.tags), t.created_ms, t.updated_ms,
      t.n_messages, t.head, t.model, t.persona, t.system, dump(t.sampling), t.draft, t.run, t.origin, import, external);
}

void Ledger::tell_thread(const std::string& id) {
  const Thread t = thread(id);
  if (!t.hidden) events_.publish("thread.changed", id, std::nullopt, t.json());
}

void Ledger::insert_message(Message& m, const std::optional<std::string>& import,
                            const std::optional<std::string>& external) {
  if (m.id.empty()) m.id = make_id("m_");
  if (m.at_ms == 0) m.at_ms = now_ms();
  Json content = {{"role", m.role}, {"parts", m.parts}};
  if (m.actor_name) content["name"] = *m.actor_name;
  if (m.origin) content["origin"] = *m.origin;
  if (m.state != "done") content["state"] = m.state;
  if (!m.facts.is_null()) content["facts"] = m.facts;
  m.log = append({.id = m.id,
                  .kind = m.role == "assistant" ? "answer" : "message",
                  .actor_kind = m.actor_kind,
                  .actor_id = m.actor_id,
                  .thread = m.thread,
                  .parent = m.parent,
                  .ref = m.ref,
                  .content = std::move(content),
                  .source = m.source,
                  .at_ms = m.at_ms});
  db_.run(
      "INSERT INTO messages(id, log, seq, thread_id, parent_id, role, actor_kind, actor_id, actor_name, at_ms, parts, "
      "state, pinned, ref_id, source, origin, facts, error, run, import_id, external, from_seq) "
      "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
      m.id, m.log, m.seq, m.thread, m.parent, m.role, m.actor_kind, m.actor_id, m.actor_name, m.at_ms, dump(m.parts),
      m.state, m.pinned, m.ref, m.source, m.origin, m.facts, m.error, m.run, import, external, m.log);
  index(m);
  db_.run("UPDATE threads SET n_messages = n_messages + 1, updated_ms = max(updated_ms, ?) WHERE id = ?", m.at_ms,
          m.thread);
}

void Ledger::tell_message(Message& m) {
  m.seq = events_.next();
  db_.run("UPDATE messages SET seq = ? WHERE id = ?", m.seq, m.id);
  events_.publish("thread.message", m.thread, m.id, m.json());
}

void Ledger::index(const Message& m) {
  {
    Statement old = db_.query("SELECT folded FROM search_text WHERE log = ?", m.log);
    if (old.step()) db_.run("INSERT INTO search(search, rowid, folded) VALUES('delete', ?, ?)", m.log, old.text(0));
  }
  const std::string words = folded(searchable(m.parts));
  if (words.empty()) {
    db_.run("DELETE FROM search_text WHERE log = ?", m.log);
  } else {
    db_.run("INSERT INTO search_text VALUES(?,?,?,?,?) ON CONFLICT(log) DO UPDATE SET folded = excluded.folded", m.log,
            m.id, m.thread, m.at_ms, words);
    db_.run("INSERT INTO search(rowid, folded) VALUES(?, ?)", m.log, words);
  }
  for (const Json& p : m.parts)
    if (p.contains("hash"))
      db_.run("INSERT OR IGNORE INTO attachment_uses VALUES(?, ?)", p.at("hash").get<std::string>(), m.id);
}

void Ledger::erase_words(const std::string& id) {
  Message m = message(id);
  const int64_t now = now_ms();
  db_.run("UPDATE log SET content = NULL, erased_at = ? WHERE id = ? OR (ref_id = ? AND kind LIKE 'answer.%')", now, id,
          id);
  m.parts = Json::array();
  index(m);
  db_.run(
      "UPDATE messages SET parts = '[]', state = 'erased', facts = NULL, error = NULL, external = NULL, actor_name = "
      "NULL WHERE id = ?",
      id);
  db_.run("DELETE FROM pieces WHERE message_id = ?", id);
  db_.run("DELETE FROM prompts WHERE message_id = ?", id);
  db_.run("DELETE FROM prompt_texts WHERE message_id = ?", id);
  events_.forget_node(id);
  std::vector<std::string> hashes;
  {
    Statement s = db_.query(
        "SELECT hash FROM attachment_uses u WHERE message_id = ? AND NOT EXISTS(SELECT 1 FROM attachment_uses o WHERE "
        "o.hash = u.hash AND o.message_id <> u.message_id)",
        id);
    while (s.step()) hashes.push_back(s.text(0));
  }
  db_.run("DELETE FROM attachment_uses WHERE message_id = ?", id);
  for (const std::string& hash : hashes) {
    db_.run("DELETE FROM attachments WHERE hash = ?", hash);
    db_.run("INSERT OR IGNORE INTO erased_files VALUES(?)", hash);
  }
  if (!hashes.empty()) db_.after_commit([this] { remove_erased_files(); });
}

void Ledger::remove_erased_files() {
  const auto removed = guarded([&] {
    Transaction t(db_);
    std::vector<std::pair<std::string, bool>> files;  // and whether it is wanted again
    {
      Statement s =
          db_.query("SELECT hash, EXISTS(SELECT 1 FROM attachments a WHERE a.hash = e.hash) FROM erased_files e");
      while (s.step()) files.emplace_back(s.text(0), s.boolean(1));
    }
    for (const auto& [hash, is_wanted] : files) {
      const Status gone = is_wanted ? Status() : remove_file(attachments_ / hash);
      if (gone)
        db_.run("DELETE FROM erased_files WHERE hash = ?", hash);
      else
        log::error("the file of an erased attachment is still there: {}", gone.error().message);
    }
    t.commit();
  });
  if (!removed) log::error("files of erased attachments are still there: {}", removed.error().message);
}

void Ledger::forget() {
  {
    // System words and personas of prompts that no prompt repeats any more.
    Transaction t(db_);
    db_.run(
        "DELETE FROM prompt_texts WHERE message_id = '' AND NOT EXISTS(SELECT 1 FROM prompts WHERE instr(prompt, "
        "prompt_texts.hash) > 0)");
    db_.run("INSERT INTO search(search) VALUES('optimize')");
    t.commit();
  }
  db_.forget_log();
}

std::string Ledger::receipt(const char* what, const Json& ids) {
  const std::string id = make_id("x_");
  append({.id = id,
          .kind = "receipt",
          .actor_kind = "person",
          .content = {{"erased", what}, {"n", ids.size()}, {"ids", ids}},
          .source = "page"});
  return id;
}

}  // namespace watra::home
