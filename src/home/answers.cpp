#include "home/answers.h"

#include "home/check.h"
#include "home/ids.h"
#include "home/prompts.h"

namespace watra::home {
namespace {

constexpr size_t kMostParts = 64;
constexpr size_t kMostText = 4'000'000;  // characters of one part

Json run_of(const Message& answer) {
  Json run = new_run(answer.run.value_or(""), answer.thread, answer.id);
  run["state"] = answer.state == "running" ? "queued" : answer.state == "erased" ? "done" : answer.state;
  return run;
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kBlank) - first + 1));
}

// Whether a draft is what these parts say: the same words and the same files.
bool is_said(const Json& draft, const Json& parts) {
  const auto files_of = [](const Json& list) {
    std::vector<std::string> hashes;
    for (const Json& p : list)
      if (member(p, "hash").is_string()) hashes.push_back(p.at("hash"));
    return hashes;
  };
  if (!draft.is_object() || !parts.is_array()) return false;
  std::string said;
  for (const Json& p : parts)
    if (member(p, "type") == "text") said += p.at("text").get<std::string>();
  return trimmed(said) == trimmed(draft.at("text").get<std::string>()) &&
         files_of(parts) == files_of(draft.at("parts"));
}

}  // namespace

Json new_run(const std::string& id, const std::string& thread, const std::string& answer) {
  return {{"id", id},   {"thread", thread}, {"answer", answer}, {"state", "queued"},
          {"ahead", 0}, {"read", nullptr},  {"write", nullptr}};
}

void Answers::check_parts(const Json& parts) const {
  const std::string allowed = fmt::format("a list of 1 to {} parts", kMostParts);
  if (!parts.is_array() || parts.empty() || parts.size() > kMostParts) refuse_field("parts", allowed);
  for (const Json& p : parts) {
    const Json& type = member(p, "type");
    if (type == "text") {
      checked_text(member(p, "text"), "parts", 1, kMostText);
    } else if (type == "attachment") {
      const std::string hash = checked_text(member(p, "hash"), "parts", 1, 64);
      Statement s = ledger_.db().query("SELECT 1 FROM attachments WHERE hash = ?", hash);
      if (!s.step()) refuse("attachment.unknown", fmt::format("there is no attachment {}", hash));
      for (const char* name : {"name", "mime"}) checked_text(member(p, name), "parts", 1, 255);
      if (!member(p, "bytes").is_number_unsigned()) refuse_field("parts", "attachments as /attachments gave them");
    } else {
      refuse_field("parts", type == "image"
                                ? "text or attachments; a picture needs a model that sees, and Watra runs none "
                                  "of those yet: say in words what is on it"
                                : "parts of type text or attachment");
    }
  }
}

Message Answers::open(const std::string& thread, const std::string& parent, const Answerer& by, const std::string& run,
                      Json parts) {
  Message answer{.thread = thread,
                 .parent = parent,
                 .role = "assistant",
                 .actor_kind = by.persona ? "companion" : "model",
                 .actor_id = by.persona ? *by.persona : by.model,
                 .actor_name = by.persona ? by.persona_name : by.model_name,
                 .parts = std::move(parts),
                 .state = "running",
                 .run = run};
  ledger_.insert_message(answer);
  return answer;
}

