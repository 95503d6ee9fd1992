// Every table of this machine over every operation but attention (attention_test.cpp): against the truth in kernels/ref
// (error bounds), and against itself (the same bits for every M and every cut into ranges).
#include "kernels/ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "kernels/act_format.h"
#include "kernels/every_table_test.h"
#include "kernels/ref/ref.h"
#include "tensor/interleave.h"
#include "tensor/quantize.h"

namespace watra::kernels {
namespace {

// Random bytes whose blocks mean ordinary numbers, whatever the format: every bit pattern of the integers appears.
std::vector<std::byte> random_weights(Rng& rng, DType dtype, int64_t elements) {
  const auto& t = tensor::traits(dtype);
  std::vector<std::byte> out(tensor::row_bytes(dtype, elements));
  if (t.block_elements == 1) {
    const auto v = normal_floats(rng, elements);
    for (int64_t i = 0; i < elements; ++i) {
      if (dtype == DType::f32) std::memcpy(out.data() + 4 * i, &v[i], 4);
      const uint16_t half = dtype == DType::f16 ? tensor::f32_to_f16(v[i]) : tensor::f32_to_bf16(v[i]);
      if (dtype != DType::f32) std::memcpy(out.data() + 2 * i, &half, 2);
    }
    return out;
  }
  std::vector<float> values(t.block_elements);
  for (int64_t at = 0; at < elements; at += t.block_elements) {
    std::byte* block = out.data() + at / t.block_elements * t.block_bytes;
    for (;;) {
      for (uint32_t i = 0; i < t.block_bytes; ++i) block[i] = static_cast<std::byte>(rng());
      tensor::dequantize_row(dtype, block, values.data(), t.block_elements);
      float largest = 0;
      bool finite = true;
      for (float v : values) {
        finite &= std::isfinite(v);
        largest = std::max(largest, std::fabs(v));
      }
      if (finite && largest > 1e-2f && largest < 10.0f) break;
    }
  }
  return out;
}

std::vector<DType> weight_dtypes() {
  std::vector<DType> out;
  for (const auto& t : tensor::all_dtypes())
    if (tensor::can_dequantize(t.dtype)) out.push_back(t.dtype);
  return out;
}

INSTANTIATE_TEST_SUITE_P(Kernels, EveryTable, testing::ValuesIn(every_table()), table_name);

// ---- products ----

// Rows [first, first + m) of x as the kernels want them.
struct Acts {
  Acts(const Kernels& k, ActFormat format, const float* x, int64_t m, int64_t d)
      : format(format),
        stride(format == ActFormat::f32 ? d * 4 + 4 : 0),
        m(m),
        bytes(k.act_bytes(format, m, d) + m * 4) {
    for (auto& b : bytes.bytes) b = std::byte{0xa5};  // what nobody wrote must not matter
    for (int64_t i = 0; i < m; ++i)
      if (format == ActFormat::f32)
        std::memcpy(bytes.data() + i * stride, x + i * d, d * 4);
      else
        k.convert_act_row(format, x + i * d, bytes.data(), i, m, d);
  }
  ActFormat format;
  int64_t stride, m;
  AlignedBytes bytes;
};

std::vector<float> run_matmul(const Kernels& k, const TensorView& w, Acts& x, Rng* cuts) {
  const int64_t n_rows = w.shape.rows(), y_stride = n_rows + 3, m = x.m;
  AlignedBytes scratch(k.matmul_scratch_bytes(w.shape.cols()));
  std::vector<float> y(m * y_stride, std::numeric_limits<float>::quiet_NaN());
  MatmulArgs args{w, x.bytes.data(), x.stride, m, y.data(), y_stride, x.format};
  if (cuts) args.next_row_end = n_rows;
  for (int64_t r = 0; r < n_rows;) {
    const int64_t left = (n_rows - r + kRowGroup - 1) / kRowGroup;
    const int64_t groups = cuts ? 1 + static_cast<int64_t>((*cuts)() % left) : left;
    const int64_t end = std::min(n_rows, r + groups * kRowGroup);
    k.matmul(args, r, end, scratch.data());
    args.is_fetched = cuts != nullptr;
    r = end;
  }
  std::vector<float> packed(m * n_rows);
  for (int64_t i = 0; i < m; ++i) {
    std::copy_n(y.data() + i * y_stride, n_rows, packed.data() + i * n_rows);
    for (int64_t j = n_rows; j < y_stride; ++j) EXPECT_TRUE(std::isnan(y[i * y_stride + j])) << "wrote past the rows";
  }
  return packed;
}

// Ordinary values with a few outliers, as activations have them.
std::vector<float> activation_like(Rng& rng, size_t n) {
  auto x = normal_floats(rng, n);
  for (float& v : x)
    if (rng() % 97 == 0) v *= 20.0f;
  return x;
}

TEST_P(EveryTable, ProductsMeetTheTruthAndNeverDependOnMCutOrLayout) {
  Rng rng(1);
  for (DType dtype : weight_dtypes()) {
    SCOPED_TRACE(tensor::dtype_name(dtype));
    if (!k.supports(dtype)) continue;
    const int64_t block = tensor::traits(dtype).block_elements;
    std::vector<std::pair<int64_t, int64_t>> shapes = {{48, 4 * block}, {37, 3 * block}, {1, block}, {16, 9 * block}};
    if (block == 32) shapes.push_back({33, 18 * block});
    if (block == 1) shapes = {{48, 256}, {37, 77}, {1, 3}, {5, 8}, {19, 2089}, {83, 545}};
    for (const auto& [n_rows, d] : shapes) {
      SCOPED_TRACE(testing::Message() << n_rows << " x " << d);
      const auto bytes = random_weights(rng, dtype, n_rows * d);
      const TensorView w{dtype, tensor::Layout::rows, {n_rows, d}, bytes.data()};
      constexpr int64_t kMost = 273;  // more than a block of tokens, and not a multiple of anything
      const auto x = activation_like(rng, kMost * d);
      const ActFormat format = k.act_format(dtype);
      Acts acts(k, format, x.data(), kMost, d);
      std::vector<float> x_meant(x);
      if (format != ActFormat::f32)
        for (int64_t i = 0; i < kMost; ++i) {  // one at a time: how many lie together is a table's own
          Acts one(k, format, x.data() + i * d, 1, d);
          decode_act_row(format, one.bytes.data(), 0, 1, x_meant.data() + i * d, d);
        }
      std::vector<double> truth(kMost * n_rows);
      ref::matmul(w, x_meant.data(), kMost, truth.data());
      const auto all = run_matmul(k, w, acts, nullptr);
      ASSERT_LE(nmse(all.data(), truth.data(), truth.size()), 1e-11);
      // As a model's weights lie once it is loaded, where a table wants them so.
      AlignedBytes mixed(bytes.size());
      std::memcpy(mixed.data(), bytes.data(), bytes.size());
      TensorView loaded = w;
      if (k.layout(dtype) == tensor::Layout::interleaved_16) {
        const uint64_t row_bytes = tensor::row_bytes(dtype, d);
        for (int64_t r = 0; r + 16 <= n_rows; r += 16)
          tensor::interleave_group(dtype, bytes.data() + r * row_bytes, row_bytes, d, mixed.data() + r * row_bytes);
        loaded = {dtype, tensor::Layout::interleaved_16, {n_rows, d}, mixed.data()};
      }
      for (const int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 33, 48, 49, 72}) {
        const int64_t first = static_cast<int64_t>(rng() % (kMost - m));
        Acts few(k, format, x.data() + first * d, m, d);
        for (const TensorView* view : {&w, &std::as_const(loaded)}) {
          const auto some = run_matmul(k, *view, few, &rng);
          ASSERT_TRUE(same_bits(some.data(), all.data() + first * n_rows, some.size()))
              << "M = " << m << " from row " << first << (view == &w ? "" : ", interleaved");
        }
      }
      for (const TensorView* view : {&w, &std::as_const(loaded)}) {
        const auto cut = run_matmul(k, *view, acts, &rng);
        ASSERT_TRUE(same_bits(cut.data(), all.data(), all.size()))
            << "cut into ranges" << (view == &w ? "" : ", interleaved");
      }
    }
  }
}

// `ref_int8` rounds what they round, so that a whole model in it differs from theirs by the order of sums alone.
TEST(Kernels, TheTruthOfRoundedActivationsRoundsWhatTheIntegerTablesRound) {
  const Kernels& truth = *select("ref_int8").value();
  for (const Kernels* k : available()) {
    if (is_truth(*k) || k->isa == "generic") continue;
    for (DType dtype : weight_dtypes()) {
      const ActFormat format = k->act_format(dtype);
      EXPECT_EQ(truth.act_format(dtype) == ActFormat::q8, is_integer(format))
          << k->isa << ' ' << tensor::dtype_name(dtype);
    }
  }
}

// What is measured in one form of an instruction holds for the other.
TEST(Kernels, IntegerProductsHaveTheSameBitsOnEveryIsa) {
  Rng rng(5);
  constexpr int64_t kRows = 35, kCols = 1536, kMost = 300;  // columns: one chunk of tiles and a part of another
  for (DType dtype : weight_dtypes()) {
    SCOPED_TRACE(tensor::dtype_name(dtype));
    const auto bytes = random_weights(rng, dtype, kRows * kCols);
    const TensorView w{dtype, tensor::Layout::rows, {kRows, kCols}, bytes.data()};
    auto x = activation_like(rng, kMost * kCols);
    for (int64_t m = 0; m < kMost; ++m) x[m * kCols + 70] = 30.0f;  // a block in which every token has a rest
    for (const int64_t n_tokens : {int64_t{5}, int64_t{50}, kMost}) {
      std::vector<float> first;
      for (const Kernels* k : available()) {
        if (is_truth(*k) || k->act_format(dtype) == ActFormat::f32) continue;
        Acts acts(*k, k->act_format(dtype), x.data(), n_tokens, kCols);
        const auto y = run_matmul(*k, w, acts, nullptr);
        if (first.empty()) first = y;
        EXPECT_TRUE(same_bits(y.data(), first.data(), y.size())) << k->isa << ", M = " << n_tokens;
      }
    }
  }
}

TEST_P(EveryTable, ActivationsAreRoundedToBf16AndTwiceWhereItMatters) {
  Rng rng(3);
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (int64_t d : {1, 31, 32, 77, 1310}) {
    auto x = normal_floats(rng, d);
    x[0] = 1.00390625f;  // half way between two: to the even one, 1
    if (d == 77) x[1] = 1.01171875f, x[2] = -0.0f, x[3] = 3.4e38f, x[4] = -kInf, x[40] = 1e-37f;
    if (d > 1300) x[1] = 1.01171875f, x[70] = 100.3f, x[1305] = -99.7f;  // blocks 2 and 40 have a rest
    for (const int64_t m : {1, 3}) {
      std::vector<std::byte> got(k.act_bytes(ActFormat::bf16, m, d), std::byte{0xa5}), want(got);
      ASSERT_EQ(got.size(), act_bytes(ActFormat::bf16, m, d));
      for (int64_t i = 0; i < m; ++i) {
        k.convert_act_row(ActFormat::bf16, x.data(), got.data(), i, m, d);
        convert_act_row(ActFormat::bf16, x.data(), want.data(), i, m, d);
      }
      EXPECT_EQ(got, want) << d;
      std::vector<float> back(d);
      decode_act_row(ActFormat::bf16, got.data(), m - 1, m, back.data(), d);
      EXPECT_EQ(back[0], 1.0f);
      for (int64_t i = 1; i < d; ++i) {
        const bool fine = d > 1300 && (i / 32 == 2 || i / 32 == 40);
        EXPECT_TRUE(!std::isfinite(back[i]) ||
                    std::fabs(back[i] - x[i]) <= std::fabs(x[i]) / (fine ? 65536.0f : 256.0f))
            << i;
      }
      EXPECT_TRUE(d < 77 || back[1] == 1.015625f);
    }
  }
}

TEST_P(EveryTable, ActivationsAreConvertedAsTheFormatSays) {
  Rng rng(2);
  auto x = normal_floats(rng, 320);
  std::fill_n(x.begin() + 32, 32, 0.0f);   // a block of zeros
  std::fill_n(x.begin() + 64, 32, -3.5f);  // all at the edge
  for (int i = 96; i < 128; ++i) x[i] *= 1e-30f;
  for (int i = 128; i < 160; ++i) x[i] *= 1e3f;                               // outliers: this block has a rest
  for (int i = 160; i < 192; ++i) x[i] *= 1e-42f;                             // subnormal
  for (int i = 192; i < 224; ++i) x[i] = static_cast<float>(i - 208) * 0.5f;  // halves: ties
  x[223] = 127.0f;
  for (const ActFormat format : {ActFormat::q8, ActFormat::q8_4, ActFormat::q8_8, ActFormat::q8_16, ActFormat::q8_32,
                                 ActFormat::q8_64, ActFormat::q8_128})
    for (const float factor : {1.0f, 1e30f}) {
      auto scaled = x;
      for (float& v : scaled) v *= factor;
      for (const int64_t m : {1, 5}) {
        std::vector<std::byte> got(k.act_bytes(format, m, 320)), want(act_bytes(format, m, 320));
        ASSERT_EQ(got.size(), want.size());
        for (int64_t i = 0; i < m; ++i) {
          k.convert_act_row(format, scaled.data(), got.data(), i, m, 320);
          convert_act_row(format, scaled.data(), want.data(), i, m, 320);
        }
        EXPECT_EQ(got, want);
        std::vector<float> back(320);
        decode_act_row(format, got.data(), m - 1, m, back.data(), 320);
        for (int b = 0; b < 10; ++b) {
          float largest = 0;
          for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(scaled[32 * b + i]));
          const bool fine = b == 4 && factor == 1.0f;
          for (int i = 0; i < 32; ++i)
            EXPECT_LE(std::fabs(back[32 * b + i] - scaled[32 * b + i]), largest / (fine ? 60000 : 250) + kActSmallest);
        }
      }
    }
}

