#include "base/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "base/checked.h"

namespace watra {
namespace {

TEST(MemoryBudget, CountsByTagAndKeepsTheLimit) {
  MemoryBudget budget(1000);
  auto a = Buffer::allocate(&budget, "weights", 600);
  ASSERT_TRUE(a);
  auto b = Buffer::allocate(&budget, "kv cache", 300);
  ASSERT_TRUE(b);
  EXPECT_EQ(budget.used_bytes(), 900u);
  const auto uses = budget.uses();
  ASSERT_EQ(uses.size(), 2u);
  EXPECT_EQ(uses[0].tag, "weights");
  const auto c = Buffer::allocate(&budget, "scratch", 101);
  ASSERT_FALSE(c);
  EXPECT_EQ(c.error().code, "memory.over_budget");
  *a = Buffer();
  EXPECT_EQ(budget.used_bytes(), 300u);
  EXPECT_EQ(budget.peak_bytes(), 900u);
}

TEST(MemoryBudget, ALimitMayComeLater) {
  MemoryBudget budget;
  const auto a = Buffer::allocate(&budget, "weights", 600);
  ASSERT_TRUE(a);
  EXPECT_EQ(budget.set_limit(599).error().code, "memory.over_budget");
  EXPECT_TRUE(budget.set_limit(700));
  EXPECT_EQ(budget.limit_bytes(), 700u);
  EXPECT_FALSE(Buffer::allocate(&budget, "scratch", 101));
}

TEST(Buffer, LiesInHugePagesWhereTheSystemGivesThem) {
  if (huge_page_setting() != "madvise" && huge_page_setting() != "always") GTEST_SKIP() << "no huge pages here";
  const uint64_t before = huge_page_bytes(), bytes = uint64_t{32} << 20;
  const auto b = Buffer::allocate(nullptr, "test", bytes);
  ASSERT_TRUE(b);
  std::fill(b->data(), b->data() + bytes, std::byte{1});
  if (huge_page_bytes() == before) GTEST_SKIP() << "none are free";
  EXPECT_GE(huge_page_bytes(), before + bytes / 2);
}

TEST(Buffer, MayLieOnAllMemoryNodes) {
  const std::vector<int> nodes = memory_nodes();
  ASSERT_FALSE(nodes.empty());
  EXPECT_TRUE(std::is_sorted(nodes.begin(), nodes.end()));
  const auto b = Buffer::allocate(nullptr, "test", 5 << 20, Buffer::Nodes::spread);
  ASSERT_TRUE(b);
  for (std::byte x : b->span()) ASSERT_EQ(x, std::byte{0});
}

TEST(Process, KnowsHowMuchOfItIsResident) {
  const uint64_t before = resident_bytes();
  EXPECT_GT(before, 1u << 20);
  const auto b = Buffer::allocate(nullptr, "test", 16 << 20);
  ASSERT_TRUE(b);
  std::fill(b->data(), b->data() + b->size_bytes(), std::byte{1});
  EXPECT_GE(resident_bytes(), before + (15 << 20));
  EXPECT_GE(peak_resident_bytes() + (1 << 20), resident_bytes());
}

TEST(Buffer, IsAlignedAndZero) {
  for (const uint64_t bytes :
       {uint64_t{1}, uint64_t{100}, (uint64_t{2} << 20) - 1, (uint64_t{2} << 20) + 5, uint64_t{9} << 20}) {
    auto b = Buffer::allocate(nullptr, "test", bytes);
    ASSERT_TRUE(b);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b->data()) % (bytes >= (2u << 20) ? (2u << 20) : 64u), 0u);
    for (std::byte x : b->span()) ASSERT_EQ(x, std::byte{0});
    b->data()[bytes - 1] = std::byte{1};
    Buffer moved = std::move(*b);
    EXPECT_EQ(moved.data()[bytes - 1], std::byte{1});
    EXPECT_EQ(b->data(), nullptr);
  }
}

TEST(Buffer, WhatTheSystemCannotGiveIsAnError) {
  MemoryBudget budget;
  const auto b = Buffer::allocate(&budget, "test", uint64_t{1} << 60);
  ASSERT_FALSE(b);
  EXPECT_EQ(b.error().code, "memory.refused");
  EXPECT_EQ(budget.used_bytes(), 0u);
}

TEST(Sizes, AreReadAndWritten) {
  EXPECT_EQ(parse_bytes("48GiB").value(), uint64_t{48} << 30);
  EXPECT_EQ(parse_bytes("1.5 MiB").value(), 1572864u);
  EXPECT_EQ(parse_bytes("2gb").value(), 2000000000u);
  EXPECT_EQ(parse_bytes("4096").value(), 4096u);
  for (const char* wrong : {"", "GiB", "12 parsecs", "-1", "nan", "1e400"}) EXPECT_FALSE(parse_bytes(wrong)) << wrong;
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(uint64_t{93} << 20), "93.0 MiB");
  EXPECT_EQ(format_bytes(uint64_t{250} << 30), "250 GiB");
}

TEST(Checked, OverflowIsAnAnswer) {
  EXPECT_EQ(checked_add<uint64_t>(1, 2).value(), 3u);
  EXPECT_FALSE(checked_add<uint64_t>(UINT64_MAX, 1));
  EXPECT_FALSE(checked_mul<uint64_t>(uint64_t{1} << 40, uint64_t{1} << 40));
  EXPECT_EQ(checked_align_up<uint64_t>(33, 32).value(), 64u);
  EXPECT_FALSE(checked_align_up<uint64_t>(UINT64_MAX - 3, 32));
}

}  // namespace
}  // namespace watra
