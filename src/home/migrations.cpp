#include "home/migrations.h"

#include <array>

namespace watra::home {
namespace {

// 1: what was said, the events that told it, and what is derived from both.
//
// log       the only truth. Rows are added; the one change is erasing, which blanks `content`. Triggers hold to that.
// messages  the tree as it is shown: derived from the log, but for pins.
// pieces    words of answers under way, in the order they were shown; the row that ends an answer takes them over.
constexpr const char* kTruth = R"sql(
CREATE TABLE log(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  at_ms INTEGER NOT NULL,
  tz TEXT NOT NULL,
  kind TEXT NOT NULL,
  actor_kind TEXT NOT NULL,
  actor_id TEXT,
  thread_id TEXT,
  parent_id TEXT,
  ref_id TEXT,
  content TEXT,
  source TEXT NOT NULL,
  erased_at INTEGER) STRICT;
CREATE INDEX log_thread ON log(thread_id, seq);
CREATE INDEX log_ref ON log(ref_id) WHERE ref_id IS NOT NULL;
CREATE TRIGGER log_never_changes BEFORE UPDATE ON log
WHEN NEW.erased_at IS NULL OR NEW.content IS NOT NULL OR NEW.seq <> OLD.seq OR NEW.id <> OLD.id OR NEW.kind <> OLD.kind
BEGIN SELECT RAISE(ABORT, 'the log is only added to; erasing is its one change'); END;
CREATE TRIGGER log_never_shrinks BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'the log is only added to; erasing is its one change'); END;

CREATE TABLE events(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  type TEXT NOT NULL,
  thread_id TEXT,
  node_id TEXT,
  data TEXT NOT NULL) STRICT;
CREATE TABLE events_kept(trimmed_to INTEGER NOT NULL) STRICT;
INSERT INTO events_kept VALUES(0);
CREATE INDEX events_thread ON events(thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX events_node ON events(node_id) WHERE node_id IS NOT NULL;

CREATE TABLE threads(
  id TEXT PRIMARY KEY,
  title TEXT NOT NULL DEFAULT '',
  named INTEGER NOT NULL DEFAULT 0,
  pinned INTEGER NOT NULL DEFAULT 0,
  archived INTEGER NOT NULL DEFAULT 0,
  hidden INTEGER NOT NULL DEFAULT 0,
  folder TEXT,
  tags TEXT NOT NULL DEFAULT '[]',
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  n_messages INTEGER NOT NULL DEFAULT 0,
  head TEXT,
  model TEXT,
  persona TEXT,
  system TEXT,
  sampling TEXT NOT NULL DEFAULT '{}',
  draft TEXT,
  run TEXT,
  origin TEXT,
  import_id TEXT,
  external TEXT UNIQUE) STRICT;
CREATE INDEX threads_shown ON threads(hidden, archived, pinned DESC, updated_ms DESC);

CREATE TABLE messages(
  id TEXT PRIMARY KEY,
  log INTEGER NOT NULL UNIQUE REFERENCES log(seq),
  seq INTEGER NOT NULL,
  thread_id TEXT NOT NULL REFERENCES threads(id) ON DELETE CASCADE,
  parent_id TEXT,
  role TEXT NOT NULL,
  actor_kind TEXT NOT NULL,
  actor_id TEXT,
  actor_name TEXT,
  at_ms INTEGER NOT NULL,
  parts TEXT NOT NULL,
  state TEXT NOT NULL,
  pinned INTEGER NOT NULL DEFAULT 0,
  ref_id TEXT,
  source TEXT NOT NULL,
  origin TEXT,
  facts TEXT,
  error TEXT,
  run TEXT,
  import_id TEXT,
  external TEXT UNIQUE,
  from_seq INTEGER NOT NULL) STRICT;
CREATE INDEX messages_thread ON messages(thread_id, log);
CREATE INDEX messages_parent ON messages(parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX messages_state ON messages(state) WHERE state = 'running';
CREATE INDEX messages_import ON messages(import_id) WHERE import_id IS NOT NULL;

CREATE TABLE pieces(
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id TEXT NOT NULL REFERENCES messages(id) ON DELETE CASCADE,
  part INTEGER NOT NULL,
  kind TEXT NOT NULL,
  text TEXT NOT NULL) STRICT;
CREATE INDEX pieces_message ON pieces(message_id, n);

CREATE TABLE client_ids(
  client_id TEXT PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  made TEXT NOT NULL) STRICT;

CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
)sql";

// 2: search. The folded column is what people type without marks and capitals; trigrams find parts of words, which
// Polish endings need.
constexpr const char* kSearch = R"sql(
CREATE TABLE search_text(
  log INTEGER PRIMARY KEY,
  message_id TEXT NOT NULL UNIQUE,
  thread_id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  folded TEXT NOT NULL) STRICT;
CREATE INDEX search_text_thread ON search_text(thread_id);
CREATE INDEX search_text_at ON search_text(at_ms DESC);
CREATE VIRTUAL TABLE search USING fts5(folded, content='search_text', content_rowid='log',
  tokenize='trigram case_sensitive 1');
)sql";

// 3: what the model saw, and who speaks, how, and side by side.
//
// prompt_texts  words of prompts, each once; those of a message go with it when it is erased.
constexpr const char* kRooms = R"sql(
CREATE TABLE prompts(message_id TEXT PRIMARY KEY REFERENCES messages(id) ON DELETE CASCADE, prompt TEXT NOT NULL) STRICT;
CREATE TABLE prompt_texts(
  hash TEXT NOT NULL,
  message_id TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY(hash, message_id)) STRICT, WITHOUT ROWID;
CREATE INDEX prompt_texts_message ON prompt_texts(message_id);

CREATE TABLE personas(id TEXT PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL, updated_ms INTEGER NOT NULL) STRICT;
CREATE TABLE presets(id TEXT PRIMARY KEY, name TEXT NOT NULL, sampling TEXT NOT NULL, updated_ms INTEGER NOT NULL) STRICT;
CREATE TABLE question_sets(id TEXT PRIMARY KEY, name TEXT NOT NULL, questions TEXT NOT NULL, updated_ms INTEGER NOT NULL) STRICT;

CREATE TABLE compares(
  id TEXT PRIMARY KEY,
  thread_id TEXT NOT NULL REFERENCES threads(id) ON DELETE CASCADE,
  question TEXT NOT NULL,
  system TEXT,
  blind INTEGER NOT NULL,
  revealed INTEGER NOT NULL,
  run_order TEXT NOT NULL,
  state TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  vote TEXT,
  columns TEXT NOT NULL) STRICT;
CREATE INDEX compares_created ON compares(created_ms DESC);
CREATE INDEX compares_thread ON compares(thread_id);

CREATE TABLE attachments(
  hash TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  mime TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  width INTEGER,
  height INTEGER,
  created_ms INTEGER NOT NULL) STRICT;
CREATE TABLE attachment_uses(
  hash TEXT NOT NULL,
  message_id TEXT NOT NULL,
  PRIMARY KEY(hash, message_id)) STRICT, WITHOUT ROWID;
CREATE INDEX attachment_uses_message ON attachment_uses(message_id);

CREATE TABLE imports(id TEXT PRIMARY KEY, format TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
)sql";

// 4: the door, the shelf and the work that takes long.
//
// sessions      browsers that have come in; the secret of their cookie is here as a hash alone.
// model_speeds  what a model did here, beside what the plan said (until step 7).
constexpr const char* kDoorAndShelf = R"sql(
CREATE TABLE password(hash TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
CREATE TABLE sessions(
  id TEXT PRIMARY KEY,
  secret_hash TEXT NOT NULL UNIQUE,
  since_ms INTEGER NOT NULL,
  used_ms INTEGER NOT NULL,
  device TEXT NOT NULL) STRICT;

CREATE TABLE jobs(
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  title TEXT NOT NULL,
  subject TEXT,
  state TEXT NOT NULL,
  progress REAL,
  done_bytes INTEGER NOT NULL DEFAULT 0,
  total_bytes INTEGER NOT NULL DEFAULT 0,
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  error TEXT,
  result TEXT) STRICT;
CREATE INDEX jobs_created ON jobs(created_ms DESC);

CREATE TABLE folders(id TEXT PRIMARY KEY, path TEXT NOT NULL UNIQUE, added_ms INTEGER NOT NULL) STRICT;
CREATE TABLE model_speeds(model TEXT PRIMARY KEY, decode_tokens_per_s REAL NOT NULL, at_ms INTEGER NOT NULL) STRICT;
)sql";

// 5: which file it was that answered: hashes of model files that no download has checked, with their size and time.
constexpr const char* kModelHashes = R"sql(
CREATE TABLE model_hashes(
  file TEXT PRIMARY KEY,
  stamp TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  at_ms INTEGER NOT NULL) STRICT;
)sql";