Json Answers::begin_now(const TurnWish& wish, const Thread& thread) {
  Database& db = ledger_.db();
  if (thread.run) refuse("thread.busy", "an answer is under way in this thread", *thread.run);
  const auto of_thread = [&](const std::string& id, std::string_view field) {
    Message m = ledger_.message(id);
    if (m.thread != thread.id) refuse_field(field, "a message of this thread");
    return m;
  };
  const std::string run = make_id("r_");
  Json made = {{"said", nullptr}, {"run", run}};
  Message answer;
  if (wish.go_on) {
    answer = of_thread(*wish.go_on, "continue");
    if (answer.role != "assistant" || answer.state == "erased") refuse_field("continue", "an answer of this thread");
    answer.state = "running";
    answer.run = run;
    ledger_.append({.id = make_id("e_"),
                    .kind = "answer.resumed",
                    .actor_kind = "model",
                    .actor_id = wish.by.model,
                    .thread = thread.id,
                    .ref = answer.id,
                    .content = {{"run", run}},
                    .source = "page"});
    db.run("UPDATE messages SET state = 'running', run = ?, error = NULL WHERE id = ?", run, answer.id);
    answer = ledger_.message(answer.id);
  } else {
    std::string parent;
    if (!wish.parts.is_null()) {
      check_parts(wish.parts);
      Message said{.thread = thread.id, .parent = wish.parent, .parts = wish.parts, .ref = wish.ref};
      if (wish.parent) of_thread(*wish.parent, "parent");
      if (wish.ref) ledger_.message(*wish.ref);
      ledger_.insert_message(said);
      ledger_.tell_message(said);
      if (thread.title.empty()) db.run("UPDATE threads SET title = ? WHERE id = ?", title_of(said.text()), thread.id);
      parent = said.id;
      made["said"] = said.id;
    } else {
      if (!wish.parent) refuse_field("parent", "the message to be answered again");
      if (of_thread(*wish.parent, "parent").role == "assistant") refuse_field("parent", "a message of the person");
      parent = *wish.parent;
    }
    answer = open(thread.id, parent, wish.by, run, wish.begun.is_null() ? Json::array() : wish.begun);
  }
  made["answer"] = answer.id;
  db.run("UPDATE threads SET head = ?, run = ?, updated_ms = ? WHERE id = ?", answer.id, run, now_ms(), thread.id);
  // The draft goes with the words that say it; what else is being written meanwhile stays.
  if (made["said"].is_string() && is_said(thread.draft, wish.parts))
    db.run("UPDATE threads SET draft = NULL WHERE id = ?", thread.id);
  answer.seq = ledger_.events().next();
  db.run("UPDATE messages SET seq = ? WHERE id = ?", answer.seq, answer.id);
  ledger_.events().publish("answer.started", thread.id, answer.id,
                           {{"run", new_run(run, thread.id, answer.id)}, {"message", answer.json()}});
  ledger_.tell_thread(thread.id);
  return made;
}

Turn Answers::replay(const Json& made) const {
  Turn turn{.answer = ledger_.message(made.at("answer")), .run = made.at("run")};
  if (!made.at("said").is_null()) turn.said = ledger_.message(made.at("said"));
  turn.as_of = ledger_.events().last();
  return turn;
}

Result<std::optional<Turn>> Answers::seen(const Json& client_id) const {
  return guarded([&]() -> std::optional<Turn> {
    const auto made = ledger_.made_by(client_id);
    if (!made || !made->contains("answer")) return std::nullopt;
    Turn turn = replay(*made);
    turn.fresh = false;
    return turn;
  });
}

Status Answers::check(const Json& parts) const {
  return guarded([&] { check_parts(parts); });
}

Result<Turn> Answers::begin(const TurnWish& wish) {
  return guarded([&] {
    Transaction t(ledger_.db());
    const Thread thread = ledger_.thread(wish.thread);
    bool fresh = false;
    const Json made = ledger_.once(wish.client_id, [&] {
      fresh = true;
      return begin_now(wish, thread);
    });
    if (!made.contains("answer")) refuse_field("client_id", "an id that made nothing else");
    Turn turn = replay(made);
    turn.fresh = fresh;
    t.commit();
    return turn;
  });
}

Status Answers::apply(const std::vector<AnswerStep>& steps) {
  return guarded([&] {
    Transaction t(ledger_.db());
    for (const AnswerStep& s : steps) step(s);
    t.commit();
  });
}

