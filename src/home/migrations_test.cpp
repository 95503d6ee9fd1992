#include "home/migrations.h"

#include <map>

#include "home/test_home_test.h"

namespace watra::home {
namespace {

std::map<std::string, std::string> shape(Database& db) {
  std::map<std::string, std::string> out;
  Statement s = db.query("SELECT name, coalesce(sql, '') FROM sqlite_schema");
  while (s.step()) out[s.text(0)] = s.text(1);
  return out;
}

struct File {
  fs::path folder = fs::temp_directory_path() / make_id("watra-migrate-");
  File() { fs::create_directories(folder); }
  ~File() { fs::remove_all(folder); }
  std::unique_ptr<Database> open() { return std::move(*Database::open(folder / "home.db")); }
};

TEST(Migrations, FromEveryEarlierVersionToTheNewest) {
  File whole;
  auto fresh = whole.open();
  ASSERT_TRUE(migrate(*fresh));
  for (int from = 1; from < newest_version(); ++from) {
    File file;
    auto db = file.open();
    ASSERT_TRUE(migrate(*db, from));
    db->run(
        "INSERT INTO log(id, at_ms, tz, kind, actor_kind, content, source) VALUES('m_1', 1, '+00:00', 'message', "
        "'person', '{}', 'page')");
    db->run("INSERT INTO settings VALUES('look.theme', '\"papier\"')");
    ASSERT_TRUE(migrate(*db)) << from;
    EXPECT_EQ(shape(*db), shape(*fresh)) << from;
    Statement kept = db->query("SELECT (SELECT id FROM log), (SELECT value FROM settings)");
    ASSERT_TRUE(kept.step());
    EXPECT_EQ(kept.text(0), "m_1");
    EXPECT_EQ(kept.text(1), "\"papier\"");
  }
}

TEST(Migrations, TwiceChangesNothing) {
  File file;
  auto db = file.open();
  ASSERT_TRUE(migrate(*db));
  const auto before = shape(*db);
  ASSERT_TRUE(migrate(*db));
  EXPECT_EQ(shape(*db), before);
}

TEST(Migrations, ALaterFileIsLeftAlone) {
  File file;
  auto db = file.open();
  db->script("PRAGMA user_version = 9999");
  const auto done = migrate(*db);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, "store.newer");
  EXPECT_TRUE(shape(*db).empty());
}

TEST(Migrations, TheLogIsOnlyAddedTo) {
  TestHome home;
  Database& db = home->db();
  db.run(
      "INSERT INTO log(id, at_ms, tz, kind, actor_kind, content, source) VALUES('m_1', 1, '+00:00', 'message', "
      "'person', '{}', 'page')");
  EXPECT_FALSE(guarded([&] { db.run("UPDATE log SET content = 'other'"); }));
  EXPECT_FALSE(guarded([&] { db.run("UPDATE log SET at_ms = 2"); }));
  EXPECT_FALSE(guarded([&] { db.run("DELETE FROM log"); }));
  EXPECT_TRUE(guarded([&] { db.run("UPDATE log SET content = NULL, erased_at = 5"); }));
}

}  // namespace
}  // namespace watra::home
