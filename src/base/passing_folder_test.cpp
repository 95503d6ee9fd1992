#include "base/passing_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/folder.h"
#include "base/must_test.h"
#include "base/passing_file.h"

namespace watra {
namespace {

class PassingFolderTest : public ::testing::Test {
 protected:
  ~PassingFolderTest() override { fs::remove_all(parent_); }
  const fs::path parent_ = fs::temp_directory_path() / ("watra-passing-" + name_of_our_own());
};

TEST_F(PassingFolderTest, WhatIsInUseStaysWhoeverComes) {
  std::optional<PassingFolder> first = must(PassingFolder::claim(parent_));
  const PassingFolder second = must(PassingFolder::claim(parent_));
  const PassingFile upload = must(PassingFile::create(second.path()));
  EXPECT_NE(first->path(), second.path());
  first.reset();
  const PassingFolder third = must(PassingFolder::claim(parent_));
  EXPECT_TRUE(fs::exists(upload.path()));
  EXPECT_TRUE(fs::exists(third.path()));
}

TEST_F(PassingFolderTest, WhatACrashLeftIsRemoved) {
  must(make_folders(parent_ / "77-0"));
  must(write_file_atomic(parent_ / "77-0" / "77-1", "half of it"));
  must(write_file_atomic(parent_ / "77-0.lock", ""));
  must(write_file_atomic(parent_ / "alone", "of a time without folders"));
  const PassingFolder ours = must(PassingFolder::claim(parent_));
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(parent_)) left.push_back(entry.path().filename().string());
  std::ranges::sort(left);
  const std::string name = ours.path().filename().string();
  EXPECT_EQ(left, (std::vector<std::string>{name, name + ".lock"}));
}

TEST_F(PassingFolderTest, LeavesNothing) {
  {
    PassingFolder one = must(PassingFolder::claim(parent_));
    const PassingFolder moved = std::move(one);
    EXPECT_TRUE(fs::exists(moved.path()));
  }
  EXPECT_TRUE(fs::is_empty(parent_));
}

TEST_F(PassingFolderTest, ALockThatIsRemovedIsNoLock) {
  must(make_folders(parent_));
  const fs::path path = parent_ / "one.lock";
  const auto held = must(FileLock::try_take(path));
  ASSERT_TRUE(held);
  EXPECT_FALSE(must(FileLock::try_take(path)));
  fs::remove(path);  // as its holder does at the end
  const auto again = must(FileLock::try_take(path));
  ASSERT_TRUE(again);
  EXPECT_TRUE(fs::exists(path));
  EXPECT_FALSE(must(FileLock::try_take(path)));
}

TEST_F(PassingFolderTest, NeedsAPlace) { EXPECT_FALSE(PassingFolder::claim("/proc/none")); }

}  // namespace
}  // namespace watra
