// Database: home.db, a thin owner of one SQLite connection; SQL is written in home/ alone.
//
// WAL, every commit synced: what was told to anybody survives kill -9 and a power cut. Foreign keys on, deleted pages
// overwritten. One connection for the process, used by one thread at a time: a Statement or Transaction holds the
// connection's lock (recursive) while it lives, so any thread may call, and a second process waits up to the busy
// timeout.
//
// Statements throw Failure (failure.h); functions other modules call are wrapped in guarded(). Fault points:
// "db.begin", "db.step", "db.commit".
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "home/failure.h"
#include "home/json.h"

struct sqlite3;
struct sqlite3_stmt;

namespace watra::home {

class Database;

// One statement with its values bound; columns are read after step() has said that there is a row.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement(const Statement&) = delete;
  ~Statement();

  bool step();  // true = a row
  int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;  // NULL is ""
  bool is_null(int column) const;
  bool boolean(int column) const { return integer(column) != 0; }
  std::optional<std::string> maybe_text(int column) const;
  std::optional<int64_t> maybe_integer(int column) const;
  Json json(int column) const;  // NULL is null

  // Where how many values there are is known only when it runs (else query() binds them); index from 1.
  void bind(int index, std::nullptr_t);
  void bind(int index, int64_t value);
  void bind(int index, double value);
  void bind(int index, std::string_view value);
  void bind(int index, int value) { bind(index, static_cast<int64_t>(value)); }
  void bind(int index, uint64_t value) { bind(index, static_cast<int64_t>(value)); }
  void bind(int index, bool value) { bind(index, static_cast<int64_t>(value)); }
  void bind(int index, const std::string& value) { bind(index, std::string_view(value)); }
  void bind(int index, const char* value) { bind(index, std::string_view(value)); }
  void bind(int index, const Json& value);
  template <class T>
  void bind(int index, const std::optional<T>& value) {
    value ? bind(index, *value) : bind(index, nullptr);
  }

 private:
  friend class Database;
  Statement(Database& db, std::unique_lock<std::recursive_mutex> lock, sqlite3_stmt* statement, std::string key);

  Database* db_;
  std::unique_lock<std::recursive_mutex> lock_;
  sqlite3_stmt* statement_;
  std::string key_;  // the SQL
};

class Database {
 public:
  // Opens or makes the file (mode 0600). Errors: "store.cannot_open", "store.not_a_database".
  static Result<std::unique_ptr<Database>> open(const fs::path& file);
  ~Database();
  Database(const Database&) = delete;

  const fs::path& file() const { return file_; }

  // A statement with values for its ?s.
  template <class... Values>
  Statement query(std::string_view sql, const Values&... values) {
    Statement s = prepare(sql);
    int index = 0;
    (s.bind(++index, values), ...);
    return s;
  }
  // Runs it to its end; the number of rows it changed.
  template <class... Values>
  int64_t run(std::string_view sql, const Values&... values) {
    Statement s = query(sql, values...);
    while (s.step()) {
    }
    return changes();
  }
  void script(const std::string& sql);  // several statements without values
  int64_t last_rowid() const;

  // Several reads that must see the same state hold this.
  std::unique_lock<std::recursive_mutex> lock() { return std::unique_lock(mutex_); }

  // Called once, without the lock, when the transaction that is open now has been committed; dropped when it is not.
  // Without a transaction: at once.
  void after_commit(std::function<void()> call);

  // Deleted words leave the files: the log of changes is folded in and cut.
  void forget_log();

 private:
  friend class Statement;
  friend class Transaction;
  Database(sqlite3* handle, fs::path file) : handle_(handle), file_(std::move(file)) {}
  Statement prepare(std::string_view sql);
  int64_t changes() const;
  [[noreturn]] void fail_now(std::string_view what) const;

  sqlite3* handle_;
  fs::path file_;
  std::recursive_mutex mutex_;
  std::vector<std::pair<std::string, sqlite3_stmt*>> idle_;  // prepared, most recently used last
  int depth_ = 0;                                            // of transactions
  bool doomed_ = false;                                      // an inner one was given up
  std::vector<std::function<void()>> after_commit_;
};

// Everything until commit() happens wholly or not at all. Inner transactions join the outer one; when an inner one is
// given up the outer one cannot be committed.
class Transaction {
 public:
  explicit Transaction(Database& db);
  ~Transaction();  // rolls back unless committed
  Transaction(const Transaction&) = delete;
  void commit();

 private:
  Database& db_;
  std::unique_lock<std::recursive_mutex> lock_;
  bool open_ = true;
};

}  // namespace watra::home
