// Attention of one row over one chunk of its positions, for the heads that share a kv head; then the merge of the
// chunks.
//
//   s[h,p] = scale * q[h] . k[p]   (soft-capped),   o[h] = sum_p exp(s[h,p] - max) v[p],   l[h] = sum_p exp(s[h,p] -
//   max)
//
//   K, V  pages of [G, kKvPage, E], f16 or f32      read once per four heads
//   Q     [M, H, E] f32
//   O     partial: o [E], max, l per (row, head, chunk)
//
// Order: tiles of kKvPage absolute positions left to right, each with its own maximum folded into the running one; q.k
// over eight lanes left to right; o one FMA per position; l eight lanes by position in the tile, then fold_sum. Where a
// position lies (shared prefix or tail slot) changes nothing: decode, a chain and a branch of a tree give the same
// bits.
#pragma once

#include "kernels/lanes/math.h"
#include "kernels/ops.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

template <KvType kType>
F8 load_kv(const std::byte* p, int64_t i) {
  if constexpr (kType == KvType::f16)
    return load_f16(reinterpret_cast<const uint16_t*>(p) + i);
  else
    return load(reinterpret_cast<const float*>(p) + i);
}
template <KvType kType>
F8 load_kv_tail(const std::byte* p, int64_t i, int64_t n) {
  if constexpr (kType == KvType::f16) {
    uint16_t buffer[8] = {};
    for (int64_t j = 0; j < n; ++j) buffer[j] = reinterpret_cast<const uint16_t*>(p)[i + j];
    return load_f16(buffer);
  } else {
    return load_tail(reinterpret_cast<const float*>(p) + i, n);
  }
}

inline float exp_one(float x) {
  float lanes[8];
  store(lanes, exp(set(x)));
  return lanes[0];
}

// The positions a row sees, [first, last].
struct Visible {
  int64_t first, last;
};
inline Visible visible(const AttentionArgs& a, const AttentionRow& row) {
  const int64_t last = row.n_shared + row.n_tail - 1;
  return {a.window > 0 && last >= a.window ? last - a.window + 1 : 0, last};
}

inline constexpr float kMinusInfinity = -__builtin_inff();

// q.k of kHeads heads and n positions into s[h * kKvPage + j].
template <KvType kType, int kHeads>
inline void scores(const float* q, int64_t d_head, const std::byte* const* keys, int64_t n, float* s) {
  constexpr int kPositions = 8 / kHeads;  // eight sums side by side
  for (int64_t j = 0; j < n; j += kPositions) {
    const std::byte* k[kPositions];
    F8 acc[8];
    for (int p = 0; p < kPositions; ++p) k[p] = keys[j + p < n ? j + p : n - 1];
    for (int i = 0; i < 8; ++i) acc[i] = zero();
    int64_t e = 0;
    for (; e + 8 <= d_head; e += 8) {
      F8 ks[kPositions];
      for (int p = 0; p < kPositions; ++p) ks[p] = load_kv<kType>(k[p], e);
      for (int h = 0; h < kHeads; ++h) {
        const F8 qs = load(q + h * d_head + e);
        for (int p = 0; p < kPositions; ++p) acc[h * kPositions + p] = fma(qs, ks[p], acc[h * kPositions + p]);
      }
    }
    if (e < d_head) {
      for (int h = 0; h < kHeads; ++h) {
        const F8 qs = load_tail(q + h * d_head + e, d_head - e);
        for (int p = 0; p < kPositions; ++p)
          acc[h * kPositions + p] = fma(qs, load_kv_tail<kType>(k[p], e, d_head - e), acc[h * kPositions + p]);
      }
    }
    float sums[8];
    store(sums, fold_sum8(acc));
    for (int h = 0; h < kHeads; ++h)
      for (int p = 0; p < kPositions && j + p < n; ++p) s[h * kKvPage + j + p] = sums[h * kPositions + p];
  }
}

