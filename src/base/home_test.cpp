#include "base/home.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

namespace watra {
namespace {

class HomeTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : kNames) {
      const char* value = std::getenv(name);
      saved_.push_back(value ? std::optional<std::string>(value) : std::nullopt);
      unsetenv(name);
    }
  }
  void TearDown() override {
    for (size_t i = 0; i < saved_.size(); ++i) {
      if (saved_[i])
        setenv(kNames[i], saved_[i]->c_str(), 1);
      else
        unsetenv(kNames[i]);
    }
  }

 private:
  static constexpr const char* kNames[] = {"WATRA_HOME", "XDG_DATA_HOME", "HOME"};
  std::vector<std::optional<std::string>> saved_;
};

TEST_F(HomeTest, TheOptionComesFirstThenOwnThenXdgThenUser) {
  setenv("HOME", "/u", 1);
  EXPECT_EQ(home_folder().value(), "/u/.local/share/watra");
  setenv("XDG_DATA_HOME", "/x", 1);
  EXPECT_EQ(home_folder().value(), "/x/watra");
  setenv("WATRA_HOME", "/w/", 1);
  EXPECT_EQ(home_folder().value(), "/w/");
  EXPECT_EQ(home_folder("/o/../p").value(), "/p");
}

TEST_F(HomeTest, ARelativeXdgFolderIsIgnoredAndNothingAtAllIsAnError) {
  setenv("XDG_DATA_HOME", "relative", 1);
  const auto none = home_folder();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, "home.unknown");
  setenv("HOME", "/u", 1);
  EXPECT_EQ(home_folder().value(), "/u/.local/share/watra");
}

TEST_F(HomeTest, ARelativeOptionMeansTheWorkingFolder) {
  EXPECT_EQ(home_folder("sub").value(), fs::current_path() / "sub");
}

}  // namespace
}  // namespace watra
