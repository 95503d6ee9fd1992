#include "hub/hub_reference.h"

#include <gtest/gtest.h>

namespace watra::hub {
namespace {

TEST(HubReference, PartsAndPlaces) {
  const auto plain = parse_hub_reference("hf:org/repo/file.gguf").value();
  EXPECT_EQ(plain.repo, "org/repo");
  EXPECT_EQ(plain.file, "file.gguf");
  EXPECT_EQ(plain.revision, "main");
  EXPECT_EQ(plain.to_string(), "hf:org/repo/file.gguf");
  EXPECT_EQ(plain.shelf_path(), "org/repo/file.gguf");

  const auto pinned = parse_hub_reference("hf:org/repo/a/b/file.gguf@refs/pr/7").value();
  EXPECT_EQ(pinned.file, "a/b/file.gguf");
  EXPECT_EQ(pinned.revision, "refs/pr/7");
  EXPECT_EQ(pinned.to_string(), "hf:org/repo/a/b/file.gguf@refs/pr/7");
  EXPECT_EQ(pinned.shelf_path(), "org/repo@refs-pr-7/a/b/file.gguf");

  EXPECT_EQ(parse_hub_reference("hf:org/repo").value().file, "");
}

TEST(HubReference, NothingLeadsOffTheShelf) {
  for (const char* text :
       {"hf:", "hf:org", "hf:org/", "hf:/", "hf:org/..", "hf:../repo/f.gguf", "hf:org/repo/../f.gguf",
        "hf:org/repo//f.gguf", "hf:org/repo/.hidden/f.gguf", "hf:org/repo/f.gguf@", "hf:org/repo/f.gguf@..",
        "hf:org/repo/f.gguf@a/../b", "hf:org/repo/a\\..\\b.gguf", "hf:org/repo/f\n.gguf"}) {
    const auto r = parse_hub_reference(text);
    ASSERT_FALSE(r) << text;
    EXPECT_EQ(r.error().code, "hub.bad_reference");
  }
}

TEST(SplitName, OnePartNamesAll) {
  const auto split = parse_split_name("a/b-00002-of-00010.gguf").value();
  EXPECT_EQ(split.stem, "a/b");
  EXPECT_EQ(split.index, 2);
  EXPECT_EQ(split.count, 10);
  EXPECT_EQ(split.part(10), "a/b-00010-of-00010.gguf");
  const auto parts = all_parts("m-00002-of-00002.gguf");
  EXPECT_EQ(parts, (std::vector<std::string>{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}));
}

TEST(SplitName, WhatIsNotASplit) {
  for (const char* name :
       {"m.gguf", "-00001-of-00002.gguf", "m-1-of-2.gguf", "m-00003-of-00002.gguf", "m-00000-of-00002.gguf",
        "m-0000x-of-00002.gguf", "m-00001-of-00002.bin", "m-00001_of-00002.gguf", "m--0001-of-00002.gguf"}) {
    EXPECT_FALSE(parse_split_name(name)) << name;
    EXPECT_EQ(all_parts(name).size(), 1u) << name;
  }
}

}  // namespace
}  // namespace watra::hub