// o[h] = o[h] * correction[h] + sum_j weight[h * kKvPage + j] * v[j]
template <KvType kType, int kHeads>
inline void weighted_values(const float* weight, const float* correction, const std::byte* const* values, int64_t n,
                            int64_t d_head, float* const* o) {
  const auto columns = [&]<int kVectors>(int64_t e) {
    F8 acc[kHeads][kVectors];
    for (int h = 0; h < kHeads; ++h)
      for (int i = 0; i < kVectors; ++i) acc[h][i] = load(o[h] + e + 8 * i) * set(correction[h]);
    for (int64_t j = 0; j < n; ++j) {
      F8 v[kVectors];
      for (int i = 0; i < kVectors; ++i) v[i] = load_kv<kType>(values[j], e + 8 * i);
      for (int h = 0; h < kHeads; ++h) {
        const F8 w = set(weight[h * kKvPage + j]);
        for (int i = 0; i < kVectors; ++i) acc[h][i] = fma(w, v[i], acc[h][i]);
      }
    }
    for (int h = 0; h < kHeads; ++h)
      for (int i = 0; i < kVectors; ++i) store(o[h] + e + 8 * i, acc[h][i]);
  };
  constexpr int kWide = kHeads >= 4 ? 2 : 4;
  int64_t e = 0;
  for (; e + 8 * kWide <= d_head; e += 8 * kWide) columns.template operator()<kWide>(e);
  for (; e + 8 <= d_head; e += 8) columns.template operator()<1>(e);
  if (e == d_head) return;
  const int64_t rest = d_head - e;
  for (int h = 0; h < kHeads; ++h) {
    F8 acc = load_tail(o[h] + e, rest) * set(correction[h]);
    for (int64_t j = 0; j < n; ++j)
      acc = fma(set(weight[h * kKvPage + j]), load_kv_tail<kType>(values[j], e, rest), acc);
    store_tail(o[h] + e, acc, rest);
  }
}

// Turns the n scores of one tile and head into weights; updates the running maximum and sum; returns the factor on what
// was summed before.
inline float soften(float* s, int64_t n, float scale_, float cap, float& running_max, float& running_sum) {
  const int64_t padded = (n + 7) / 8 * 8;
  for (int64_t j = n; j < padded; ++j) s[j] = 0.0f;
  F8 highest = set(kMinusInfinity);
  for (int64_t j = 0; j < padded; j += 8) {
    F8 v = load(s + j) * set(scale_);
    if (cap > 0.0f) v = set(cap) * tanh(v / set(cap));
    store(s + j, v);
    if (j + 8 > n) v = load_tail(s + j, n - j, kMinusInfinity);
    highest = max(highest, v);
  }
  for (int64_t j = n; j < padded; ++j) s[j] = kMinusInfinity;
  const float tile_max = fold_max(highest);
  const float new_max = tile_max > running_max ? tile_max : running_max;
  F8 sum = zero();
  for (int64_t j = 0; j < padded; j += 8) {
    const F8 w = exp(load(s + j) - set(new_max));
    store(s + j, w);
    sum = sum + w;
  }
  const float correction = exp_one(running_max - new_max);
  running_sum = running_sum * correction + fold_sum(sum);
  running_max = new_max;
  return correction;
}

template <KvType kKeys, KvType kValues, int kHeads>
void attend(const AttentionArgs& a, int64_t m, int64_t g, int64_t first_head, int64_t begin, int64_t end,
            int64_t chunk) {
  const AttentionRow& row = a.rows[m];
  const int64_t d_head = a.d_head;
  const int64_t k_row = d_head * (kKeys == KvType::f16 ? 2 : 4), v_row = d_head * (kValues == KvType::f16 ? 2 : 4);
  const float* q = a.q + m * a.q_stride + first_head * d_head;
  float* o[kHeads];
  float running_max[kHeads], running_sum[kHeads];
  for (int h = 0; h < kHeads; ++h) {
    o[h] = a.partial + ((m * a.n_heads + first_head + h) * a.n_chunks + chunk) * (d_head + 2);
    for (int64_t e = 0; e < d_head; ++e) o[h][e] = 0.0f;
    running_max[h] = kMinusInfinity;
    running_sum[h] = 0.0f;
  }
  alignas(64) float s[kHeads * kKvPage];
  const std::byte* keys[kKvPage];
  const std::byte* values[kKvPage];
  for (int64_t tile = begin / kKvPage * kKvPage; tile < end; tile += kKvPage) {
    const int64_t from = tile > begin ? tile : begin;
    const int64_t to = tile + kKvPage < end ? tile + kKvPage : end;
    for (int64_t p = from; p < to; ++p) {
      const int64_t slot = p < row.n_shared ? p : row.tail[p - row.n_shared];
      const std::byte* page = row.pages[slot / kKvPage];
      const int64_t place = g * kKvPage + slot % kKvPage;
      keys[p - from] = page + a.k_offset_bytes + place * k_row;
      values[p - from] = page + a.v_offset_bytes + place * v_row;
    }
    const int64_t n = to - from;
    scores<kKeys, kHeads>(q, d_head, keys, n, s);
    float correction[kHeads];
    for (int h = 0; h < kHeads; ++h)
      correction[h] = soften(s + h * kKvPage, n, a.scale, a.softcap, running_max[h], running_sum[h]);
    weighted_values<kValues, kHeads>(s, correction, values, n, d_head, o);
  }
  for (int h = 0; h < kHeads; ++h) {
    o[h][d_head] = running_max[h];
    o[h][d_head + 1] = running_sum[h];
  }
}

