#include "base/folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/fault.h"

namespace watra {
namespace {

class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("watra-folder-test-" + std::to_string(::getpid()));
    ASSERT_TRUE(make_private_folder(folder_ / "kv"));
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(FolderTest, ListsFilesHereAndOneLevelBelow) {
  ASSERT_TRUE(write_file_atomic(folder_ / "a", "xyz"));
  ASSERT_TRUE(write_file_atomic(folder_ / "kv" / "b", "x"));
  fs::create_directories(folder_ / "kv" / "deep");
  ASSERT_TRUE(write_file_atomic(folder_ / "kv" / "deep" / "c", "x"));
  auto files = list_files(folder_);
  ASSERT_TRUE(files);
  std::ranges::sort(*files, {}, &FolderEntry::path);
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].path, folder_ / "a");
  EXPECT_EQ((*files)[0].size_bytes, 3u);
  EXPECT_NEAR(static_cast<double>((*files)[0].modified_ns), static_cast<double>(now_ns()), 60e9);
  EXPECT_EQ((*files)[1].path, folder_ / "kv" / "b");
}

TEST_F(FolderTest, AMissingFolderIsEmptyAndAFileIsNoFolder) {
  EXPECT_TRUE(list_files(folder_ / "none").value().empty());
  ASSERT_TRUE(write_file_atomic(folder_ / "a", "x"));
  EXPECT_EQ(list_files(folder_ / "a").error().code, "file.io");
}

TEST_F(FolderTest, RenamesReplaceAndRemovingTwiceIsNoError) {
  ASSERT_TRUE(write_file_atomic(folder_ / "a", "new"));
  ASSERT_TRUE(write_file_atomic(folder_ / "b", "old"));
  {
    const fault::Arm arm("file.rename", 0);
    EXPECT_FALSE(rename_over(folder_ / "a", folder_ / "b"));
  }
  EXPECT_EQ(read_text_file(folder_ / "b").value(), "old");
  ASSERT_TRUE(rename_over(folder_ / "a", folder_ / "b"));
  EXPECT_EQ(read_text_file(folder_ / "b").value(), "new");
  EXPECT_TRUE(remove_file(folder_ / "b"));
  EXPECT_TRUE(remove_file(folder_ / "b"));
}

TEST_F(FolderTest, TimesAreSetToTheNanosecondAndPrivateMeansPrivate) {
  ASSERT_TRUE(write_file_atomic(folder_ / "a", "x"));
  EXPECT_TRUE(set_modified(folder_ / "a", 1'700'000'000'123'456'789));
  EXPECT_EQ(list_files(folder_).value().at(0).modified_ns, 1'700'000'000'123'456'789);
  EXPECT_FALSE(set_modified(folder_ / "none", 1));
  struct stat st {};
  ASSERT_EQ(::stat((folder_ / "kv").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777u, 0700u);
}

}  // namespace
}  // namespace watra
