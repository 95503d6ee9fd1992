#include "home/database.h"

#include <thread>

#include "base/fault.h"
#include "home/test_home_test.h"

namespace watra::home {
namespace {

int64_t count(Database& db, const char* table) {
  Statement s = db.query(std::string("SELECT count(*) FROM ") + table);
  s.step();
  return s.integer(0);
}

TEST(Database, IsPrivateAndInWal) {
  TestHome home;
  const auto rights = fs::status(home.folder / "home.db").permissions();
  EXPECT_EQ(rights & (fs::perms::group_all | fs::perms::others_all), fs::perms::none);
  Statement s = home->db().query("PRAGMA journal_mode");
  ASSERT_TRUE(s.step());
  EXPECT_EQ(s.text(0), "wal");
}

TEST(Database, ValuesComeBackAsTheyWere) {
  TestHome home;
  Database& db = home->db();
  db.script("CREATE TABLE t(a, b, c, d)");
  const std::string zero("a\0b", 3);
  db.run("INSERT INTO t VALUES(?,?,?,?)", int64_t{1} << 62, 0.1, zero, std::optional<std::string>());
  db.run("INSERT INTO t VALUES(?,?,?,?)", true, nullptr, Json{{"ł", 1}}, std::string_view());
  Statement s = db.query("SELECT a, b, c, d FROM t");
  ASSERT_TRUE(s.step());
  EXPECT_EQ(s.integer(0), int64_t{1} << 62);
  EXPECT_EQ(s.real(1), 0.1);
  EXPECT_EQ(s.text(2), zero);
  EXPECT_FALSE(s.maybe_text(3));
  ASSERT_TRUE(s.step());
  EXPECT_TRUE(s.boolean(0));
  EXPECT_TRUE(s.is_null(1));
  EXPECT_EQ(s.json(2), (Json{{"ł", 1}}));
  EXPECT_EQ(s.maybe_text(3), "");
  EXPECT_FALSE(s.step());
}

TEST(Database, TransactionHappensWhollyOrNotAtAll) {
  TestHome home;
  Database& db = home->db();
  db.script("CREATE TABLE t(a)");
  int called = 0;
  {
    Transaction t(db);
    db.run("INSERT INTO t VALUES(1)");
    db.after_commit([&] { ++called; });
  }
  EXPECT_EQ(count(db, "t"), 0);
  EXPECT_EQ(called, 0);
  {
    Transaction outer(db);
    db.run("INSERT INTO t VALUES(1)");
    {
      Transaction inner(db);
      db.run("INSERT INTO t VALUES(2)");
      db.after_commit([&] { ++called; });
      inner.commit();
    }
    EXPECT_EQ(called, 0);
    outer.commit();
  }
  EXPECT_EQ(count(db, "t"), 2);
  EXPECT_EQ(called, 1);
  const auto doomed = guarded([&] {
    Transaction outer(db);
    db.run("INSERT INTO t VALUES(3)");
    { const Transaction inner(db); }
    outer.commit();
  });
  EXPECT_FALSE(doomed);
  EXPECT_EQ(count(db, "t"), 2);
}

TEST(Database, EveryStepMayFail) {
  TestHome home;
  Database& db = home->db();
  db.script("CREATE TABLE t(a)");
  const auto work = [&] {
    return guarded([&] {
      Transaction t(db);
      for (int i = 0; i < 3; ++i) db.run("INSERT INTO t VALUES(?)", i);
      t.commit();
    });
  };
  for (uint64_t nth = 0;; ++nth) {
    const fault::Arm arm("db.", nth);
    const auto done = work();
    if (!arm.fired()) {
      ASSERT_TRUE(done) << done.error().message;
      EXPECT_EQ(nth, 5u);  // begin, three steps, commit
      break;
    }
    EXPECT_FALSE(done);
    EXPECT_EQ(done.error().code, "store.write_failed");
  }
  EXPECT_EQ(count(db, "t"), 3);
}

TEST(Database, ThreadsTakeTurns) {
  TestHome home;
  Database& db = home->db();
  db.script("CREATE TABLE t(a INTEGER); INSERT INTO t VALUES(0)");
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w)
    writers.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        Transaction t(db);
        int64_t a = 0;
        {
          Statement s = db.query("SELECT a FROM t");
          s.step();
          a = s.integer(0);
        }
        db.run("UPDATE t SET a = ?", a + 1);
        t.commit();
      }
    });
  for (auto& w : writers) w.join();
  Statement s = db.query("SELECT a FROM t");
  s.step();
  EXPECT_EQ(s.integer(0), 200);
}

TEST(Database, TwoProcessesLoseNothing) {  // two connections stand for them
  TestHome home;
  auto second = Database::open(home.folder / "home.db");
  ASSERT_TRUE(second);
  home->db().script("CREATE TABLE t(a)");
  const auto write = [](Database& db) {
    for (int i = 0; i < 50; ++i) {
      Transaction t(db);
      db.run("INSERT INTO t VALUES(?)", i);
      t.commit();
    }
  };
  std::thread other([&] { write(**second); });
  write(home->db());
  other.join();
  EXPECT_EQ(count(home->db(), "t"), 100);
}

TEST(Database, TellsWhatIsNotADatabase) {
  TestHome home;
  const fs::path file = home.folder / "other.db";
  ASSERT_TRUE(write_file_atomic(file, std::string(4096, 'x')));
  const auto opened = Database::open(file);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, "store.not_a_database");
}

}  // namespace
}  // namespace watra::home
