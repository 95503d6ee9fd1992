// Split models: found from any part, and nothing is believed that the parts do not agree on.
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/internal/raw_gguf.h"
#include "checkpoint/internal/split_name.h"

namespace watra::checkpoint {
namespace {

using test::RawGguf;
using test::TempFolder;

// One part with one tensor of 32 bytes, all of them `fill`.
RawGguf part(uint16_t no, uint16_t count, int32_t n_tensors, std::string_view tensor, char fill = 'x') {
  RawGguf raw = RawGguf()
                    .preamble(1, no == 0 ? 4 : 3)
                    .key_u16("split.no", no)
                    .key_u16("split.count", count)
                    .key_i32("split.tensors.count", n_tensors);
  if (no == 0) raw.key_text("general.architecture", "llama");
  return raw.tensor(tensor, {8}, 0, 0).pad().raw(std::string(32, fill));
}

std::string honest_without_keys() { return RawGguf().preamble(1, 0).tensor("b", {8}, 0, 0).pad().zeros(32).bytes; }

struct ThreeParts : testing::Test {
  TempFolder folder;
  std::string names[3] = {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"};

  ThreeParts() {
    for (uint16_t i = 0; i < 3; ++i)
      folder.put(names[i], part(i, 3, 3, std::string(1, static_cast<char>('a' + i)), static_cast<char>('x' + i)).bytes);
  }
  Result<Checkpoint> open(int i) { return Checkpoint::open(folder / names[i]); }
  // The code every part gives, which must be the same.
  std::string refusal(std::initializer_list<int> from = {0, 1, 2}) {
    std::string code;
    for (const int i : from) {
      const auto c = open(i);
      const std::string found = c ? "none" : c.error().code;
      EXPECT_TRUE(c || !c.error().hint.empty()) << c.error().message;
      EXPECT_TRUE(code.empty() || found == code) << code << ", but opened from part " << i + 1 << " " << found;
      code = found;
    }
    return code;
  }
};

TEST_F(ThreeParts, OpenFromAnyPart) {
  for (int i = 0; i < 3; ++i) {
    const auto c = open(i);
    ASSERT_TRUE(c) << c.error().to_string();
    ASSERT_EQ(c->paths().size(), 3u);
    EXPECT_EQ(c->metadata().get_string("general.architecture"), "llama");
    for (uint32_t t = 0; t < 3; ++t) {
      const TensorInfo* info = c->find(std::string(1, static_cast<char>('a' + t)));
      ASSERT_NE(info, nullptr);
      EXPECT_EQ(info->file_index, t);
      std::vector<std::byte> bytes(32);
      ASSERT_TRUE(c->read(*info, bytes));
      EXPECT_EQ(bytes[31], static_cast<std::byte>('x' + t));
    }
  }
}

TEST_F(ThreeParts, AMissingPartIsNamed) {
  fs::remove(folder / names[1]);
  EXPECT_EQ(refusal({0, 2}), "checkpoint.split_missing");
  EXPECT_NE(open(0).error().message.find(names[1]), std::string::npos) << open(0).error().message;
  fs::remove(folder / names[0]);
  EXPECT_NE(open(2).error().message.find("2 of the 3 parts"), std::string::npos) << open(2).error().message;
}

TEST_F(ThreeParts, ManyMissingPartsAreCountedNotListed) {
  folder.put("big-00001-of-65535.gguf", part(0, 65535, 3, "a").bytes);
  const auto c = Checkpoint::open(folder / "big-00001-of-65535.gguf");
  ASSERT_FALSE(c);
  EXPECT_EQ(c.error().code, "checkpoint.split_missing");
  EXPECT_NE(c.error().message.find("and 65530 more"), std::string::npos) << c.error().message;
}

TEST_F(ThreeParts, APartThatStandsInForAnotherIsFound) {
  fs::copy_file(folder / names[0], folder / names[1], fs::copy_options::overwrite_existing);  // a copy
  EXPECT_EQ(refusal({0, 2}), "checkpoint.split_order");
  EXPECT_EQ(refusal({1}), "checkpoint.split_name") << "it says part 1, its name says part 2";
  fs::remove(folder / names[1]);
  fs::create_symlink(names[0], folder / names[1]);  // a circle
  EXPECT_EQ(refusal({0, 2}), "checkpoint.split_order");
  fs::remove(folder / names[1]);
  fs::create_symlink(names[1], folder / names[1]);  // a link to itself
  EXPECT_NE(refusal({0, 2}), "none");
}

TEST_F(ThreeParts, PartsOfAnotherModelAreFound) {
  folder.put(names[2], part(2, 4, 3, "c").bytes);
  EXPECT_EQ(refusal({0, 1}), "checkpoint.split_order");
  folder.put(names[2], part(2, 3, 9, "c").bytes);
  EXPECT_EQ(refusal(), "checkpoint.split_mixed");
  folder.put(names[2], RawGguf()
                           .preamble(1, 4)
                           .key_u16("split.no", 2)
                           .key_u16("split.count", 3)
                           .key_i32("split.tensors.count", 3)
                           .key_text("general.architecture", "gemma")
                           .tensor("c", {8}, 0, 0)
                           .pad()
                           .zeros(32)
                           .bytes);
  EXPECT_EQ(refusal(), "checkpoint.split_mixed");
}

TEST_F(ThreeParts, WhatThePartsHoldMustAddUp) {
  folder.put(names[2], part(2, 3, 3, "b").bytes);
  EXPECT_EQ(refusal(), "checkpoint.duplicate_tensor");
  EXPECT_NE(open(0).error().message.find(names[1]), std::string::npos) << open(0).error().message;
  for (uint16_t i = 0; i < 3; ++i)
    folder.put(names[i], part(i, 3, 4, std::string(1, static_cast<char>('a' + i))).bytes);
  EXPECT_EQ(refusal(), "checkpoint.split_tensors");
}

TEST_F(ThreeParts, ADamagedPartIsNamed) {
  folder.put(names[1], "GGUF\3");
  EXPECT_EQ(refusal(), "checkpoint.cut_file");
  EXPECT_NE(open(0).error().message.find(names[1]), std::string::npos);
  folder.put(names[1], honest_without_keys());
  EXPECT_EQ(refusal({0, 2}), "checkpoint.split_order");
}

TEST_F(ThreeParts, KeysMustBeNumbersThatFit) {
  const auto with = [&](RawGguf raw) {
    folder.put(names[0], raw.bytes);
    return refusal({0});
  };
  EXPECT_EQ(with(RawGguf().preamble(0, 2).key_u16("split.no", 3).key_u16("split.count", 3)), "checkpoint.split_keys");
  EXPECT_EQ(with(RawGguf().preamble(0, 2).key_u16("split.no", 0).key_i32("split.count", -3)), "checkpoint.wrong_type");
  EXPECT_EQ(with(RawGguf().preamble(0, 2).key_u16("split.no", 0).key_u32("split.count", 65536)),
            "checkpoint.split_keys");
  EXPECT_EQ(with(RawGguf().preamble(0, 2).key_u16("split.no", 0).key_text("split.count", "3")),
            "checkpoint.wrong_type");
  EXPECT_EQ(with(RawGguf().preamble(0, 1).key_u16("split.count", 3).zeros(9)), "checkpoint.missing_key");
  EXPECT_EQ(
      with(
          RawGguf().preamble(0, 3).key_u16("split.no", 0).key_u16("split.count", 3).key_i32("split.tensors.count", -1)),
      "checkpoint.wrong_type");
}

TEST_F(ThreeParts, TheNameMustSayWhatTheFileSays) {
  fs::copy_file(folder / names[0], folder / "renamed.gguf");
  const auto c = Checkpoint::open(folder / "renamed.gguf");
  ASSERT_FALSE(c);
  EXPECT_EQ(c.error().code, "checkpoint.split_name");
  EXPECT_NE(c.error().hint.find("renamed-00001-of-00003.gguf"), std::string::npos) << c.error().hint;
}

TEST_F(ThreeParts, ASingleFileMayBeCalledAnything) {
  folder.put("one-00002-of-00009.gguf", honest_without_keys());
  EXPECT_TRUE(Checkpoint::open(folder / "one-00002-of-00009.gguf"));
  folder.put("count1.gguf", RawGguf().preamble(0, 2).key_u16("split.no", 0).key_u16("split.count", 1).bytes);
  EXPECT_TRUE(Checkpoint::open(folder / "count1.gguf"));
}

TEST(SplitName, BothWays) {
  const auto n = parse_split_name("a-b-00002-of-00011.gguf", ".gguf");
  ASSERT_TRUE(n);
  EXPECT_EQ(n->prefix, "a-b");
  EXPECT_EQ(n->number, 2u);
  EXPECT_EQ(n->count, 11u);
  EXPECT_EQ(make_split_name("a-b", 2, 11, ".gguf"), "a-b-00002-of-00011.gguf");
  for (const char* bad :
       {"a-00000-of-00002.gguf", "a-00003-of-00002.gguf", "a-0001-of-00002.gguf", "a-00001-of-00002.bin",
        "-00001-of-00002.gguf", "a-00001-of-0000x.gguf", "a_00001-of-00002.gguf", "a-00001-to-00002.gguf", ".gguf", ""})
    EXPECT_FALSE(parse_split_name(bad, ".gguf")) << bad;
}

}  // namespace
}  // namespace watra::checkpoint
