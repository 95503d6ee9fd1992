#include "kernels/ref/ref.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/act_format.h"
#include "kernels/tables.h"
#include "tensor/quantize.h"

namespace watra::kernels {
namespace ref {
namespace {

// In several sums, as one addition would wait for the other: half of a whole model's time.
double dot(const double* w, const double* x, int64_t d) {
  constexpr int kSums = 8;
  double sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= d; i += kSums)
    for (int k = 0; k < kSums; ++k) sums[k] += w[i + k] * x[i + k];
  double sum = 0;
  for (; i < d; ++i) sum += w[i] * x[i];
  for (double part : sums) sum += part;
  return sum;
}

// y(i, r): where row r of w times row i of x goes, for rows [row_begin, row_end) of w and m of x. Some rows of w at a
// time, as all of x does not fit a core's cache.
template <class Y>
void multiply(const TensorView& w, int64_t row_begin, int64_t row_end, const std::vector<double>& x, int64_t m, Y&& y) {
  constexpr int64_t kRows = 8;
  const int64_t d = w.shape.cols();
  std::vector<float> decoded(static_cast<size_t>(d));
  std::vector<double> rows(static_cast<size_t>(kRows * d));
  for (int64_t first = row_begin; first < row_end; first += kRows) {
    const int64_t n = std::min(kRows, row_end - first);
    for (int64_t r = 0; r < n; ++r) {
      tensor::dequantize_row(w.dtype, w.row(first + r), decoded.data(), d);
      std::copy(decoded.begin(), decoded.end(), rows.begin() + r * d);
    }
    for (int64_t i = 0; i < m; ++i)
      for (int64_t r = 0; r < n; ++r) y(i, first + r) = dot(rows.data() + r * d, x.data() + i * d, d);
  }
}

// ---- the table ----

// With the rows of x as they are, or as they were rounded.
void matmul_table(const MatmulArgs& a, int64_t row_begin, int64_t row_end, std::byte*) {
  const int64_t d = a.w.shape.cols();
  std::vector<double> x;
  std::vector<float> decoded(static_cast<size_t>(d));
  x.reserve(static_cast<size_t>(a.m * d));
  for (int64_t m = 0; m < a.m; ++m) {
    const float* row = reinterpret_cast<const float*>(a.x + m * a.x_stride_bytes);
    if (a.x_format != ActFormat::f32) {
      decode_act_row(a.x_format, a.x, m, a.m, decoded.data(), d);
      row = decoded.data();
    }
    x.insert(x.end(), row, row + d);
  }
  multiply(a.w, row_begin, row_end, x, a.m, [&](int64_t m, int64_t r) -> float& { return a.y[m * a.y_stride + r]; });
}

// Of the types whose products every ISA of q8/ computes in integers (ops_test.cpp compares the lists).
ActFormat int8_act_format(DType w) {
  switch (w) {
    case DType::q4_0:
    case DType::q4_1:
    case DType::q5_0:
    case DType::q5_1:
    case DType::q8_0:
    case DType::q2_k:
    case DType::q3_k:
    case DType::q4_k:
    case DType::q5_k:
    case DType::q6_k:
    case DType::iq4_nl:
    case DType::iq4_xs:
    case DType::iq2_xxs:
    case DType::iq2_xs:
    case DType::iq2_s:
    case DType::iq3_xxs:
    case DType::iq3_s:
    case DType::iq1_s:
    case DType::iq1_m:
      return ActFormat::q8;
    default:
      return ActFormat::f32;
  }
}

void rms_norm(const float* x, const float* weight, float* y, int64_t d, float eps) {
  double sum = 0;
  for (int64_t i = 0; i < d; ++i) sum += static_cast<double>(x[i]) * x[i];
  const double inverse = 1.0 / std::sqrt(sum / static_cast<double>(d) + eps);
  for (int64_t i = 0; i < d; ++i) y[i] = static_cast<float>(x[i] * inverse * (weight ? weight[i] : 1.0f));
}

void layer_norm(const float* x, const float* weight, const float* bias, float* y, int64_t d, float eps) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < d; ++i) sum += x[i];
  const double mean = sum / static_cast<double>(d);
  for (int64_t i = 0; i < d; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(d) + eps);
  for (int64_t i = 0; i < d; ++i) y[i] = static_cast<float>((x[i] - mean) * inverse * weight[i] + bias[i]);
}

