#include "tensor/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/file.h"
#include "source_folder.h"
#include "tensor/blocks.h"
#include "tensor/codebooks.h"

namespace watra::tensor {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

bool same_value(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

// Reproducible on every standard library, unlike <random>'s distributions.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  double uniform() {  // (0, 1)
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return (static_cast<double>(state_ >> 12) + 0.5) * 0x1p-52;
  }
  float gaussian() {
    return static_cast<float>(std::sqrt(-2 * std::log(uniform())) * std::cos(6.283185307179586 * uniform()));
  }
  float laplacian() {
    const double u = uniform() - 0.5;
    return static_cast<float>(std::copysign(std::log(1 - 2 * std::fabs(u)), u));
  }

 private:
  uint64_t state_;
};

std::vector<float> gaussian(int n, float sigma, uint64_t seed = 1) {
  Random random(seed);
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = sigma * random.gaussian();
  return x;
}

std::vector<DType> quantizable() {
  std::vector<DType> types;
  for (const DTypeTraits& t : all_dtypes()) {
    if (can_quantize(t.dtype)) types.push_back(t.dtype);
  }
  return types;
}

std::vector<std::byte> quantized(DType dtype, const std::vector<float>& x, const float* importance = nullptr) {
  std::vector<std::byte> blocks(row_bytes(dtype, static_cast<int64_t>(x.size())));
  quantize_row(dtype, x.data(), blocks.data(), static_cast<int64_t>(x.size()), importance);
  return blocks;
}

std::vector<float> dequantized(DType dtype, const std::vector<std::byte>& blocks) {
  const DTypeTraits& t = traits(dtype);
  std::vector<float> y(blocks.size() / t.block_bytes * t.block_elements);
  dequantize_row(dtype, blocks.data(), y.data(), static_cast<int64_t>(y.size()));
  return y;
}

std::vector<float> round_trip(DType dtype, const std::vector<float>& x, const float* importance = nullptr) {
  return dequantized(dtype, quantized(dtype, x, importance));
}

// Root of the (weighted) mean squared error, relative to that of x.
double relative_error(const std::vector<float>& x, const std::vector<float>& y, const float* importance = nullptr) {
  double error = 0, scale = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double w = importance ? importance[i] : 1;
    error += w * (static_cast<double>(x[i]) - y[i]) * (static_cast<double>(x[i]) - y[i]);
    scale += w * static_cast<double>(x[i]) * x[i];
  }
  return std::sqrt(error / scale);
}

// ---- conversions

TEST(Half, EveryBinary16GoesThroughFloatAndBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto h = static_cast<uint16_t>(bits);
    const float v = f16_to_f32(h);
    if ((h & 0x7fff) > 0x7c00) {
      EXPECT_TRUE(std::isnan(v)) << bits;
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(v)))) << bits;
      continue;
    }
    ASSERT_EQ(f32_to_f16(v), h) << bits;
    // Halfway to the next number: ties go to the even one; a hair more or less goes to the nearer one.
    if ((h & 0x7fff) >= 0x7bff) continue;
    const float next = f16_to_f32(static_cast<uint16_t>(h + 1));
    const float middle = static_cast<float>((static_cast<double>(v) + next) / 2);
    ASSERT_EQ(f32_to_f16(middle), h % 2 == 0 ? h : h + 1) << bits;
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, v)), h) << bits;
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, next)), h + 1) << bits;
  }
}

TEST(Half, KnownValues) {
  EXPECT_EQ(f16_to_f32(0x3c00), 1.0f);
  EXPECT_EQ(f16_to_f32(0xc000), -2.0f);
  EXPECT_EQ(f16_to_f32(0x0001), 0x1p-24f);
  EXPECT_EQ(f16_to_f32(0x7bff), 65504.0f);
  EXPECT_EQ(f16_to_f32(0xfc00), -kInf);
  EXPECT_TRUE(std::signbit(f16_to_f32(0x8000)));
  EXPECT_EQ(f32_to_f16(65519.99f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(1e30f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-1e-30f), 0x8000);
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0);  // a tie: even
  EXPECT_EQ(f32_to_f16(std::nextafter(0x1p-25f, 1.0f)), 1);
}