// ---- small ops ----

TEST_P(EveryTable, NormsMeetTheTruth) {
  Rng rng(5);
  for (int64_t d : {1, 3, 8, 15, 16, 17, 64, 576, 2051}) {
    const auto x = normal_floats(rng, d, 3.0f), weight = normal_floats(rng, d);
    std::vector<float> y(d);
    std::vector<double> truth(d);
    double sum = 0;
    for (float v : x) sum += static_cast<double>(v) * v;
    for (bool weighted : {true, false}) {
      for (int64_t i = 0; i < d; ++i) truth[i] = x[i] / std::sqrt(sum / d + 1e-5) * (weighted ? weight[i] : 1.0f);
      k.rms_norm(x.data(), weighted ? weight.data() : nullptr, y.data(), d, 1e-5f);
      EXPECT_LE(nmse(y.data(), truth.data(), d), 1e-12) << d;
    }
    auto in_place = x;
    k.rms_norm(in_place.data(), nullptr, in_place.data(), d, 1e-5f);
    EXPECT_TRUE(same_bits(in_place.data(), y.data(), d));
  }
}

TEST_P(EveryTable, LayerNormsMeetTheTruthFarFromZeroToo) {
  Rng rng(8);
  for (int64_t d : {1, 3, 8, 15, 16, 17, 64, 384, 2051}) {
    for (const float offset : {0.0f, 50.0f}) {
      auto x = normal_floats(rng, d, 3.0f);
      for (float& v : x) v += offset;
      const auto weight = normal_floats(rng, d), bias = normal_floats(rng, d);
      double sum = 0, squares = 0;
      for (float v : x) sum += v;
      for (float v : x) squares += (v - sum / d) * (v - sum / d);
      std::vector<double> truth(d);
      for (int64_t i = 0; i < d; ++i)
        truth[i] = (x[i] - sum / d) / std::sqrt(squares / d + 1e-12) * weight[i] + bias[i];
      if (d == 1) truth[0] = bias[0];
      std::vector<float> y(d);
      k.layer_norm(x.data(), weight.data(), bias.data(), y.data(), d, 1e-12f);
      EXPECT_LE(nmse(y.data(), truth.data(), d), 1e-10) << d << " around " << offset;
      k.layer_norm(x.data(), weight.data(), bias.data(), x.data(), d, 1e-12f);
      EXPECT_TRUE(same_bits(x.data(), y.data(), d)) << d << ", in place";
    }
  }
}

