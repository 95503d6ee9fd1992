#include "base/file.h"

#include <gtest/gtest.h>

#include "base/fault.h"

namespace watra {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("watra-file-test-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  size_t n_files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

std::span<const std::byte> bytes(std::string_view s) { return std::as_bytes(std::span(s.data(), s.size())); }

TEST_F(FileTest, ReadsAndWritesAtPositions) {
  auto f = File::open(folder_ / "a", File::Mode::create);
  ASSERT_TRUE(f);
  ASSERT_TRUE(f->append("hello "));
  ASSERT_TRUE(f->append("world"));
  ASSERT_TRUE(f->write_at(0, bytes("J")));
  EXPECT_EQ(f->size_bytes().value(), 11u);
  char out[5];
  ASSERT_TRUE(f->read_at(6, std::as_writable_bytes(std::span(out))));
  EXPECT_EQ(std::string_view(out, 5), "world");
  EXPECT_EQ(read_text_file(folder_ / "a").value(), "Jello world");
}

TEST_F(FileTest, AShortFileIsAnErrorWithBothNumbers) {
  ASSERT_TRUE(write_file_atomic(folder_ / "a", "abc"));
  auto f = File::open(folder_ / "a", File::Mode::read);
  ASSERT_TRUE(f);
  std::byte out[10];
  const Status s = f->read_at(1, out);
  ASSERT_FALSE(s);
  EXPECT_EQ(s.error().code, "file.short_read");
  EXPECT_NE(s.error().message.find("10 bytes"), std::string::npos);
  EXPECT_NE(s.error().message.find("2 there"), std::string::npos);
}

TEST_F(FileTest, MissingExistingAndFoldersAreToldApart) {
  EXPECT_EQ(File::open(folder_ / "none", File::Mode::read).error().code, "file.not_found");
  ASSERT_TRUE(write_file_atomic(folder_ / "a", "x"));
  EXPECT_EQ(File::open(folder_ / "a", File::Mode::create).error().code, "file.exists");
  EXPECT_EQ(File::open(folder_, File::Mode::read).error().code, "file.is_folder");
  EXPECT_EQ(read_text_file(folder_ / "a", 0).error().code, "file.too_large");
}

TEST_F(FileTest, AtomicWritesLeaveTheOldFileOrTheNewOne) {
  const fs::path path = folder_ / "a";
  ASSERT_TRUE(write_file_atomic(path, "old"));
  bool passed = false;
  for (uint64_t nth = 0; !passed; ++nth) {
    ASSERT_LT(nth, 50u);
    fault::Arm arm("file.", nth);
    passed = static_cast<bool>(write_file_atomic(path, "new"));
    EXPECT_EQ(passed, !arm.fired());
    if (!passed) {
      EXPECT_EQ(n_files(), 1u) << "a part file was left behind by the fault at passage " << nth;
    }
  }
  EXPECT_EQ(read_text_file(path).value(), "new");
  EXPECT_EQ(n_files(), 1u);
}

}  // namespace
}  // namespace watra
