#include "home/import.h"

#include <algorithm>
#include <map>

#include "home/check.h"
#include "home/ids.h"
#include "home/import_formats.h"

namespace watra::home {
namespace {

constexpr size_t kProblemsTold = 100;
constexpr size_t kLongestTitle = 200;  // characters, as everywhere

class Importer {
 public:
  Importer(Home& home, bool dry, const std::function<bool()>& go_on)
      : home_(home), ledger_(home.ledger()), dry_(dry), go_on_(go_on) {
    report.id = make_id("i_");
  }

  ImportReport report;

  void take(const ImportedThread& t) {
    if (!go_on_()) refuse("import.cancelled", "the import was cancelled");
    report.skipped += t.n_skipped;
    // Begun and not said yet is the person's too.
    const bool holds_more =
        t.own && (t.compare || !t.draft.is_null() || t.named || t.system || t.folder || !t.tags.empty());
    if (t.messages.empty() && !holds_more) return;
    bool is_made = false;
    Transaction transaction(ledger_.db());
    const int64_t before = report.messages;
    if (t.external != external_) {  // else the same one goes on
      external_ = t.external;
      ids_.clear();
      thread_ = find("threads", t.external, t.id);
      is_made = is_new_ = thread_.empty();
      if (is_new_) thread_ = make_thread(t);
    }
    std::string last;
    int64_t newest_ms = t.updated_ms;
    for (const ImportedMessage& m : t.messages) {
      last = take_message(m, t);
      newest_ms = std::max(newest_ms, m.at_ms);
    }
    if (!dry_ && report.messages > before) {
      const auto head = ids_.find(t.head);
      ledger_.db().run(
          "UPDATE threads SET head = coalesce(?, head), updated_ms = CASE WHEN ? > 0 THEN ? ELSE updated_ms END WHERE "
          "id = ?",
          head == ids_.end() ? last : head->second, is_new_ ? newest_ms : 0, newest_ms, thread_);
      is_made = true;
    }
    if (!dry_ && is_new_ && t.compare) put_compare(*t.compare);
    if (!dry_ && is_made) ledger_.tell_thread(thread_);
    if (!dry_) transaction.commit();
  }

  void keep_file(const ImportedFile& f) {
    if (dry_) return;
    const auto kept = home_.attachments().keep(f.content, f.name, f.mime);
    if (!kept || kept->hash != f.hash) problem("attachments", f.hash + " is not what its name says");
  }

  void keep(std::string_view kind, const Json& list) {
    if (dry_) return;
    const auto of = std::ranges::find(kept_kinds(), kind, &KeptKind::plural);
    if (of == kept_kinds().end()) return;
    for (const Json& one : list) {
      if (!one.is_object() || !member(one, "id").is_string()) continue;
      if ((*of)->builtin && member(one, "builtin") != false) continue;
      const std::string id = one.at("id");
      if (home_.kept().find(**of, id)) continue;
      const auto kept = home_.kept().put(**of, id, one);
      if (!kept) problem(fmt::format("{} {}", kind, id), kept.error().message);
    }
  }

  // What messages show and nobody has, neither the file nor this house.
  void tell_missing() {
    Statement s = ledger_.db().query(
        "SELECT DISTINCT t.title, u.hash FROM messages m JOIN attachment_uses u ON u.message_id = m.id JOIN threads t "
        "ON t.id = m.thread_id WHERE m.import_id = ? AND NOT EXISTS(SELECT 1 FROM attachments a WHERE a.hash = u.hash)",
        report.id);
    while (s.step())
      problem(s.text(0), fmt::format("a message shows the file {}, which did not come with it", s.text(1)));
  }

  void problem(const std::string& where, const std::string& what) {
    if (report.problems.size() < kProblemsTold) report.problems.push_back({{"where", where}, {"what", what}});
  }

 private:
  bool is_free(const char* table, const std::string& id) {
    Statement s = ledger_.db().query(fmt::format("SELECT 1 FROM {} WHERE id = ?", table), id);
    return !s.step();
  }