// 6: files of erased attachments that are to go: written with the erasing, so that no crash leaves one behind.
constexpr const char* kErasedFiles = R"sql(
CREATE TABLE erased_files(hash TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
)sql";

// 7: how fast answers were, one by one; what stood in model_speeds was of any answer, however short, and goes.
constexpr const char* kAnswerSpeeds = R"sql(
DROP TABLE model_speeds;
CREATE TABLE answer_speeds(
  n INTEGER PRIMARY KEY,
  file TEXT NOT NULL,
  stamp TEXT NOT NULL,
  settings TEXT NOT NULL,
  tokens_per_s REAL NOT NULL,
  at_ms INTEGER NOT NULL) STRICT;
CREATE INDEX answer_speeds_of ON answer_speeds(file, settings);
)sql";

// 8: words that the person keeps ready, to be put into a message.
constexpr const char* kPhrases = R"sql(
CREATE TABLE phrases(id TEXT PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL, updated_ms INTEGER NOT NULL) STRICT;
)sql";

constexpr std::array kSteps = {kTruth,       kSearch,      kRooms,        kDoorAndShelf,
                               kModelHashes, kErasedFiles, kAnswerSpeeds, kPhrases};

}  // namespace

int newest_version() { return static_cast<int>(kSteps.size()); }

Status migrate(Database& db, int version) {
  return guarded([&] {
    Transaction t(db);
    int found = 0;
    {
      Statement asked = db.query("PRAGMA user_version");
      asked.step();
      found = static_cast<int>(asked.integer(0));
    }  // no table may be dropped while something is read
    if (found > newest_version())
      refuse("store.newer",
             fmt::format("{} is of version {}, this Watra knows up to {}", db.file().string(), found, newest_version()),
             "a newer Watra, or another --home");
    for (int v = found; v < version; ++v) db.script(kSteps[static_cast<size_t>(v)]);
    if (found < version) db.script(fmt::format("PRAGMA user_version = {}", version));
    t.commit();
  });
}

}  // namespace watra::home