TEST(Half, Bfloat16RoundsToEvenAndKeepsNaN) {
  EXPECT_EQ(f32_to_bf16(1.0f), 0x3f80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808000u)), 0x3f80);  // ties
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x7f800001u)), 0x7fc0);  // payload below the cut: still NaN
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(-kNaN))));
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto b = static_cast<uint16_t>(bits);
    if ((b & 0x7fff) > 0x7f80) continue;  // NaN
    ASSERT_EQ(f32_to_bf16(bf16_to_f32(b)), b);
  }
}

// ---- dequantization

TEST(Dequantize, EveryTypeMatchesTheReferenceBitForBit) {
  int files = 0;
  for (const DTypeTraits& t : all_dtypes()) {
    if (!can_dequantize(t.dtype) || t.dtype == DType::q8_1 || t.dtype == DType::q8_k) continue;  // not types of files
    const auto path = fs::path(kSourceFolder) / "tests/golden/quant" / (std::string(t.name) + ".bin");
    const auto content = read_text_file(path);
    ASSERT_TRUE(content) << content.error().to_string();
    const size_t per_block = t.block_bytes + t.block_elements * sizeof(float);
    ASSERT_EQ(content->size() % per_block, 0u) << path;
    const size_t n_blocks = content->size() / per_block, n = n_blocks * t.block_elements;
    ASSERT_GT(n_blocks, 0u) << path;
    std::vector<std::byte> blocks(n_blocks * t.block_bytes);
    std::memcpy(blocks.data(), content->data(), blocks.size());
    std::vector<float> expected(n);
    std::memcpy(expected.data(), content->data() + blocks.size(), n * sizeof(float));
    const std::vector<float> y = dequantized(t.dtype, blocks);
    for (size_t i = 0; i < n; ++i)
      ASSERT_TRUE(same_value(y[i], expected[i])) << t.name << " " << i << ": " << y[i] << " " << expected[i];
    ++files;
  }
  EXPECT_EQ(files, 26);
}

TEST(Dequantize, ActivationTypesAreScaleTimesLevel) {
  BlockQ8_1 b{};
  b.d = f32_to_f16(0.5f);
  BlockQ8K k{};
  k.d = 0.25f;
  for (int i = 0; i < 32; ++i) b.qs[i] = static_cast<int8_t>(i * 8 - 128);
  for (int i = 0; i < 256; ++i) k.qs[i] = static_cast<int8_t>(i - 128);
  std::array<float, 256> y;
  dequantize_row(DType::q8_1, &b, y.data(), 32);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(y[i], 0.5f * static_cast<float>(i * 8 - 128));
  dequantize_row(DType::q8_k, &k, y.data(), 256);
  for (int i = 0; i < 256; ++i) EXPECT_EQ(y[i], 0.25f * static_cast<float>(i - 128));
}

TEST(Dequantize, SevenSignBitsMakeAnEvenNumberOfMinusSigns) {
  for (uint32_t s = 0; s < 128; ++s) {
    EXPECT_EQ(even_signs(s) & 127, s);
    EXPECT_EQ(std::popcount(even_signs(s)) % 2, 0);
  }
}

// ---- quantization

TEST(Quantize, TypesAreThePromisedOnes) {
  std::string names;
  for (const DType d : quantizable()) names += std::string(dtype_name(d)) + " ";
  EXPECT_EQ(names, "f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q8_1 q2_k q3_k q4_k q5_k q6_k q8_k iq4_nl iq4_xs ");
}