  // By the name it has for ever, or by an id of this very house.
  std::string find(const char* table, const std::string& external, const std::string& id) {
    Statement s =
        ledger_.db().query(fmt::format("SELECT id FROM {} WHERE external = ? OR id = ?", table), external, id);
    return s.step() ? s.text(0) : "";
  }

  // An id of the house an export came from, as it is called in this one.
  std::string here(const char* table, const std::string& id) {
    std::string found = find(table, "watra:" + id, id);
    return found.empty() ? id : found;
  }

  // Its columns' answers as far as they have come; a long one comes in several pieces.
  void put_compare(const ImportedCompare& i) {
    if (compare_.empty()) compare_ = i.id.empty() || !is_free("compares", i.id) ? make_id("c_") : i.id;
    Compare c{.id = compare_,
              .thread = thread_,
              .question = i.question,
              .system = i.system,
              .blind = i.blind,
              .revealed = i.revealed,
              .order = i.order,
              .state = i.state,
              .created_ms = i.created_ms > 0 ? i.created_ms : now_ms(),
              .vote = i.vote,
              .columns = i.columns};
    for (Json& column : c.columns) {
      const auto message =
          ids_.find(column.at("message").is_string() ? column.at("message").get<std::string>() : std::string());
      column["message"] = message == ids_.end() ? Json(nullptr) : Json(message->second);
    }
    home_.compares().put(c);
  }

  std::string make_thread(const ImportedThread& t) {
    ++(t.compare ? report.compares : report.threads);
    compare_.clear();
    const std::string first = t.messages.empty() ? "" : text_of(t.messages.front().parts);
    const bool keeps_title = t.own && n_characters(t.title) <= kLongestTitle;
    Thread thread{.id = t.id.empty() ? make_id("t_") : t.id,
                  .title = t.title.empty() ? title_of(first)
                           : keeps_title   ? t.title
                                           : title_of(t.title),
                  .named = t.named && !t.title.empty(),
                  .pinned = t.pinned,
                  .archived = t.archived,
                  .hidden = t.compare.has_value(),
                  .folder = t.folder,
                  .tags = t.tags,
                  .created_ms = t.created_ms > 0 ? t.created_ms : now_ms(),
                  .updated_ms = t.updated_ms > 0 ? t.updated_ms : t.created_ms,
                  .model = t.model,
                  .system = t.system,
                  .sampling = t.sampling,
                  .draft = t.draft,
                  .origin = t.origin};
    if (t.origin.is_object()) {
      const std::string from = t.origin.at("thread"), at = t.origin.at("message");
      thread.origin = {{"thread", here("threads", from)}, {"message", here("messages", at)}};
    }
    if (t.persona && home_.personas().find(*t.persona)) thread.persona = t.persona;
    if (!dry_) ledger_.insert_thread(thread, report.id, t.external);
    return thread.id;
  }

  std::string take_message(const ImportedMessage& m, const ImportedThread& t) {
    const auto parent = ids_.find(m.parent);  // before it is known itself: nothing goes on from itself
    std::string& id = ids_[m.external];
    id = find("messages", m.external, m.id);
    if (!id.empty()) {
      ++report.skipped;
      return id;
    }
    ++(m.state == "erased" ? report.skipped : report.messages);  // its place in the tree comes, without words
    // An id that was erased here stays in the log, and is never used again.
    id = m.id.empty() || !is_free("log", m.id) ? make_id("m_") : m.id;
    if (dry_) return id;
    const bool answer = m.role == "assistant";
    Message message{.id = id,
                    .thread = thread_,
                    .role = answer || m.role == "system" || m.role == "tool" ? m.role : "user",
                    .actor_kind = !m.actor_kind.empty() ? m.actor_kind
                                  : answer              ? "model"
                                  : m.role == "system"  ? "system"
                                                        : "person",
                    .actor_id = m.model,
                    .actor_name = m.name,
                    .at_ms = m.at_ms > 0 ? m.at_ms : t.created_ms,
                    .parts = m.parts,
                    .state = m.state,
                    .pinned = m.pinned,
                    .source = m.source,
                    .facts = m.facts,
                    .error = m.error};
    if (!m.origin.empty()) message.origin = here("messages", m.origin);
    if (const auto quoted = ids_.find(m.ref); quoted != ids_.end() && !quoted->second.empty())
      message.ref = quoted->second;
    if (parent != ids_.end() && !parent->second.empty()) message.parent = parent->second;
    ledger_.insert_message(message, report.id, m.external);
    return id;
  }