TEST_P(EveryTable, RopeTurnsPairs) {
  Rng rng(6);
  for (const auto& [d_head, n_rot] : {std::pair<int64_t, int64_t>{64, 64}, {80, 32}, {10, 6}, {128, 128}}) {
    for (RopeStyle style : {RopeStyle::adjacent, RopeStyle::halves}) {
      const int64_t heads = 3, half = n_rot / 2;
      const auto x = normal_floats(rng, heads * d_head);
      const auto angles = normal_floats(rng, half, 5.0f);
      std::vector<float> cos(half), sin(half);
      for (int64_t i = 0; i < half; ++i) cos[i] = std::cos(angles[i]), sin[i] = std::sin(angles[i]);
      std::vector<double> truth(x.begin(), x.end());
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < half; ++i) {
          const int64_t u = h * d_head + (style == RopeStyle::halves ? i : 2 * i);
          const int64_t v = h * d_head + (style == RopeStyle::halves ? i + half : 2 * i + 1);
          truth[u] = double{x[u]} * cos[i] - double{x[v]} * sin[i];
          truth[v] = double{x[u]} * sin[i] + double{x[v]} * cos[i];
        }
      auto y = x;
      k.rope(y.data(), heads, d_head, n_rot, style, cos.data(), sin.data());
      EXPECT_LE(nmse(y.data(), truth.data(), y.size()), 1e-13);
      for (int64_t h = 0; h < heads; ++h)
        EXPECT_TRUE(same_bits(y.data() + h * d_head + n_rot, x.data() + h * d_head + n_rot, d_head - n_rot));
    }
  }
}