void rope(float* x, int64_t n_heads, int64_t d_head, int64_t n_rot, RopeStyle style, const float* cos,
          const float* sin) {
  const int64_t half = n_rot / 2;
  for (int64_t h = 0; h < n_heads; ++h) {
    for (int64_t i = 0; i < half; ++i) {
      float& u = x[h * d_head + (style == RopeStyle::halves ? i : 2 * i)];
      float& v = x[h * d_head + (style == RopeStyle::halves ? half + i : 2 * i + 1)];
      const double a = u, b = v;
      u = static_cast<float>(a * cos[i] - b * sin[i]);
      v = static_cast<float>(a * sin[i] + b * cos[i]);
    }
  }
}

void glu(GluKind kind, const float* gate, const float* up, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(activation(kind, gate[i]) * (up ? up[i] : 1.0f));
}
void add(float* x, const float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] += y[i];
}
void scale(float* x, float s, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] *= s;
}
void softcap(float* x, float cap, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = static_cast<float>(cap * std::tanh(static_cast<double>(x[i]) / cap));
}

int64_t int8_burst(int64_t iterations) {
  volatile int8_t a = 3, b = -5;
  volatile int32_t sum = 0;
  for (int64_t i = 0; i < iterations; ++i) sum = sum + a * b;
  return iterations;
}

uint64_t read_burst(const std::byte* from, int64_t bytes, const FetchAhead&) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < bytes; i += 8) {
    uint64_t word;
    std::memcpy(&word, from + i, 8);
    sum += word;
  }
  return sum;
}

int64_t fma_burst(int64_t iterations) {
  volatile float a = 0.5f, sum = 1.0f;
  for (int64_t i = 0; i < iterations; ++i) sum = sum * a + a;
  return iterations;
}

}  // namespace

void matmul(const TensorView& w, const float* x, int64_t m, double* y) {
  const int64_t n_rows = w.shape.rows();
  multiply(w, 0, n_rows, std::vector<double>(x, x + m * w.shape.cols()), m,
           [&](int64_t i, int64_t r) -> double& { return y[i * n_rows + r]; });
}

double activation(GluKind kind, double x) {
  switch (kind) {
    case GluKind::silu:
      return x / (1 + std::exp(-x));
    case GluKind::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case GluKind::gelu_erf:
      return 0.5 * x * std::erfc(-x * M_SQRT1_2);
  }
  return 0;
}

}  // namespace ref

const Kernels& ref_table() {
  static const Kernels table = {
      .isa = "ref",
      .act_format = [](DType) { return ActFormat::f32; },
      .layout = [](DType) { return tensor::Layout::rows; },
      .act_bytes = act_bytes,
      .convert_act_row = convert_act_row,
      .supports = tensor::can_dequantize,
      .matmul = ref::matmul_table,
      .matmul_scratch_bytes = [](int64_t) { return int64_t{0}; },
      .attention_scratch_bytes = [](int64_t) { return int64_t{0}; },
      .attention_whole = ref::attention_whole,
      .attention_partial = ref::attention_partial,
      .attention_merge = ref::attention_merge,
      .store_kv = ref::store_kv,
      .store_recent = ref::store_recent,
      .rms_norm = ref::rms_norm,
      .layer_norm = ref::layer_norm,
      .rope = ref::rope,
      .glu = ref::glu,
      .add = ref::add,
      .scale = ref::scale,
      .softcap = ref::softcap,
      .int8_burst = ref::int8_burst,
      .fma_burst = ref::fma_burst,
      .read_burst = ref::read_burst,
  };
  return table;
}

const Kernels& ref_int8_table() {
  static const Kernels table = [] {
    Kernels k = ref_table();
    k.isa = "ref_int8";
    k.act_format = ref::int8_act_format;
    return k;
  }();
  return table;
}

}  // namespace watra::kernels
