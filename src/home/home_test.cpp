// Two servers on one home: what one has under way is never tidied away by another.
#include "home/home.h"

#include <fstream>

#include "base/must_test.h"
#include "base/passing_file.h"
#include "home/test_home_test.h"

namespace watra::home {
namespace {

TEST(Home, AnUploadOfAnotherServerStays) {
  std::optional<TestHome> first(std::in_place);
  const fs::path folder = first->folder;
  const auto second = must(Home::open(folder));
  must(second->recover());
  PassingFile upload = must(PassingFile::create(second->passing_folder()));
  must(upload.file().append("half of it"));
  first->home.reset();  // the one that closes what a crash left open has ended; another takes its place
  const auto third = must(Home::open(folder));
  must(third->recover());
  EXPECT_EQ(must(read_text_file(upload.path())), "half of it");
  EXPECT_NE(third->passing_folder(), second->passing_folder());
}

TEST(Home, WhatACrashLeftIsTidiedAway) {
  TestHome home;
  const fs::path left = home.folder / "passing" / "1-0";
  must(make_folders(left));
  must(write_file_atomic(left / "1-1", "half of it"));
  const fs::path attachment = home.folder / "attachments" / "0a1b.watra-part";
  must(make_folders(attachment.parent_path()));
  std::ofstream(attachment) << "half of it";
  home.reopen();
  EXPECT_FALSE(fs::exists(left));
  EXPECT_FALSE(fs::exists(attachment));
  EXPECT_TRUE(fs::exists(home->passing_folder()));
}

}  // namespace
}  // namespace watra::home