// Bounds a few percent above what the search reaches; plain rounding to the largest weight would miss those of 2 to 6
// bits.
struct Bound {
  DType dtype;
  double gaussian, laplacian;
};
constexpr Bound kBounds[] = {
    {DType::f16, 0.00022, 0.00022},  {DType::bf16, 0.0018, 0.0018}, {DType::q4_0, 0.0825, 0.104},
    {DType::q4_1, 0.0705, 0.0835},   {DType::q5_0, 0.041, 0.0525},  {DType::q5_1, 0.034, 0.041},
    {DType::q8_0, 0.0055, 0.0069},   {DType::q8_1, 0.0055, 0.0069}, {DType::q2_k, 0.263, 0.292},
    {DType::q3_k, 0.146, 0.172},     {DType::q4_k, 0.071, 0.084},   {DType::q5_k, 0.035, 0.042},
    {DType::q6_k, 0.0169, 0.0207},   {DType::q8_k, 0.0071, 0.0102}, {DType::iq4_nl, 0.0748, 0.0866},
    {DType::iq4_xs, 0.0755, 0.0874},
};

TEST(Quantize, ErrorStaysWithinTheTypesBound) {
  Random random(3);
  std::vector<float> normal(32768), heavy(32768);
  for (float& v : normal) v = 0.02f * random.gaussian();
  for (float& v : heavy) v = 0.02f * random.laplacian();
  for (const Bound& b : kBounds) {
    EXPECT_LE(relative_error(normal, round_trip(b.dtype, normal)), b.gaussian) << dtype_name(b.dtype);
    EXPECT_LE(relative_error(heavy, round_trip(b.dtype, heavy)), b.laplacian) << dtype_name(b.dtype);
  }
}

TEST(Quantize, ScaleOfTheWeightsDoesNotMatter) {
  // Super-block scales fall among the subnormals of f16 early: 1e-5 is where careless rounding loses everything.
  for (const Bound& b : kBounds) {
    if (b.dtype == DType::f16) continue;
    for (const float sigma : {1e-5f, 1e-3f, 1.0f, 1e4f}) {
      const std::vector<float> x = gaussian(8192, sigma);
      EXPECT_LE(relative_error(x, round_trip(b.dtype, x)), 1.2 * b.gaussian)
          << dtype_name(b.dtype) << " sigma " << sigma;
    }
  }
}

TEST(Quantize, OffsetsOfEitherSignAreUsed) {
  for (const float centre : {1.0f, -1.0f}) {
    std::vector<float> x = gaussian(8192, 0.1f);
    for (float& v : x) v += centre;
    for (const auto& [dtype, bound] : {std::pair{DType::q4_1, 0.0071},
                                       {DType::q5_1, 0.0035},
                                       {DType::q2_k, 0.028},
                                       {DType::q4_k, 0.0074},
                                       {DType::q5_k, 0.0038}}) {
      EXPECT_LE(relative_error(x, round_trip(dtype, x)), bound) << dtype_name(dtype) << " around " << centre;
    }
  }
}

TEST(Quantize, ZerosStayZeros) {
  const std::vector<float> x(512, 0.0f);
  for (const DType d : quantizable()) {
    for (const float v : round_trip(d, x)) ASSERT_EQ(v, 0.0f) << dtype_name(d);
  }
}

TEST(Quantize, ZerosAmongWeightsStayZeros) {
  std::vector<float> x = gaussian(1024, 1.0f);
  std::fill(x.begin() + 256, x.begin() + 512, 0.0f);
  for (const DType d : quantizable()) {
    const std::vector<float> y = round_trip(d, x);
    for (size_t i = 256; i < 512; ++i) ASSERT_EQ(y[i], 0.0f) << dtype_name(d);
  }
}

TEST(Quantize, ConstantBlocksKeepTheirValue) {
  for (const float value : {0.37f, -0.37f, 2.0f, -123.0f}) {
    const std::vector<float> x(512, value);
    std::vector<float> weights = gaussian(512, 1.0f);
    for (float& w : weights) w = w * w;
    for (const DType d : quantizable()) {
      EXPECT_LE(relative_error(x, round_trip(d, x)), 0.005) << dtype_name(d) << " " << value;
      EXPECT_LE(relative_error(x, round_trip(d, x, weights.data())), 0.005) << dtype_name(d) << " " << value;
    }
  }
}

