#include "hub/sha256.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace watra::hub {
namespace {

TEST(Sha256, KnownDigestsInPieces) {
  Sha256 empty;
  EXPECT_EQ(empty.hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 abc;
  for (const char* c : {"a", "b", "c"}) abc.add(std::as_bytes(std::span(c, 1)));
  EXPECT_EQ(abc.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, OfAFileStopsWhenAskedTo) {
  const fs::path path = fs::temp_directory_path() / fmt::format("watra-sha-{}", ::getpid());
  ASSERT_TRUE(write_file_atomic(path, "abc"));
  EXPECT_EQ(sha256_of_file(path, 3, "x", {}).value(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of_file(path, 4, "x", {}).error().code, "file.short_read");
  Watcher watch;
  watch.cancelled = [] { return true; };
  EXPECT_EQ(sha256_of_file(path, 3, "x", watch).error().code, "hub.cancelled");
  fs::remove(path);
}

TEST(Sha256, WhatLooksLikeOne) {
  EXPECT_TRUE(is_sha256(std::string(64, 'A')));
  EXPECT_FALSE(is_sha256(std::string(63, 'a')));
  EXPECT_FALSE(is_sha256(std::string(63, 'a') + "g"));
}

}  // namespace
}  // namespace watra::hub
