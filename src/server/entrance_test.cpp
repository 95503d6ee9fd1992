// Codes, tries, cookies.
#include "server/entrance.h"

#include <gtest/gtest.h>

#include "home/migrations.h"

namespace watra::server {
namespace {

class EntranceTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("watra_entrance_" + home::random_secret());
    fs::create_directories(folder_);
    db_ = std::move(*home::Database::open(folder_ / "home.db"));
    ASSERT_TRUE(home::migrate(*db_));
    people_ = std::make_unique<home::People>(*db_);
    entrance_ = std::make_unique<Entrance>(*people_, Entrance::Options{.now = [this] { return now_; }});
    entrance_->set_port(8686);
  }
  void TearDown() override {
    db_.reset();
    fs::remove_all(folder_);
  }
  fs::path folder_;
  std::unique_ptr<home::Database> db_;
  std::unique_ptr<home::People> people_;
  std::unique_ptr<Entrance> entrance_;
  Entrance::Clock::time_point now_{};
};

TEST_F(EntranceTest, ACodeIsGoodOnceAndForAMinute) {
  const std::string a = entrance_->make_code(), b = entrance_->make_code();
  EXPECT_FALSE(entrance_->take_code(""));
  EXPECT_FALSE(entrance_->take_code("guess"));
  now_ += std::chrono::seconds(59);
  EXPECT_TRUE(entrance_->take_code(a));
  EXPECT_FALSE(entrance_->take_code(a));
  now_ += std::chrono::seconds(1);
  EXPECT_FALSE(entrance_->take_code(b));
}

TEST_F(EntranceTest, FiveTriesAMinute) {
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(entrance_->count_try("10.0.0.1")) << i;
  now_ += std::chrono::seconds(20);
  EXPECT_EQ(entrance_->count_try("10.0.0.1"), 40);
  EXPECT_FALSE(entrance_->count_try("10.0.0.2"));  // another machine waits for nobody
  now_ += std::chrono::seconds(40);
  EXPECT_FALSE(entrance_->count_try("10.0.0.1"));
  entrance_->forget_tries("10.0.0.1");
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(entrance_->count_try("10.0.0.1")) << i;
}

TEST_F(EntranceTest, ManyMachinesTogetherHaveNotManyTries) {
  int n_allowed = 0;
  for (int i = 0; i < 100; ++i) n_allowed += !entrance_->count_try("10.0.1." + std::to_string(i));
  EXPECT_EQ(n_allowed, 30);
}

TEST_F(EntranceTest, TheCookieIsOfThisPortAlone) {
  const auto begun = *people_->begin_session("test");
  const std::string& id = begun.session.id;
  EXPECT_EQ(entrance_->session_of("watra_8686=" + begun.secret), id);
  EXPECT_EQ(entrance_->session_of("a=b; watra_1=x; watra_8686=" + begun.secret + "; c=d"), id);
  EXPECT_EQ(entrance_->session_of("watra_8686=x; watra_8686=" + begun.secret), id);  // a neighbour's does not hide ours
  for (const std::string& cookies :
       {std::string(), "watra_8687=" + begun.secret, "watra_8686=" + id, std::string("watra_8686="), begun.secret})
    EXPECT_EQ(entrance_->session_of(cookies), "") << cookies;
  const std::string line = entrance_->set_cookie(begun.secret);
  for (const char* part : {"watra_8686=", "; HttpOnly", "; SameSite=Strict", "; Path=/watra/v1"})
    EXPECT_NE(line.find(part), std::string::npos) << part;
  EXPECT_NE(entrance_->set_cookie("").find("Max-Age=0"), std::string::npos);
}

}  // namespace
}  // namespace watra::server
