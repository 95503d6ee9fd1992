#include "base/cache_lines.h"

#include <gtest/gtest.h>

#include <span>
#include <utility>
#include <vector>

namespace watra {
namespace {

std::byte mark(size_t i) { return static_cast<std::byte>(i * 31 + i / 64); }

// Lines that were just written are the hard case: what they hold must reach memory before they go.
TEST(CacheLines, WhatIsEvictedKeepsItsValue) {
  std::vector<std::byte> bytes(1 << 20);
  for (const auto [begin, n] : {std::pair<size_t, size_t>{0, 1 << 20}, {1, 1}, {63, 2}, {64, 64}, {4095, 70'001}}) {
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = mark(i + n);
    evict_from_caches(std::span(bytes).subspan(begin, n));
    bool same = true;
    for (size_t i = 0; i < bytes.size(); ++i) same &= bytes[i] == mark(i + n);
    EXPECT_TRUE(same) << begin << " " << n;
  }
}

TEST(CacheLines, NothingIsEvictedOfNothing) { evict_from_caches({}); }

}  // namespace
}  // namespace watra