  Home& home_;
  Ledger& ledger_;
  const bool dry_;
  const std::function<bool()>& go_on_;
  // The thread at hand: our own exports may write a long one in several pieces, one after the other.
  std::string external_, thread_, compare_;
  bool is_new_ = false;
  std::map<std::string, std::string> ids_;  // of its messages, by external
};

}  // namespace

Json ImportReport::json() const {
  return {{"import", id},         {"format", format},   {"threads", threads},  {"compares", compares},
          {"messages", messages}, {"skipped", skipped}, {"problems", problems}};
}

Result<ImportReport> import_file(Home& home, const fs::path& file, bool dry, const std::function<bool()>& go_on) {
  return guarded([&] {
    Importer importer(home, dry, go_on);
    Ledger& ledger = home.ledger();
    const ImportSink sink{
        .thread = [&](ImportedThread t) { importer.take(t); },
        .problem = [&](const std::string& where, const std::string& what) { importer.problem(where, what); },
        .file = [&](const ImportedFile& f) { importer.keep_file(f); },
        .kept = [&](std::string_view kind, const Json& list) { importer.keep(kind, list); }};
    if (!dry) ledger.db().run("INSERT INTO imports VALUES(?, '', ?)", importer.report.id, now_ms());
    importer.report.format = read_import(file, sink);
    if (!dry) importer.tell_missing();
    if (!dry) ledger.db().run("UPDATE imports SET format = ? WHERE id = ?", importer.report.format, importer.report.id);
    return importer.report;
  });
}

Result<int64_t> take_back_import(Ledger& ledger, const std::string& import) {
  auto taken = guarded([&] {
    Database& db = ledger.db();
    Transaction t(db);
    if (db.run("DELETE FROM imports WHERE id = ?", import) == 0)
      refuse("import.unknown", fmt::format("there is no import {}", import));
    Json ids = Json::array();
    std::vector<std::string> threads;
    {
      Statement s = db.query("SELECT id FROM messages WHERE import_id = ? AND state <> 'erased'", import);
      while (s.step()) ids.push_back(s.text(0));
      Statement made = db.query("SELECT id FROM threads WHERE import_id = ? AND run IS NULL", import);
      while (made.step()) threads.push_back(made.text(0));
    }
    for (const Json& id : ids) ledger.erase_words(id);
    for (const std::string& id : threads) {
      // What the person has said there since stays, under what is left of the tree.
      Statement own = db.query("SELECT 1 FROM messages WHERE thread_id = ? AND import_id IS NOT ?", id, import);
      if (own.step()) {
        db.run("UPDATE threads SET external = NULL, title = '' WHERE id = ?", id);
        db.run("UPDATE compares SET question = '', system = NULL WHERE thread_id = ?", id);
        ledger.events().forget_thread(id);
        ledger.tell_thread(id);
        continue;
      }
      ledger.events().forget_thread(id);
      db.run("DELETE FROM threads WHERE id = ?", id);
      ledger.events().publish("thread.removed", id, std::nullopt, Json::object());
    }
    ledger.receipt("import", ids);
    t.commit();
    return static_cast<int64_t>(ids.size());
  });
  if (taken) WATRA_TRY(guarded([&] { ledger.forget(); }));
  return taken;
}

}  // namespace watra::home