// Distance in units of the truth's last place.
double ulps(float got, double want) {
  const float f = static_cast<float>(want);
  const double ulp = std::fabs(f) < 0x1p-126f ? 0x1p-149 : std::ldexp(1.0, std::ilogb(f) - 23);
  return std::fabs(got - want) / ulp;
}

TEST_P(EveryTable, GatesMeetTheTruthInBodyAndTail) {
  std::vector<float> x;
  for (float v = -30.0f; v <= 30.0f; v += 0.00371f) x.push_back(v);
  for (float v = 1e-30f; v < 40.0f; v *= 1.07f) x.push_back(v), x.push_back(-v);
  const std::vector<float> ones(x.size(), 1.0f);
  for (GluKind kind : {GluKind::silu, GluKind::gelu_tanh, GluKind::gelu_erf}) {
    std::vector<float> y(x.size());
    k.glu(kind, x.data(), ones.data(), y.data(), static_cast<int64_t>(x.size()));
    std::vector<float> alone(x.size());
    k.glu(kind, x.data(), nullptr, alone.data(), static_cast<int64_t>(x.size()));
    EXPECT_TRUE(same_bits(alone.data(), y.data(), static_cast<int64_t>(x.size()))) << "without a second factor";
    double worst = 0, worst_relative_to_x = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = ref::activation(kind, x[i]);
      if (std::fabs(want) > 1e-3 * std::fabs(x[i])) worst = std::max(worst, ulps(y[i], want));
      worst_relative_to_x = std::max(worst_relative_to_x, std::fabs(y[i] - want) / std::fabs(x[i]));
    }
    EXPECT_LE(worst, 16.0) << "kind " << static_cast<int>(kind);
    EXPECT_LE(worst_relative_to_x, 2.5e-7) << "kind " << static_cast<int>(kind);
    // One element at a time: everything is a tail.
    for (size_t i = 0; i < x.size(); i += 97) {
      float one = 0;
      k.glu(kind, &x[i], &ones[i], &one, 1);
      ASSERT_EQ(std::bit_cast<uint32_t>(one), std::bit_cast<uint32_t>(y[i])) << x[i];
    }
    const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    float odd[3] = {1e30f, -1e30f, nan}, out[3];
    const float up[3] = {1, 1, 1};
    k.glu(kind, odd, up, out, 3);
    EXPECT_EQ(out[0], 1e30f);
    EXPECT_EQ(out[1], 0.0f);
    EXPECT_TRUE(std::isnan(out[2]));
    EXPECT_FALSE(std::isinf(out[0]) && inf > 0);
  }
}