template <KvType kKeys, KvType kValues>
void attend_group(const AttentionArgs& a, int64_t m, int64_t g, int64_t begin, int64_t end, int64_t chunk) {
  const int64_t per_group = a.n_heads / a.n_kv_heads;
  int64_t h = g * per_group;
  const int64_t last = h + per_group;
  for (; h + 4 <= last; h += 4) attend<kKeys, kValues, 4>(a, m, g, h, begin, end, chunk);
  if (h + 2 <= last) {
    attend<kKeys, kValues, 2>(a, m, g, h, begin, end, chunk);
    h += 2;
  }
  if (h < last) attend<kKeys, kValues, 1>(a, m, g, h, begin, end, chunk);
}

inline void attention_partial(const AttentionArgs& a, int64_t unit_begin, int64_t unit_end) {
  for (int64_t unit = unit_begin; unit < unit_end; ++unit) {
    const int64_t chunk = unit % a.n_chunks, g = unit / a.n_chunks % a.n_kv_heads, m = unit / a.n_chunks / a.n_kv_heads;
    const Visible seen = visible(a, a.rows[m]);
    const int64_t begin = seen.first > chunk * kAttentionChunk ? seen.first : chunk * kAttentionChunk;
    const int64_t end = seen.last + 1 < (chunk + 1) * kAttentionChunk ? seen.last + 1 : (chunk + 1) * kAttentionChunk;
    if (begin >= end) continue;
    if (a.k_type == KvType::f16)
      (a.v_type == KvType::f16 ? attend_group<KvType::f16, KvType::f16>
                               : attend_group<KvType::f16, KvType::f32>)(a, m, g, begin, end, chunk);
    else
      (a.v_type == KvType::f16 ? attend_group<KvType::f32, KvType::f16>
                               : attend_group<KvType::f32, KvType::f32>)(a, m, g, begin, end, chunk);
  }
}

inline void attention_merge(const AttentionArgs& a, int64_t unit_begin, int64_t unit_end) {
  const int64_t d_head = a.d_head;
  for (int64_t unit = unit_begin; unit < unit_end; ++unit) {
    const int64_t h = unit % a.n_heads, m = unit / a.n_heads;
    const Visible seen = visible(a, a.rows[m]);
    const int64_t first = seen.first / kAttentionChunk, last = seen.last / kAttentionChunk;
    const float* part = a.partial + unit * a.n_chunks * (d_head + 2);
    float* out = a.out + m * a.out_stride + h * d_head;
    float highest = kMinusInfinity;
    for (int64_t c = first; c <= last; ++c) {
      const float v = part[c * (d_head + 2) + d_head];
      highest = v > highest ? v : highest;
    }
    float sum = 0.0f;
    for (int64_t c = first; c <= last; ++c) {
      const float* p = part + c * (d_head + 2);
      const float factor = exp_one(p[d_head] - highest);
      sum += factor * p[d_head + 1];
      if (c == first)
        for (int64_t e = 0; e < d_head; ++e) out[e] = factor * p[e];
      else
        for (int64_t e = 0; e < d_head; ++e) out[e] += factor * p[e];
    }
    const float inverse = 1.0f / sum;
    for (int64_t e = 0; e < d_head; ++e) out[e] *= inverse;
  }
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
