#include "engine/internal/key_shift.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace watra::engine::internal {
namespace {

TEST(KeyShift, IsTheMeanOfTheBiasAsItIsTurned) {
  std::mt19937 rng(5);
  std::normal_distribution<float> normal;
  const kernels::Kernels& k = **kernels::select();
  for (const auto style : {kernels::RopeStyle::halves, kernels::RopeStyle::adjacent})
    for (const int32_t n_rot : {16, 12}) {
      const model::LayerHParams layer{.n_heads = 4, .n_kv_heads = 2, .d_head = 16};
      const model::RopeParams rope{.theta = 1e6f, .n_rot = n_rot, .style = style};
      const auto table = rope.table(4096);
      std::vector<float> bias(32), turns(static_cast<size_t>(n_rot)), shift(32);
      for (float& b : bias) b = 100 * normal(rng);
      shift_of_bias(layer, rope, table, k, bias.data(), turns.data(), shift.data());

      std::vector<double> mean(32);
      const size_t half = static_cast<size_t>(n_rot) / 2;
      std::vector<float> cos(half), sin(half);
      for (int64_t p = 0; p < KeyShift::kPositions; ++p) {
        for (size_t j = 0; j < half; ++j) {
          cos[j] = static_cast<float>(std::cos(static_cast<double>(p) * table.inv_freq[j]));
          sin[j] = static_cast<float>(std::sin(static_cast<double>(p) * table.inv_freq[j]));
        }
        std::vector<float> turned = bias;
        k.rope(turned.data(), 2, 16, n_rot, style, cos.data(), sin.data());
        for (size_t e = 0; e < 32; ++e) mean[e] += turned[e] / static_cast<double>(KeyShift::kPositions);
      }
      for (size_t e = 0; e < 32; ++e) EXPECT_NEAR(shift[e], -mean[e], 1e-3) << e << ", " << n_rot << " turned";
    }
}

}  // namespace
}  // namespace watra::engine::internal
