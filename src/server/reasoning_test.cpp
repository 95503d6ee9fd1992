#include "server/reasoning.h"

#include <gtest/gtest.h>

namespace watra::server {
namespace {

ReasoningSplitter::Parts split(std::string_view text, size_t piece, bool open = false) {
  ReasoningSplitter s(true, open);
  ReasoningSplitter::Parts all;
  const auto add = [&](const ReasoningSplitter::Parts& p) {
    all.reasoning += p.reasoning;
    all.content += p.content;
    all.block += p.block;
  };
  for (size_t i = 0; i < text.size(); i += piece) add(s.feed(text.substr(i, piece)));
  add(s.finish());
  return all;
}

TEST(Reasoning, IsSplitAlikeHoweverTheTextIsCut) {
  for (size_t piece = 1; piece < 40; ++piece) {
    const auto p = split("\n<think>\na < b </thin\n</think>\n\nYes <think>.", piece);
    EXPECT_EQ(p.reasoning, "\na < b </thin\n") << piece;
    EXPECT_EQ(p.content, "Yes <think>.") << piece;
    EXPECT_EQ(p.block, "\n<think>\na < b </thin\n</think>\n\n") << piece;
  }
}

TEST(Reasoning, MayOpenInThePrompt) {
  EXPECT_EQ(split("so</think>Yes", 2, true).reasoning, "so");
  EXPECT_EQ(split("so</think>Yes", 2, true).content, "Yes");
  EXPECT_EQ(split("so</think>\nYes", 2, true).block, "<think>so</think>\n");
  EXPECT_TRUE(ends_in_reasoning("<|im_start|>assistant\n<think>\n"));
  EXPECT_FALSE(ends_in_reasoning("<think>\n\n</think>\n\n"));
}

TEST(Reasoning, AnAnswerGoesOnBehindAnOpenBlock) {
  std::string words = "Yes, and";
  EXPECT_EQ(without_opening(words), "\n</think>\n\n");
  EXPECT_EQ(words, "Yes, and");
  std::string thoughts = "<think>\nso far";
  EXPECT_EQ(without_opening(thoughts), "");
  EXPECT_EQ(thoughts, "so far");
}

TEST(Reasoning, PlainTextIsContentToTheLastByte) {
  EXPECT_EQ(split("  <thing>", 1).content, "  <thing>");
  EXPECT_EQ(split("<thi", 1).content, "<thi");
  EXPECT_EQ(split("<think>cut off </th", 3).reasoning, "cut off </th");
  EXPECT_EQ(split("<think>cut off </th", 3).block, "<think>cut off </th");
  EXPECT_EQ(split("  <thing>", 1).block, "");
  ReasoningSplitter off(false, false);
  EXPECT_EQ(off.feed("<think>x").content, "<think>x");
}

}  // namespace
}  // namespace watra::server