TEST(Quantize, ConstantBlocksNearTheEndOfF16AreStillThere) {
  for (const float value : {1e-4f, -1e-4f, 3e-6f}) {
    const std::vector<float> x(256, value);
    for (const DType d : quantizable())
      EXPECT_LE(relative_error(x, round_trip(d, x)), 0.04) << dtype_name(d) << " " << value;
  }
}

TEST(Quantize, TernaryWeightsAreKept) {
  Random random(5);
  std::vector<float> x(2048);
  for (float& v : x) v = 0.02f * static_cast<float>(static_cast<int>(random.uniform() * 3) - 1);
  for (const DType d : quantizable()) {
    if (d == DType::iq4_nl || d == DType::iq4_xs) continue;  // their levels are not symmetric
    EXPECT_LE(relative_error(x, round_trip(d, x)), 0.006) << dtype_name(d);
  }
}

TEST(Quantize, OneLargeWeightDoesNotDisappear) {
  for (const float peak : {5.0f, -5.0f}) {
    std::vector<float> x(256, 0.0f);
    x[100] = peak;
    for (const DType d : quantizable()) EXPECT_NEAR(round_trip(d, x)[100], peak, 0.06) << dtype_name(d);
  }
}

TEST(Quantize, NoInputGivesANonFiniteWeight) {
  const std::vector<float> odd = {kNaN, kInf, -kInf, 3.4e38f, -3.4e38f, 1e-45f, -1e-38f, 1e20f, -0.0f, 65504.0f};
  Random random(9);
  for (int round = 0; round < 200; ++round) {
    std::vector<float> x(256), importance(256);
    for (float& v : x) v = random.uniform() < 0.3 ? odd[static_cast<size_t>(random.uniform() * 10)] : random.gaussian();
    for (float& v : importance)
      v = random.uniform() < 0.1 ? odd[static_cast<size_t>(random.uniform() * 10)] : random.gaussian();
    for (const DType d : quantizable()) {
      if (!traits(d).is_quantized) continue;
      for (const float* weights : {static_cast<const float*>(nullptr), static_cast<const float*>(importance.data())}) {
        for (const float v : round_trip(d, x, weights)) ASSERT_TRUE(std::isfinite(v)) << dtype_name(d);
      }
    }
  }
}

TEST(Quantize, NaNCountsAsZeroAndInfinityAsLargest) {
  for (const DType d : quantizable()) {
    if (!traits(d).is_quantized) continue;
    std::vector<float> with_nan = gaussian(256, 1.0f), with_zero = with_nan;
    with_nan[17] = kNaN, with_zero[17] = 0;
    EXPECT_EQ(quantized(d, with_nan), quantized(d, with_zero)) << dtype_name(d);

    std::vector<float> x(256, 0.0f);
    x[3] = kInf, x[4] = -kInf;
    const std::vector<float> y = round_trip(d, x);
    EXPECT_GE(y[3], 60000.0f) << dtype_name(d);
    EXPECT_LE(y[4], -60000.0f) << dtype_name(d);
  }
}

TEST(Quantize, PlainTypesKeepSpecialValues) {
  const std::vector<float> x = {kInf, -kInf, kNaN, -0.0f};
  for (const DType d : {DType::f32, DType::f16, DType::bf16}) {
    const std::vector<float> y = round_trip(d, x);
    EXPECT_EQ(y[0], kInf);
    EXPECT_EQ(y[1], -kInf);
    EXPECT_TRUE(std::isnan(y[2]));
    EXPECT_TRUE(std::signbit(y[3]));
  }
}

TEST(Quantize, BlocksDoNotKnowTheirNeighbours) {
  const std::vector<float> x = gaussian(1024, 0.3f), importance_root = gaussian(1024, 1.0f, 2);
  std::vector<float> importance;
  for (const float v : importance_root) importance.push_back(v * v);
  for (const DType d : quantizable()) {
    const DTypeTraits& t = traits(d);
    const std::vector<std::byte> whole = quantized(d, x, importance.data());
    std::vector<std::byte> parts(whole.size());
    for (size_t i = 0; i < x.size() / t.block_elements; ++i) {
      quantize_row(d, &x[i * t.block_elements], &parts[i * t.block_bytes], t.block_elements,
                   &importance[i * t.block_elements]);
    }
    EXPECT_EQ(whole, parts) << t.name;
  }
}

