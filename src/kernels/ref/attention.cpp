// The truth of attention: scores, maximum, weights and sums of one row and head after the other, in double.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/ref/ref.h"
#include "tensor/half.h"
#include "tensor/quantize.h"

namespace watra::kernels::ref {
namespace {

// Sums and differences at distances 1, 2, 4, ...; orthonormal, and its own inverse.
std::vector<double> hadamard(std::vector<double> x) {
  const size_t size = std::min<size_t>(x.size() & -x.size(), 256);
  for (size_t half = 1; half < size; half *= 2)
    for (size_t i = 0; i < x.size(); ++i) {
      if (i & half) continue;
      const double a = x[i], b = x[i + half];
      x[i] = a + b;
      x[i + half] = a - b;
    }
  for (double& v : x) v /= std::sqrt(static_cast<double>(size));
  return x;
}

std::vector<double> read_kv(KvType type, const std::byte* row, int64_t n) {
  std::vector<double> out(static_cast<size_t>(n));
  switch (type) {
    case KvType::f32:
      for (int64_t i = 0; i < n; ++i) out[static_cast<size_t>(i)] = reinterpret_cast<const float*>(row)[i];
      return out;
    case KvType::f16:
      for (int64_t i = 0; i < n; ++i)
        out[static_cast<size_t>(i)] = tensor::f16_to_f32(reinterpret_cast<const uint16_t*>(row)[i]);
      return out;
    case KvType::q8_0:
    case KvType::q4_0:
      break;
  }
  std::vector<float> padded(static_cast<size_t>((n + 31) / 32 * 32));
  tensor::dequantize_row(type == KvType::q8_0 ? DType::q8_0 : DType::q4_0, row, padded.data(),
                         static_cast<int64_t>(padded.size()));
  out.assign(padded.begin(), padded.begin() + n);
  return type == KvType::q4_0 ? hadamard(out) : out;
}

struct Head {
  std::vector<double> o;
  double max = -std::numeric_limits<double>::infinity(), sum = 0;
};

// One row and head over the visible positions in [begin, end).
Head attend(const AttentionArgs& a, int64_t m, int64_t h, int64_t begin, int64_t end) {
  const AttentionRow& row = a.rows[m];
  const int64_t g = h / (a.n_heads / a.n_kv_heads);
  const float* q = a.q + m * a.q_stride + h * a.d_head;
  const auto read = [&](int64_t p, int64_t offset, KvType type, int64_t recent_offset) {
    const int64_t slot = p < row.n_shared ? p : row.tail[p - row.n_shared];
    const int64_t place = g * kKvPage + slot % kKvPage;
    const bool is_exact = p < kKvPage || p / kKvPage == row.position() / kKvPage;
    if (row.recent && is_quantized(type) && is_exact) {
      const std::byte* page = a.recent[row.recent[slot / kKvPage]] + recent_offset;
      const auto as_computed = read_kv(KvType::f16, page + place * kv_row_bytes(KvType::f16, a.d_head), a.d_head);
      return type == KvType::q4_0 ? hadamard(as_computed) : as_computed;
    }
    return read_kv(type, row.pages[slot / kKvPage] + offset + place * kv_row_bytes(type, a.d_head), a.d_head);
  };
  std::vector<double> scores;
  Head out;
  for (int64_t p = begin; p < end; ++p) {
    const auto k = read(p, a.k_offset_bytes, a.k_type, 0);
    double s = 0;
    for (int64_t e = 0; e < a.d_head; ++e) s += q[e] * k[static_cast<size_t>(e)];
    s *= a.scale;
    scores.push_back(a.softcap > 0 ? a.softcap * std::tanh(s / a.softcap) : s);
    out.max = std::max(out.max, scores.back());
  }
  out.o.assign(static_cast<size_t>(a.d_head), 0.0);
  for (int64_t p = begin; p < end; ++p) {
    const double weight = std::exp(scores[static_cast<size_t>(p - begin)] - out.max);
    const auto v = read(p, a.v_offset_bytes, a.v_type, a.recent_v_offset_bytes);
    out.sum += weight;
    for (size_t e = 0; e < v.size(); ++e) out.o[e] += weight * v[e];
  }
  return out;
}

int64_t first_visible(const AttentionArgs& a, int64_t m) {
  const int64_t p = a.rows[m].position();
  return a.window > 0 ? std::max<int64_t>(0, p - a.window + 1) : 0;
}

// fn(m, h) for the rows of a block and the heads of a kv head.
template <class Fn>
void for_pairs(const AttentionArgs& a, const AttentionBlock& block, int64_t g, Fn&& fn) {
  const int64_t per_group = a.n_heads / a.n_kv_heads;
  for (int64_t m = block.first; m < block.first + block.n; ++m)
    for (int64_t h = g * per_group; h < (g + 1) * per_group; ++h) fn(m, h);
}

}  // namespace

void attention(const AttentionArgs& a, int64_t m, double* out) {
  for (int64_t h = 0; h < a.n_heads; ++h) {
    const Head head = attend(a, m, h, first_visible(a, m), a.rows[m].position() + 1);
    for (int64_t e = 0; e < a.d_head; ++e) out[h * a.d_head + e] = head.o[static_cast<size_t>(e)] / head.sum;
  }
}

void attention_partial(const AttentionArgs& a, int64_t unit_begin, int64_t unit_end, std::byte*) {
  const int64_t width = attention_partial_width(a.d_head);
  for (int64_t unit = unit_begin; unit < unit_end; ++unit) {
    const int64_t c = unit % a.n_chunks, g = unit / a.n_chunks % a.n_kv_heads;
    for_pairs(a, a.blocks[unit / a.n_chunks / a.n_kv_heads], g, [&](int64_t m, int64_t h) {
      const int64_t begin = std::max(first_visible(a, m), c * kAttentionChunk);
      const int64_t end = std::min(a.rows[m].position() + 1, (c + 1) * kAttentionChunk);
      if (begin >= end) return;
      const Head head = attend(a, m, h, begin, end);
      float* out = a.partial + (((m - a.partial_row) * a.n_heads + h) * a.n_chunks + c) * width;
      for (size_t e = 0; e < head.o.size(); ++e) out[e] = static_cast<float>(head.o[e]);
      out[width - 2] = static_cast<float>(head.max);
      out[width - 1] = static_cast<float>(head.sum);
    });
  }
}

void attention_merge(const AttentionArgs& a, int64_t unit_begin, int64_t unit_end) {
  const int64_t width = attention_partial_width(a.d_head);
  for (int64_t unit = unit_begin; unit < unit_end; ++unit) {
    const int64_t m = unit / a.n_heads, h = unit % a.n_heads;
    const int64_t first = first_visible(a, m) / kAttentionChunk, last = a.rows[m].position() / kAttentionChunk;
    const auto part = [&](int64_t c) {
      return a.partial + ((unit - a.partial_row * a.n_heads) * a.n_chunks + c) * width;
    };
    double max = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t c = first; c <= last; ++c) max = std::max<double>(max, part(c)[width - 2]);
    for (int64_t c = first; c <= last; ++c) sum += std::exp(part(c)[width - 2] - max) * part(c)[width - 1];
    for (int64_t e = 0; e < a.d_head; ++e) {
      double o = 0;
      for (int64_t c = first; c <= last; ++c) o += std::exp(part(c)[width - 2] - max) * part(c)[e];
      a.out[m * a.out_stride + h * a.d_head + e] = static_cast<float>(o / sum);
    }
  }
}

