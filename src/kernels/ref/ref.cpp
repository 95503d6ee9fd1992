#include "kernels/ref/ref.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/act_format.h"
#include "kernels/tables.h"
#include "tensor/half.h"
#include "tensor/quantize.h"

namespace watra::kernels {
namespace ref {
namespace {

double dot(const float* w, const float* x, int64_t d) {
  double sum = 0;
  for (int64_t i = 0; i < d; ++i) sum += static_cast<double>(w[i]) * x[i];
  return sum;
}

double read_kv(KvType type, const std::byte* row, int64_t i) {
  if (type == KvType::f32) return reinterpret_cast<const float*>(row)[i];
  return tensor::f16_to_f32(reinterpret_cast<const uint16_t*>(row)[i]);
}

// One row and head over the visible positions in [begin, end): o [E], maximum, sum.
void attend(const AttentionArgs& a, int64_t m, int64_t h, int64_t begin, int64_t end, double* o, double& max,
            double& sum) {
  const AttentionRow& row = a.rows[m];
  const int64_t g = h / (a.n_heads / a.n_kv_heads);
  const float* q = a.q + m * a.q_stride + h * a.d_head;
  const auto place = [&](int64_t p, int64_t offset, KvType type) {
    const int64_t slot = p < row.n_shared ? p : row.tail[p - row.n_shared];
    return row.pages[slot / kKvPage] + offset + (g * kKvPage + slot % kKvPage) * a.d_head * kv_element_bytes(type);
  };
  max = -std::numeric_limits<double>::infinity();
  sum = 0;
  for (int64_t e = 0; e < a.d_head; ++e) o[e] = 0;
  const auto score = [&](int64_t p) {
    const std::byte* k = place(p, a.k_offset_bytes, a.k_type);
    double s = 0;
    for (int64_t e = 0; e < a.d_head; ++e) s += q[e] * read_kv(a.k_type, k, e);
    s *= a.scale;
    return a.softcap > 0 ? a.softcap * std::tanh(s / a.softcap) : s;
  };
  for (int64_t p = begin; p < end; ++p) max = std::max(max, score(p));
  for (int64_t p = begin; p < end; ++p) {
    const double weight = std::exp(score(p) - max);
    const std::byte* v = place(p, a.v_offset_bytes, a.v_type);
    sum += weight;
    for (int64_t e = 0; e < a.d_head; ++e) o[e] += weight * read_kv(a.v_type, v, e);
  }
}

int64_t first_visible(const AttentionArgs& a, int64_t m) {
  const int64_t p = a.rows[m].position();
  return a.window > 0 ? std::max<int64_t>(0, p - a.window + 1) : 0;
}

// ---- the table ----

void matmul_table(const MatmulArgs& a, int64_t row_begin, int64_t row_end, std::byte* scratch) {
  const int64_t d = a.w.shape.cols();
  auto* w = reinterpret_cast<float*>(scratch);
  for (int64_t r = row_begin; r < row_end; ++r) {
    tensor::dequantize_row(a.w.dtype, a.w.row(r), w, d);
    for (int64_t m = 0; m < a.m; ++m)
      a.y[m * a.y_stride + r] =
          static_cast<float>(dot(w, reinterpret_cast<const float*>(a.x + m * a.x_stride_bytes), d));
  }
}

void attention_partial(const AttentionArgs& a, int64_t unit_begin, int64_t unit_end) {
  const int64_t per_group = a.n_heads / a.n_kv_heads;
  for (int64_t unit = unit_begin; unit < unit_end; ++unit) {
    const int64_t chunk = unit % a.n_chunks, g = unit / a.n_chunks % a.n_kv_heads, m = unit / a.n_chunks / a.n_kv_heads;
    const int64_t begin = std::max(first_visible(a, m), chunk * kAttentionChunk);
    const int64_t end = std::min(a.rows[m].position() + 1, (chunk + 1) * kAttentionChunk);
    if (begin >= end) continue;
    for (int64_t h = g * per_group; h < (g + 1) * per_group; ++h) {
      std::vector<double> o(a.d_head);
      double max, sum;
      attend(a, m, h, begin, end, o.data(), max, sum);
      float* out = a.partial + ((m * a.n_heads + h) * a.n_chunks + chunk) * (a.d_head + 2);
      for (int64_t e = 0; e < a.d_head; ++e) out[e] = static_cast<float>(o[e]);
      out[a.d_head] = static_cast<float>(max);
      out[a.d_head + 1] = static_cast<float>(sum);
    }
  }
}

void attention_merge(const AttentionArgs& a, int64_t unit_begin, int64_t unit_end) {
  for (int64_t unit = unit_begin; unit < unit_end; ++unit) {
    const int64_t m = unit / a.n_heads, h = unit % a.n_heads;
    const int64_t first = first_visible(a, m) / kAttentionChunk, last = a.rows[m].position() / kAttentionChunk;
    const auto part = [&](int64_t c) { return a.partial + (unit * a.n_chunks + c) * (a.d_head + 2); };
    double max = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t c = first; c <= last; ++c) max = std::max<double>(max, part(c)[a.d_head]);
    for (int64_t c = first; c <= last; ++c) sum += std::exp(part(c)[a.d_head] - max) * part(c)[a.d_head + 1];
    for (int64_t e = 0; e < a.d_head; ++e) {
      double o = 0;
      for (int64_t c = first; c <= last; ++c) o += std::exp(part(c)[a.d_head] - max) * part(c)[e];
      a.out[m * a.out_stride + h * a.d_head + e] = static_cast<float>(o / sum);
    }
  }
}

void store_kv(KvType type, const float* src, std::byte* dst, int64_t n) {
  if (type == KvType::f32) {
    std::memcpy(dst, src, static_cast<size_t>(n) * 4);
    return;
  }
  for (int64_t i = 0; i < n; ++i) reinterpret_cast<uint16_t*>(dst)[i] = tensor::f32_to_f16(src[i]);
}

void rms_norm(const float* x, const float* weight, float* y, int64_t d, float eps) {
  double sum = 0;
  for (int64_t i = 0; i < d; ++i) sum += static_cast<double>(x[i]) * x[i];
  const double inverse = 1.0 / std::sqrt(sum / static_cast<double>(d) + eps);
  for (int64_t i = 0; i < d; ++i) y[i] = static_cast<float>(x[i] * inverse * (weight ? weight[i] : 1.0f));
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
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(activation(kind, gate[i]) * up[i]);
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

}  // namespace

void matmul(const TensorView& w, const float* x, int64_t m, double* y) {
  const int64_t d = w.shape.cols(), n_rows = w.shape.rows();
  std::vector<float> row(d);
  for (int64_t r = 0; r < n_rows; ++r) {
    tensor::dequantize_row(w.dtype, w.row(r), row.data(), d);
    for (int64_t i = 0; i < m; ++i) y[i * n_rows + r] = dot(row.data(), x + i * d, d);
  }
}

void attention(const AttentionArgs& a, double* out) {
  for (int64_t m = 0; m < a.m; ++m)
    for (int64_t h = 0; h < a.n_heads; ++h) {
      double* o = out + (m * a.n_heads + h) * a.d_head;
      double max, sum;
      attend(a, m, h, first_visible(a, m), a.rows[m].position() + 1, o, max, sum);
      for (int64_t e = 0; e < a.d_head; ++e) o[e] /= sum;
    }
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
      .matmul_scratch_bytes = [](int64_t d) { return d * static_cast<int64_t>(sizeof(float)); },
      .attention_partial = ref::attention_partial,
      .attention_merge = ref::attention_merge,
      .store_kv = ref::store_kv,
      .rms_norm = ref::rms_norm,
      .rope = ref::rope,
      .glu = ref::glu,
      .add = ref::add,
      .scale = ref::scale,
      .softcap = ref::softcap,
      .int8_burst = ref::int8_burst,
  };
  return table;
}

}  // namespace watra::kernels