TEST_P(EveryTable, SoftcapMeetsTheTruth) {
  std::vector<float> x;
  for (float v = -300.0f; v <= 300.0f; v += 0.0371f) x.push_back(v);
  for (float v = 1e-20f; v < 1e6f; v *= 1.1f) x.push_back(v), x.push_back(-v);
  auto y = x;
  k.softcap(y.data(), 30.0f, static_cast<int64_t>(y.size()));
  for (size_t i = 0; i < x.size(); ++i) ASSERT_LE(ulps(y[i], 30.0 * std::tanh(double{x[i]} / 30.0)), 4.0) << x[i];
  for (size_t i = 0; i < x.size(); i += 31) {
    float one = x[i];
    k.softcap(&one, 30.0f, 1);
    ASSERT_EQ(std::bit_cast<uint32_t>(one), std::bit_cast<uint32_t>(y[i]));
  }
}

TEST_P(EveryTable, SumsAndFactorsAreExact) {
  Rng rng(7);
  for (int64_t n : {1, 5, 16, 77}) {
    const auto x = normal_floats(rng, n), y = normal_floats(rng, n);
    auto sum = x, scaled = x;
    k.add(sum.data(), y.data(), n);
    k.scale(scaled.data(), 0.37f, n);
    for (int64_t i = 0; i < n; ++i) {
      EXPECT_EQ(sum[i], x[i] + y[i]);
      EXPECT_EQ(scaled[i], x[i] * 0.37f);
    }
  }
}

TEST_P(EveryTable, BurstCountsItsWork) {
  const int64_t few = k.int8_burst(10), many = k.int8_burst(1000);
  EXPECT_GT(few, 0);
  EXPECT_EQ(many, 100 * few);
}

// ---- choice ----

TEST(Dispatch, NamesAreFoundAndUnknownOnesListed) {
  ASSERT_FALSE(available().empty());
  for (const Kernels* k : available()) EXPECT_EQ(select(k->isa).value(), k);
  const auto wrong = select("mmx");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, "kernels.unknown_isa");
  EXPECT_NE(wrong.error().hint.find("generic"), std::string::npos);
  ASSERT_EQ(setenv("WATRA_ISA", "generic", 1), 0);
  EXPECT_EQ(select().value()->isa, "generic");
  unsetenv("WATRA_ISA");
  EXPECT_EQ(select().value(), available().back());
}

}  // namespace
}  // namespace watra::kernels
