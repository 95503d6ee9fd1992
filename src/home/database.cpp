#include "home/database.h"

#include <sqlite3.h>

#include <algorithm>

#include "base/fault.h"

namespace watra::home {
namespace {

constexpr int kBusyMs = 5000;           // another process of ours (a backup, a second server) has the file
constexpr size_t kIdleStatements = 96;  // about as many as there are in home/

}  // namespace

Statement::Statement(Database& db, std::unique_lock<std::recursive_mutex> lock, sqlite3_stmt* statement,
                     std::string key)
    : db_(&db), lock_(std::move(lock)), statement_(statement), key_(std::move(key)) {}

Statement::Statement(Statement&& other) noexcept
    : db_(other.db_),
      lock_(std::move(other.lock_)),
      statement_(std::exchange(other.statement_, nullptr)),
      key_(std::move(other.key_)) {}

Statement::~Statement() {
  if (!statement_) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  auto& idle = db_->idle_;
  if (idle.size() >= kIdleStatements) {
    sqlite3_finalize(idle.front().second);
    idle.erase(idle.begin());
  }
  idle.emplace_back(std::move(key_), statement_);
}

bool Statement::step() {
  if (fault::hit("db.step")) refuse("store.write_failed", "a step of the store was made to fail");
  const int rc = sqlite3_step(statement_);
  if (rc == SQLITE_ROW) return true;
  if (rc != SQLITE_DONE) db_->fail_now("a statement");
  return false;
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Statement::real(int column) const { return sqlite3_column_double(statement_, column); }
bool Statement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  const int n = sqlite3_column_bytes(statement_, column);
  return bytes ? std::string(bytes, static_cast<size_t>(n)) : std::string();
}

std::optional<std::string> Statement::maybe_text(int column) const {
  return is_null(column) ? std::nullopt : std::optional(text(column));
}

std::optional<int64_t> Statement::maybe_integer(int column) const {
  return is_null(column) ? std::nullopt : std::optional(integer(column));
}

Json Statement::json(int column) const { return is_null(column) ? Json(nullptr) : Json::parse(text(column)); }

void Statement::bind(int index, std::nullptr_t) { sqlite3_bind_null(statement_, index); }
void Statement::bind(int index, int64_t value) { sqlite3_bind_int64(statement_, index, value); }
void Statement::bind(int index, double value) { sqlite3_bind_double(statement_, index, value); }

void Statement::bind(int index, std::string_view value) {
  // A view without bytes may have no address, which SQLite would take for NULL.
  const char* bytes = value.data() ? value.data() : "";
  if (sqlite3_bind_text64(statement_, index, bytes, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8) != SQLITE_OK)
    db_->fail_now("a value");
}

void Statement::bind(int index, const Json& value) {
  value.is_null() ? bind(index, nullptr) : bind(index, std::string_view(dump(value)));
}

Result<std::unique_ptr<Database>> Database::open(const fs::path& file) {
  {  // 0600 from its first byte on: SQLite would make it with the umask's rights
    WATRA_ASSIGN(const File made, File::open(file, File::Mode::read_write));
    std::error_code ec;
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write, ec);
  }
  sqlite3* handle = nullptr;
  const int rc = sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> db(new Database(handle, file));
  if (rc != SQLITE_OK)
    return fail("store.cannot_open", fmt::format("{} cannot be opened: {}", file.string(), sqlite3_errstr(rc)),
                "another --home, or the rights of this folder");
  db->idle_.reserve(kIdleStatements + 1);  // the end of a statement allocates nothing
  sqlite3_busy_timeout(handle, kBusyMs);
  sqlite3_extended_result_codes(handle, 1);
  auto prepared = guarded([&] {
    db->script(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;"
        "PRAGMA temp_store=MEMORY;");
  });
  if (!prepared) return fail(prepared.error());
  return db;
}

Database::~Database() {
  for (const auto& [key, statement] : idle_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

Statement Database::prepare(std::string_view sql) {
  auto lock = std::unique_lock(mutex_);
  const auto it = std::ranges::find(idle_, sql, [](const auto& entry) -> const std::string& { return entry.first; });
  if (it != idle_.end()) {
    auto [key, statement] = std::move(*it);
    idle_.erase(it);
    return {*this, std::move(lock), statement, std::move(key)};
  }
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement,
                         nullptr) != SQLITE_OK)
    fail_now(sql);
  return {*this, std::move(lock), statement, std::string(sql)};
}

void Database::script(const std::string& sql) {
  const auto held = lock();
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail_now("a script");
}

int64_t Database::last_rowid() const { return sqlite3_last_insert_rowid(handle_); }
int64_t Database::changes() const { return sqlite3_changes64(handle_); }

void Database::fail_now(std::string_view what) const {
  const int rc = sqlite3_extended_errcode(handle_);
  const std::string words = sqlite3_errmsg(handle_);
  switch (rc & 0xff) {
    case SQLITE_FULL:
      refuse("store.disk_full", fmt::format("{} cannot grow: the disk is full", file_.string()),
             "free space on that disk");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      refuse("store.busy", fmt::format("{} is being written by another program", file_.string()),
             "end the other server that uses this home");
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      refuse("store.not_a_database", fmt::format("{} is damaged, or not Watra's: {}", file_.string(), words),
             "move it away and put a backup in its place");
    default:
      refuse("store.write_failed", fmt::format("{}: {} ({})", file_.string(), words, what));
  }
}

void Database::after_commit(std::function<void()> call) {
  {
    const auto held = lock();
    if (depth_ > 0) {
      after_commit_.push_back(std::move(call));
      return;
    }
  }
  call();
}

void Database::forget_log() { script("PRAGMA wal_checkpoint(TRUNCATE);"); }

Transaction::Transaction(Database& db) : db_(db), lock_(db.mutex_) {
  if (db_.depth_ == 0) {
    if (fault::hit("db.begin")) refuse("store.write_failed", "the beginning of a transaction was made to fail");
    db_.script("BEGIN IMMEDIATE");
    db_.doomed_ = false;
  }
  ++db_.depth_;
}

Transaction::~Transaction() {
  if (!open_) return;
  db_.doomed_ = true;
  if (--db_.depth_ > 0) return;
  db_.after_commit_.clear();
  sqlite3_exec(db_.handle_, "ROLLBACK", nullptr, nullptr, nullptr);  // it may have rolled back by itself
}

void Transaction::commit() {
  if (db_.doomed_) refuse("store.write_failed", "a part of this transaction was given up");
  if (db_.depth_ == 1) {
    if (fault::hit("db.commit")) refuse("store.write_failed", "a commit was made to fail");
    db_.script("COMMIT");
  }
  open_ = false;
  if (--db_.depth_ > 0) return;
  const auto calls = std::exchange(db_.after_commit_, {});
  lock_.unlock();
  for (const auto& call : calls) call();
}

}  // namespace watra::home
