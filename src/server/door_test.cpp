#include "server/door.h"

#include <gtest/gtest.h>

namespace watra::server {
namespace {

class DoorTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() / ("watra_door_" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  DoorOptions options() const { return {.token_file = folder_ / "home" / "token"}; }
  fs::path folder_;
};

TEST_F(DoorTest, MakesATokenOnceAndKeepsItForTheOwner) {
  ASSERT_TRUE(Door::create(options()));
  const auto first = read_or_make_token(options().token_file);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->size(), 64u);
  EXPECT_EQ(fs::status(options().token_file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(*read_or_make_token(options().token_file), *first);
}

TEST_F(DoorTest, EachOfSeveralKeysOpensIt) {
  auto o = options();
  o.token = "one";
  o.more_tokens = {"two", "three"};
  const auto door = Door::create(o);
  ASSERT_TRUE(door);
  for (const char* key : {"one", "two", "three"}) {
    EXPECT_TRUE(door->knows_token(std::string("Bearer ") + key, "")) << key;
    EXPECT_TRUE(door->knows_token("", key)) << key;
  }
  for (const char* wrong : {"", "four", "one,two", "tw", "twoo"}) EXPECT_FALSE(door->knows_token("", wrong)) << wrong;
}

// llama-server has no page: its key is the door, and without one nobody outside is let in.
TEST_F(DoorTest, AKeyAloneOpensTheDoorWhereThereIsNoPage) {
  auto o = options();
  o.host = "0.0.0.0";
  o.key_alone = true;
  o.no_auth = true;
  EXPECT_EQ(Door::create(o).error().code, "server.lan_needs_key");
  o.no_auth = false;
  EXPECT_EQ(Door::create(o).error().code, "server.lan_needs_key") << "a key of the file is not one that was given";
  o.token = "a key";
  const auto door = Door::create(o);
  ASSERT_TRUE(door);
  EXPECT_TRUE(door->is_lan());
  EXPECT_TRUE(door->knows_token("", "a key"));
  EXPECT_FALSE(door->knows_token("", ""));
  o.key_alone = false;
  EXPECT_EQ(Door::create(o).error().code, "server.lan_needs_password");
}

TEST_F(DoorTest, RefusesATokenFileThatIsEmpty) {
  fs::create_directories(folder_);
  ASSERT_TRUE(write_file_atomic(folder_ / "token", "\n"));
  EXPECT_EQ(read_or_make_token(folder_ / "token").error().code, "server.bad_token_file");
}

TEST_F(DoorTest, EitherHeaderCarriesTheToken) {
  auto o = options();
  o.token = "0123456789abcdef0123";
  const auto door = Door::create(o);
  ASSERT_TRUE(door);
  EXPECT_TRUE(door->knows_token("Bearer 0123456789abcdef0123", ""));
  EXPECT_TRUE(door->knows_token("bearer  0123456789abcdef0123 ", ""));
  EXPECT_TRUE(door->knows_token("", "0123456789abcdef0123"));
  EXPECT_FALSE(door->knows_token("", ""));
  EXPECT_FALSE(door->knows_token("Bearer ", ""));
  EXPECT_FALSE(door->knows_token("Basic 0123456789abcdef0123", ""));
  EXPECT_FALSE(door->knows_token("Bearer 0123456789abcdef012", "x"));
}

TEST_F(DoorTest, AnswersToItsOwnNamesAlone) {
  auto o = options();
  o.allow_hosts = {"izba.local"};
  const auto door = Door::create(o);
  ASSERT_TRUE(door);
  for (const char* host : {"127.0.0.1", "127.0.0.1:8686", "localhost:1", "LOCALHOST", "[::1]:80", "izba.local:8686"})
    EXPECT_TRUE(door->knows_host(host)) << host;
  for (const char* host : {"", "evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "localhost:80:90",
                           "localhost:x", "[::1", "0.0.0.0", "192.168.0.2", "::1"})
    EXPECT_FALSE(door->knows_host(host)) << host;
}

TEST_F(DoorTest, TheDoorStaysOnThisMachineWithoutAPassword) {
  auto o = options();
  o.lan = true;
  EXPECT_EQ(Door::create(o).error().code, "server.lan_needs_password");
  o = options();
  o.host = "0.0.0.0";
  EXPECT_EQ(Door::create(o).error().code, "server.lan_needs_password");
  o.no_auth = true;
  EXPECT_EQ(Door::create(o).error().code, "server.not_loopback");
}

TEST_F(DoorTest, OriginsAreExact) {
  auto o = options();
  o.cors_origins = {"http://localhost:3000"};
  const auto door = Door::create(o);
  ASSERT_TRUE(door);
  EXPECT_TRUE(door->knows_origin("http://localhost:3000"));
  EXPECT_FALSE(door->knows_origin("http://localhost:3001"));
  EXPECT_FALSE(door->knows_origin("null"));
  for (const char* bad : {"*", "localhost:3000", "http://localhost:3000/", "https://*.example"}) {
    o.cors_origins = {bad};
    EXPECT_EQ(Door::create(o).error().code, "server.bad_origin") << bad;
  }
}

TEST_F(DoorTest, TheAddressThatWasReachedIsANameToo) {
  const auto door = Door::create(options());
  ASSERT_TRUE(door);
  EXPECT_TRUE(door->knows_host("192.168.1.7:8686", "192.168.1.7"));
  EXPECT_TRUE(door->knows_host("[2001:db8::7]:8686", "2001:db8::7"));
  EXPECT_FALSE(door->knows_host("192.168.1.8:8686", "192.168.1.7"));
  EXPECT_FALSE(door->knows_host("", ""));
}

TEST_F(DoorTest, ALanNeedsAPassword) {
  auto o = options();
  o.lan = true;
  EXPECT_EQ(Door::create(o).error().code, "server.lan_needs_password");
  o.has_password = true;
  const auto door = Door::create(o);
  ASSERT_TRUE(door);
  EXPECT_TRUE(door->is_lan());
}

TEST_F(DoorTest, WhereARequestComesFrom) {
  auto o = options();
  const auto door = Door::create(o);
  o.tls = true;
  const auto tls = Door::create(o);
  ASSERT_TRUE(door && tls);
  constexpr const char* kHost = "127.0.0.1:8686";
  EXPECT_EQ(door->where_from(kHost, "http://127.0.0.1:8686", "same-origin", ""), Witness::own_page);
  EXPECT_EQ(door->where_from(kHost, "http://127.0.0.1:8686", "", ""), Witness::own_page);
  EXPECT_EQ(door->where_from(kHost, "", "same-origin", ""), Witness::own_page);
  EXPECT_EQ(door->where_from(kHost, "", "", "http://127.0.0.1:8686/"), Witness::own_page);
  EXPECT_EQ(door->where_from("IZBA.local", "http://izba.local", "", ""), Witness::own_page);
  EXPECT_EQ(tls->where_from(kHost, "https://127.0.0.1:8686", "", ""), Witness::own_page);
  EXPECT_EQ(door->where_from(kHost, "", "", ""), Witness::nothing);
  for (const char* origin : {"null", "http://127.0.0.1", "http://127.0.0.1:86860", "https://127.0.0.1:8686",
                             "http://localhost:8686", "http://127.0.0.1:8686/"})
    EXPECT_EQ(door->where_from(kHost, origin, "", ""), Witness::elsewhere) << origin;
  for (const char* site : {"none", "same-site", "cross-site"}) {
    EXPECT_EQ(door->where_from(kHost, "", site, "http://127.0.0.1:8686/"), Witness::elsewhere) << site;
    EXPECT_EQ(door->where_from(kHost, "http://127.0.0.1:8686", site, ""), Witness::elsewhere) << site;
  }
  EXPECT_EQ(door->where_from(kHost, "", "", "http://127.0.0.1:86861/"), Witness::elsewhere);
  EXPECT_EQ(door->where_from(kHost, "", "", "http://127.0.0.1:8686.evil.example/"), Witness::elsewhere);
}

}  // namespace
}  // namespace watra::server
