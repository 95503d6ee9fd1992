#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>
#include <vector>

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

TEST_F(FileTest, WhatAKilledWriterLeftIsTakenAwayByTheNext) {
  const fs::path path = folder_ / "a", left = folder_ / "a.watra-part";
  for (int i = 0; i < 50; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0)
      for (const std::string content(1 << 20, 'x');;) (void)write_file_atomic(path, content);
    std::this_thread::sleep_for(std::chrono::microseconds(500 * i));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ASSERT_TRUE(write_file_atomic(path, "whole"));
    ASSERT_EQ(read_text_file(path).value(), "whole");
    ASSERT_EQ(n_files(), 1u) << "after " << i << " kills";
  }
  std::ofstream(left) << "half of i";
  ASSERT_TRUE(write_file_atomic(path, "whole"));
  EXPECT_EQ(n_files(), 1u);
  std::ofstream(left) << "half of i";
  remove_unfinished_writes(folder_);
  remove_unfinished_writes(folder_);
  EXPECT_EQ(n_files(), 1u);
}

TEST_F(FileTest, ALinkInThePlaceOfAnUnfinishedWriteIsNotFollowed) {
  const fs::path elsewhere = folder_ / "elsewhere";
  std::ofstream(elsewhere) << "mine";
  fs::create_symlink(elsewhere, folder_ / "a.watra-part");
  ASSERT_TRUE(write_file_atomic(folder_ / "a", "new"));
  EXPECT_EQ(read_text_file(elsewhere).value(), "mine");
  EXPECT_EQ(n_files(), 2u);
}

TEST_F(FileTest, WritersOfOneFileWaitForEachOther) {
  const fs::path path = folder_ / "a";
  std::vector<std::jthread> writers;
  for (const char letter : {'a', 'b', 'c', 'd'})
    writers.emplace_back([&, letter] {
      for (int i = 0; i < 100; ++i) EXPECT_TRUE(write_file_atomic(path, std::string(10'000, letter)));
    });
  std::jthread tidy([&] {
    for (int i = 0; i < 1000; ++i) remove_unfinished_writes(folder_);
  });
  writers.clear();
  tidy.join();
  const std::string content = read_text_file(path).value();
  EXPECT_EQ(content, std::string(10'000, content.at(0)));
  EXPECT_EQ(n_files(), 1u);
}

}  // namespace
}  // namespace watra