TEST(Quantize, ImportanceMovesTheErrorToWhereItMattersLess) {
  const std::vector<float> x = gaussian(16384, 0.02f);
  std::vector<float> importance = gaussian(16384, 1.0f, 2);
  for (float& w : importance) w = std::fabs(w * w * w) + 1e-3f;
  for (const DType d : {DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q2_k, DType::q3_k, DType::q4_k,
                        DType::q5_k, DType::q6_k, DType::iq4_nl, DType::iq4_xs}) {
    const double blind = relative_error(x, round_trip(d, x), importance.data());
    const double informed = relative_error(x, round_trip(d, x, importance.data()), importance.data());
    EXPECT_LE(informed, 0.88 * blind) << dtype_name(d);
  }
}

TEST(Quantize, OnlyTheRatiosOfImportanceCount) {
  const std::vector<float> x = gaussian(1024, 0.02f);
  std::vector<float> importance(1024), small(1024), large(1024);
  for (size_t i = 0; i < 1024; ++i) {
    importance[i] = static_cast<float>(1 + i % 7);
    small[i] = importance[i] * 0x1p-80f;
    large[i] = importance[i] * 0x1p80f;
  }
  const std::vector<float> equal(1024, 4.0f), nothing(1024, 0.0f), broken(1024, kNaN);
  for (const DType d : quantizable()) {
    EXPECT_EQ(quantized(d, x, importance.data()), quantized(d, x, small.data())) << dtype_name(d);
    EXPECT_EQ(quantized(d, x, importance.data()), quantized(d, x, large.data())) << dtype_name(d);
    for (const std::vector<float>* says_nothing : {&equal, &nothing, &broken}) {
      EXPECT_EQ(quantized(d, x, says_nothing->data()), quantized(d, x)) << dtype_name(d);
    }
  }
}

TEST(Quantize, QuantizingAgainLosesLittle) {
  const std::vector<float> x = gaussian(8192, 0.02f);
  for (const DType d : quantizable()) {
    const std::vector<float> once = round_trip(d, x), twice = round_trip(d, once);
    const double first = std::max(relative_error(x, once), 1e-9);
    EXPECT_LE(relative_error(once, twice), 0.5 * first) << dtype_name(d);
  }
}

TEST(Quantize, SumsOfActivationTypesAreThoseOfTheirLevels) {
  const std::vector<float> x = gaussian(256, 3.0f);
  const std::vector<std::byte> q8_1 = quantized(DType::q8_1, x), q8_k = quantized(DType::q8_k, x);
  for (size_t i = 0; i < 8; ++i) {
    BlockQ8_1 b;
    std::memcpy(&b, q8_1.data() + i * sizeof b, sizeof b);
    int total = 0;
    for (const int8_t q : b.qs) total += q;
    EXPECT_EQ(b.s, f32_to_f16(f16_to_f32(b.d) * static_cast<float>(total)));
  }
  BlockQ8K k;
  std::memcpy(&k, q8_k.data(), sizeof k);
  for (int j = 0; j < 16; ++j) {
    int total = 0;
    for (int i = 0; i < 16; ++i) total += k.qs[16 * j + i];
    EXPECT_EQ(k.bsums[j], total);
  }
}

TEST(Quantize, EightBitLevelsLeaveOutMinus128) {
  // Kernels negate levels in place.
  const std::vector<float> x = gaussian(65536, 1.0f);
  for (const DType d : {DType::q8_0, DType::q8_1, DType::q8_k}) {
    const DTypeTraits& t = traits(d);
    const size_t first = d == DType::q8_0 ? 2 : 4;
    const std::vector<std::byte> blocks = quantized(d, x);
    for (size_t b = 0; b < blocks.size(); b += t.block_bytes) {
      for (size_t i = 0; i < t.block_elements; ++i) ASSERT_NE(blocks[b + first + i], std::byte{0x80}) << t.name;
    }
  }
}

}  // namespace
}  // namespace watra::tensor