void attention_whole(const AttentionArgs& a, int64_t unit_begin, int64_t unit_end, std::byte*) {
  for (int64_t unit = unit_begin; unit < unit_end; ++unit) {
    const AttentionBlock block = a.blocks[unit / a.n_kv_heads];
    const AttentionBlock own{0, block.n};
    std::vector<float> partial(static_cast<size_t>(attention_partial_floats(block.n, a.n_heads, a.d_head, a.n_chunks)));
    AttentionArgs b = a;
    b.q += block.first * a.q_stride;
    b.out += block.first * a.out_stride;
    b.rows += block.first;
    b.blocks = &own;
    b.partial = partial.data();
    b.partial_row = 0;
    const int64_t g = unit % a.n_kv_heads, per_group = a.n_heads / a.n_kv_heads;
    attention_partial(b, g * a.n_chunks, (g + 1) * a.n_chunks, nullptr);
    for (int64_t m = 0; m < block.n; ++m)
      attention_merge(b, m * a.n_heads + g * per_group, m * a.n_heads + (g + 1) * per_group);
  }
}

void store_kv(KvType type, const float* src, std::byte* dst, int64_t n) {
  if (type == KvType::f32) {
    std::memcpy(dst, src, static_cast<size_t>(n) * 4);
    return;
  }
  if (type == KvType::f16) {
    for (int64_t i = 0; i < n; ++i) reinterpret_cast<uint16_t*>(dst)[i] = tensor::f32_to_f16(src[i]);
    return;
  }
  const auto x = type == KvType::q4_0 ? hadamard(std::vector<double>(src, src + n)) : std::vector<double>(src, src + n);
  std::vector<float> padded(static_cast<size_t>((n + 31) / 32 * 32));
  for (size_t i = 0; i < x.size(); ++i) padded[i] = static_cast<float>(x[i]);
  tensor::quantize_row(type == KvType::q8_0 ? DType::q8_0 : DType::q4_0, padded.data(), dst,
                       static_cast<int64_t>(padded.size()));
}

void store_recent(KvType type, const float* src, std::byte* dst, int64_t n) {
  const auto x = type == KvType::q4_0 ? hadamard(std::vector<double>(src, src + n)) : std::vector<double>(src, src + n);
  const std::vector<float> turned(x.begin(), x.end());
  store_kv(KvType::f16, turned.data(), dst, n);
}

}  // namespace watra::kernels::ref
