#include "engine/rng.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace watra::engine {
namespace {

using Block = std::array<uint32_t, 4>;

// Known answers published with the generator (Random123, kat_vectors: philox4x32 10).
TEST(Rng, PhiloxGivesThePublishedAnswers) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, UniformUsesTheTopBitsOfTheFirstTwoWords) {
  EXPECT_EQ(uniform(0, 0, RngStream::draw), static_cast<double>(0x6627e8d5e169c58dull >> 11) * 0x1p-53);
}

// What a seed means must not change between versions: people keep seeds.
TEST(Rng, SeedPositionAndStreamAllMatterInAllTheirBits) {
  std::set<double> seen;
  for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, uint64_t{1} << 62}) {
    for (const uint64_t position : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, uint64_t{1} << 63}) {
      for (const RngStream stream : {RngStream::draw, RngStream::xtc}) seen.insert(uniform(seed, position, stream));
    }
  }
  EXPECT_EQ(seen.size(), 4u * 4u * 2u);
}

TEST(Rng, IsUniformAlongPositionsAndBetweenStreams) {
  constexpr int kBins = 16, kDraws = 160000;
  std::vector<int> by_draw(kBins), by_pair(kBins * kBins);
  for (uint64_t position = 0; position < kDraws; ++position) {
    const double a = uniform(42, position, RngStream::draw), b = uniform(42, position, RngStream::xtc);
    ASSERT_GE(a, 0.0);
    ASSERT_LT(a, 1.0);
    const int bin = static_cast<int>(a * kBins);
    ++by_draw[bin];
    ++by_pair[bin * kBins + static_cast<int>(b * kBins)];
  }
  const auto chi_square = [](const std::vector<int>& counts) {
    const double expected = static_cast<double>(kDraws) / static_cast<double>(counts.size());
    double sum = 0;
    for (const int c : counts) sum += (c - expected) * (c - expected) / expected;
    return sum;
  };
  EXPECT_LT(chi_square(by_draw), 44.3);   // 15 degrees of freedom, p = 1e-4
  EXPECT_LT(chi_square(by_pair), 347.0);  // 255 degrees of freedom, p = 1e-4
}

}  // namespace
}  // namespace watra::engine
