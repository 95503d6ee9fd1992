// The password and the sessions, as they are kept.
#include "home/people.h"

#include <gtest/gtest.h>

#include "home/migrations.h"

namespace watra::home {
namespace {

class PeopleTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("watra_people_" + make_id_of_test());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    open();
  }
  void TearDown() override {
    db_.reset();
    fs::remove_all(folder_);
  }
  static std::string make_id_of_test() {
    return std::to_string(::testing::UnitTest::GetInstance()->random_seed()) +
           ::testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  void open() {
    db_.reset();
    db_ = std::move(*Database::open(folder_ / "home.db"));
    ASSERT_TRUE(migrate(*db_));
    people_ = std::make_unique<People>(*db_);
  }
  std::string everything_in_the_files() const {
    std::string all;
    for (const auto& entry : fs::directory_iterator(folder_)) all += read_text_file(entry.path()).value_or("");
    return all;
  }
  fs::path folder_;
  std::unique_ptr<Database> db_;
  std::unique_ptr<People> people_;
};

TEST_F(PeopleTest, OnePasswordThatNobodyCanReadBack) {
  EXPECT_FALSE(*people_->has_password());
  EXPECT_FALSE(*people_->is_password(""));
  ASSERT_TRUE(people_->set_password("zażółć gęślą"));
  EXPECT_TRUE(*people_->has_password());
  EXPECT_TRUE(*people_->is_password("zażółć gęślą"));
  EXPECT_TRUE(*people_->is_password("zaz\u0307o\u0301\u0142c\u0301 ge\u0328\u015bla\u0328"));  // marks typed apart
  EXPECT_FALSE(*people_->is_password("zażółć gęślą "));
  EXPECT_FALSE(*people_->is_password(""));
  EXPECT_EQ(everything_in_the_files().find("gęślą"), std::string::npos);
  ASSERT_TRUE(people_->set_password("another one"));
  EXPECT_FALSE(*people_->is_password("zażółć gęślą"));
  open();
  EXPECT_TRUE(*people_->is_password("another one"));
}

TEST_F(PeopleTest, LengthCountsCharacters) {
  EXPECT_EQ(people_->set_password("ąąąąąąą").error().code, "home.bad_password");
  EXPECT_EQ(people_->set_password(std::string(257, 'a')).error().code, "home.bad_password");
  EXPECT_FALSE(*people_->has_password());
  EXPECT_TRUE(people_->set_password("ąąąąąąąą"));
}

TEST_F(PeopleTest, SessionsSurviveRestartsAndEndWhenTold) {
  const auto a = *people_->begin_session("Firefox"), b = *people_->begin_session("Phone");
  EXPECT_NE(a.secret, b.secret);
  open();
  const auto found = *people_->find_session(a.secret);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, a.session.id);
  EXPECT_EQ(found->device, "Firefox");
  EXPECT_EQ(*people_->n_sessions(), 2);
  EXPECT_EQ(everything_in_the_files().find(a.secret), std::string::npos);
  EXPECT_FALSE(*people_->find_session("") || *people_->find_session(a.session.id));
  ASSERT_TRUE(people_->end_session(a.session.id));
  EXPECT_FALSE(*people_->find_session(a.secret));
  EXPECT_TRUE(*people_->find_session(b.secret));
  ASSERT_TRUE(people_->end_all_sessions());
  EXPECT_FALSE(*people_->find_session(b.secret));
}

TEST_F(PeopleTest, ANewPasswordEndsTheOthers) {
  const auto mine = *people_->begin_session("here"), other = *people_->begin_session("elsewhere");
  ASSERT_TRUE(people_->set_password("long enough", mine.session.id));
  EXPECT_TRUE(*people_->find_session(mine.secret));
  EXPECT_FALSE(*people_->find_session(other.secret));
}

TEST_F(PeopleTest, WhatNobodyUsedForNinetyDaysHasEnded) {
  const auto old = *people_->begin_session("old");
  db_->run("UPDATE sessions SET used_ms = used_ms - ?", int64_t{91} * 24 * 3600 * 1000);
  EXPECT_FALSE(*people_->find_session(old.secret));
  EXPECT_EQ(*people_->n_sessions(), 0);
}

TEST_F(PeopleTest, SecretsAreLongAndDiffer) {
  EXPECT_EQ(random_secret().size(), 64u);
  EXPECT_NE(random_secret(), random_secret());
}

}  // namespace
}  // namespace watra::home
