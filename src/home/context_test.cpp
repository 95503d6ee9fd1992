#include "home/context.h"

#include <gtest/gtest.h>

namespace watra::home {
namespace {

// One token a byte.
int64_t bytes(const std::string& text) { return static_cast<int64_t>(text.size()); }

ContextWish talk(int n, size_t each) {
  ContextWish wish{.n_ctx = 1000, .reserve_tokens = 200};
  for (int i = 0; i < n; ++i)
    wish.turns.push_back({"m" + std::to_string(i), i % 2 == 0 ? "user" : "assistant", std::string(each, 'x')});
  return wish;
}

TEST(Context, AllThatFitsInItsOrder) {
  ContextWish wish = talk(3, 20);
  wish.persona = "P";
  wish.system = "S";
  const auto c = choose_context(wish, bytes);
  ASSERT_TRUE(c);
  ASSERT_EQ(c->entries.size(), 5u);
  EXPECT_EQ(c->entries[0].what, "persona");
  EXPECT_EQ(c->entries[1].what, "system");
  EXPECT_EQ(c->entries[2].message, "m0");
  EXPECT_EQ(c->entries[4].why, "asked");
  EXPECT_EQ(c->sees_from, "m0");
  EXPECT_TRUE(c->dropped.empty());
}

TEST(Context, AnAnswerThatWasBegunKeepsItsQuestion) {
  ContextWish wish = talk(4, 300);
  wish.n_must = 2;
  const auto c = choose_context(wish, bytes);
  ASSERT_TRUE(c) << c.error().message;
  ASSERT_EQ(c->entries.size(), 2u);
  EXPECT_EQ(c->entries[0].message, "m2");
  EXPECT_EQ(c->entries[0].why, "asked");
  EXPECT_EQ(c->entries[1].why, "begun");
  wish.turns[2].text = std::string(600, 'x');  // alone it would fit
  EXPECT_EQ(choose_context(wish, bytes).error().code, "context.too_long");
  wish.n_must = 1;
  EXPECT_EQ(choose_context(wish, bytes)->entries.size(), 1u);
}

TEST(Context, TheNewestTurnsWhenItIsFull) {
  const auto c = choose_context(talk(21, 92), bytes);  // 100 tokens each, room for 8
  ASSERT_TRUE(c);
  EXPECT_LE(c->used_tokens, 800);
  EXPECT_EQ(c->entries.back().message, "m20");
  EXPECT_EQ(c->entries.front().role, "user");
  EXPECT_EQ(c->dropped.front().message, "m" + std::to_string(20 - c->entries.size()));
  EXPECT_EQ(c->dropped.front().why, "no_room");
  EXPECT_EQ(c->sees_from, c->entries.front().message);
}

TEST(Context, TheBeginningStaysWhileItFits) {
  ContextWish wish = talk(21, 92);
  const auto first = choose_context(wish, bytes);
  wish.sees_from = first->sees_from;
  wish.turns.push_back({"m21", "assistant", std::string(42, 'x')});
  wish.turns.push_back({"m22", "user", std::string(42, 'x')});
  const auto second = choose_context(wish, bytes);
  EXPECT_EQ(second->sees_from, first->sees_from);  // what is cached keeps its beginning
  EXPECT_EQ(second->entries.size(), first->entries.size() + 2);
  for (int i = 23; i < 33; ++i)
    wish.turns.push_back({"m" + std::to_string(i), i % 2 ? "assistant" : "user", std::string(92, 'x')});
  const auto third = choose_context(wish, bytes);
  EXPECT_NE(third->sees_from, first->sees_from);
  EXPECT_LE(third->used_tokens, 800);
}

TEST(Context, WhatCanNeverFitIsRefused) {
  const auto c = choose_context(talk(1, 900), bytes);
  ASSERT_FALSE(c);
  EXPECT_EQ(c.error().code, "context.too_long");
  EXPECT_NE(c.error().message.find("908"), std::string::npos);
}

TEST(Context, Reserve) {
  EXPECT_EQ(reserve_for(8192, -1), 1024);
  EXPECT_EQ(reserve_for(512, -1), 128);
  EXPECT_EQ(reserve_for(8192, 100), 100);
  EXPECT_EQ(reserve_for(8192, 100000), 4096);
}

}  // namespace
}  // namespace watra::home
