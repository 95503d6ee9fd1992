#include "base/passing_file.h"

#include <gtest/gtest.h>

#include "base/folder.h"

namespace watra {
namespace {

TEST(PassingFile, GoesWithItsHolder) {
  const fs::path folder = fs::temp_directory_path() / ("watra-passing-" + name_of_our_own());
  fs::path path;
  {
    PassingFile first = *PassingFile::create(folder);
    path = first.path();
    EXPECT_EQ(fs::status(folder).permissions() & fs::perms::all, fs::perms::owner_all);
    ASSERT_TRUE(first.file().append("words"));
    EXPECT_EQ(*read_text_file(path), "words");
    const PassingFile second = *PassingFile::create(folder);
    EXPECT_NE(second.path(), path);
    const PassingFile moved = std::move(first);
    EXPECT_EQ(moved.path(), path);
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(fs::is_empty(folder));
  fs::remove_all(folder);
}

TEST(PassingFile, NeedsAPlace) { EXPECT_FALSE(PassingFile::create("/proc/none")); }

}  // namespace
}  // namespace watra