void Answers::step(const AnswerStep& s) {
  Database& db = ledger_.db();
  EventLog& events = ledger_.events();
  switch (s.kind) {
    case AnswerStep::Kind::prepared:
      db.run("UPDATE messages SET facts = ? WHERE id = ?", s.facts, s.message);
      keep_prompt(db, s.message, s.prompt);
      break;
    case AnswerStep::Kind::progress:
      events.publish("answer.progress", s.thread, s.message, s.run);
      break;
    case AnswerStep::Kind::piece: {
      db.run("INSERT INTO pieces(message_id, part, kind, text) VALUES(?,?,?,?)", s.message, s.part, s.part_kind,
             s.text);
      const int64_t seq = events.publish("answer.piece", s.thread, s.message,
                                         {{"part", s.part}, {"kind", s.part_kind}, {"text", s.text}});
      db.run("UPDATE messages SET seq = ? WHERE id = ?", seq, s.message);
      break;
    }
    case AnswerStep::Kind::ended:
      end(s);
      break;
  }
}

void Answers::append(const char* kind, const Message& answer, Json content) {
  ledger_.append({.id = make_id("e_"),
                  .kind = kind,
                  .actor_kind = answer.actor_kind,
                  .actor_id = answer.actor_id,
                  .thread = answer.thread,
                  .parent = answer.parent,
                  .ref = answer.id,
                  .content = std::move(content),
                  .source = answer.source});
}

void Answers::end(const AnswerStep& s) {
  Database& db = ledger_.db();
  Message m = ledger_.message(s.message);  // with the pieces
  if (s.reasoning_s)
    for (Json& p : m.parts)
      if (p.at("type") == "reasoning") p["seconds"] = *s.reasoning_s;
  m.state = s.state;
  m.facts = s.facts;
  m.error = s.error;
  m.seq = ledger_.events().next();
  append("answer.ended", m, {{"parts", m.parts}, {"state", m.state}, {"facts", m.facts}, {"error", m.error}});
  db.run("UPDATE messages SET parts = ?, state = ?, facts = ?, error = ?, seq = ?, from_seq = ? WHERE id = ?",
         dump(m.parts), m.state, m.facts, m.error, m.seq, db.last_rowid(), m.id);
  db.run("DELETE FROM pieces WHERE message_id = ?", m.id);
  ledger_.index(m);
  db.run("UPDATE threads SET run = NULL, updated_ms = ? WHERE id = ?", now_ms(), m.thread);
  ledger_.events().publish("answer.ended", m.thread, m.id, {{"run", s.run}, {"message", m.json()}});
  ledger_.tell_thread(m.thread);
}

Result<int64_t> Answers::learn_hash(const std::string& file, int64_t since_ms, const std::string& sha256) {
  return guarded([&] {
    Database& db = ledger_.db();
    Transaction t(db);
    std::vector<std::string> lacking;
    {
      Statement s = db.query(
          "SELECT id FROM messages WHERE role = 'assistant' AND at_ms >= ? AND state NOT IN ('running', 'erased') AND "
          "import_id IS NULL AND json_extract(facts, '$.model.file') = ? AND json_extract(facts, '$.model.sha256') = "
          "''",
          since_ms, file);
      while (s.step()) lacking.push_back(s.text(0));
    }
    for (const std::string& id : lacking) {
      Message m = ledger_.message(id);
      m.facts["model"]["sha256"] = sha256;
      append("answer.hash", m, {{"sha256", sha256}});
      db.run("UPDATE messages SET facts = ? WHERE id = ?", m.facts, m.id);
      ledger_.tell_message(m);
    }
    t.commit();
    return static_cast<int64_t>(lacking.size());
  });
}

Result<int64_t> Answers::close_left_over() {
  return guarded([&] {
    Database& db = ledger_.db();
    Transaction t(db);
    std::vector<std::string> open;
    {
      Statement s = db.query("SELECT id FROM messages WHERE state = 'running' ORDER BY log");
      while (s.step()) open.push_back(s.text(0));
    }
    for (const std::string& id : open) {
      const Message m = ledger_.message(id);
      Json run = run_of(m);
      run["state"] = "interrupted";
      Json facts = m.facts;
      if (facts.is_object()) facts["finish_reason"] = "interrupted";
      end({.kind = AnswerStep::Kind::ended,
           .thread = m.thread,
           .message = id,
           .run = std::move(run),
           .facts = std::move(facts),
           .state = "interrupted"});
    }
    t.commit();
    return static_cast<int64_t>(open.size());
  });
}

}  // namespace watra::home
