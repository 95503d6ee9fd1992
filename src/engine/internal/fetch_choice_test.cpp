#include "engine/internal/fetch_choice.h"

#include <gtest/gtest.h>

#include <functional>

namespace watra::engine::internal {
namespace {

constexpr int kLayers = 6;
constexpr size_t kAheads = std::size(kernels::kFetchAheads);

size_t number_of(const kernels::FetchAhead& fetch) {
  for (size_t c = 0; c < kAheads; ++c)
    if (const auto& f = kernels::kFetchAheads[c];
        f.far == fetch.far && f.near == fetch.near && f.straight == fetch.straight)
      return c;
  ADD_FAILURE() << "none of the candidates";
  return 0;
}

// A pass in which a layer takes seconds(layer, candidate).
void teach(FetchChoice& choice, const std::function<double(int, size_t)>& seconds) {
  choice.begin_pass(true);
  if (choice.teaches())
    for (int l = 0; l < kLayers; ++l) choice.took(l, seconds(l, number_of(choice.of(l))));
  choice.end_pass();
}

TEST(FetchChoice, BeginsWithTheFirst) {
  FetchChoice choice(kLayers);
  choice.begin_pass(false);
  EXPECT_EQ(number_of(choice.of(3)), 0u);
  EXPECT_FALSE(choice.is_made());
}

TEST(FetchChoice, FindsTheFastestThoughLayersDiffer) {
  for (size_t fastest = 0; fastest < kAheads; ++fastest) {
    FetchChoice choice(kLayers);
    int n = 0;
    while (!choice.is_made() && ++n < 100)
      teach(choice, [&](int l, size_t c) { return l + (c == fastest ? 1.0 : 1.1); });
    EXPECT_LE(n, 12);
    choice.begin_pass(true);
    EXPECT_FALSE(choice.teaches());
    for (int l = 0; l <= kLayers; ++l) EXPECT_EQ(number_of(choice.of(l)), fastest);
  }
}

TEST(FetchChoice, NeighboursInAPassFetchDifferently) {
  FetchChoice choice(kLayers);
  choice.begin_pass(true);
  for (int l = 1; l < kLayers; ++l) EXPECT_NE(number_of(choice.of(l)), number_of(choice.of(l - 1)));
}

TEST(FetchChoice, ADisturbanceInOneRoundChangesNothing) {
  FetchChoice choice(kLayers);
  for (int pass = 0; !choice.is_made(); ++pass)
    teach(choice, [&](int, size_t c) { return (c == 2 ? 1.0 : 1.05) * (pass / 4 == 1 ? 3.0 : 1.0); });
  EXPECT_EQ(number_of(choice.of(0)), 2u);
}

TEST(FetchChoice, APassThatDoesNotEndIsDoneAgain) {
  FetchChoice choice(kLayers);
  choice.begin_pass(true);
  const size_t first = number_of(choice.of(0));
  choice.took(0, 1.0);
  choice.begin_pass(true);
  EXPECT_EQ(number_of(choice.of(0)), first);
}

}  // namespace
}  // namespace watra::engine::internal
