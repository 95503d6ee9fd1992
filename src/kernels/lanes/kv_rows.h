// Rows of the KV cache (one head's key or value of one position): floats to stored rows, stored rows to floats.
//
//   f16, f32  the floats                      q8_0  BlockQ8_0, scale = largest magnitude / 127
//   q4_0      BlockQ4_0 of the row's Hadamard transform, the scale that leaves the smallest squared error of a few
//
// Where floats are read back they are exact (11 bits of scale times 8 bits), so a tile of floats and the stored row
// are the same numbers. A row of floats here is padded with zeros to a multiple of eight.
#pragma once

#include "kernels/lanes/math.h"
#include "kernels/ops.h"
#include "tensor/blocks.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

inline constexpr int kKvBlock = tensor::BlockQ8_0::kElements;
static_assert(kKvBlock == tensor::BlockQ4_0::kElements);

inline int64_t padded(int64_t d_head) { return (d_head + 7) / 8 * 8; }

// Hadamard transform of a row in place, in pieces of the largest power of two that divides d_head (256 at most);
// orthonormal and its own inverse. Keeps every q.k when both are turned.
inline constexpr int64_t kHadamardMost = 256;
inline int64_t hadamard_size(int64_t d_head) {
  const int64_t size = d_head & -d_head;
  return size < kHadamardMost ? size : kHadamardMost;
}
// x: `n` floats, a multiple of eight of them; pieces of `size`.
inline void hadamard(float* x, int64_t n, int64_t size) {
  const F8 norm = set(1.0f / __builtin_sqrtf(static_cast<float>(size)));
  for (int64_t i = 0; i < n; i += 8) {
    F8 v = load(x + i);
    if (size >= 2) v = butterfly<1>(v);
    if (size >= 4) v = butterfly<2>(v);
    if (size >= 8) v = butterfly<4>(v);
    store(x + i, v * norm);
  }
  for (int64_t half = 8; half < size; half *= 2)
    for (int64_t at = 0; at < n; at += 2 * half)
      for (int64_t i = at; i < at + half; i += 8) {
        const F8 a = load(x + i), b = load(x + half + i);
        store(x + i, a + b);
        store(x + half + i, a - b);
      }
}

inline F8 clamp(F8 v, float low, float high) { return min(set(high), max(set(low), v)); }
inline uint16_t f16_bits(float v) {
  uint16_t half[8];
  store_f16(half, clamp(set(v), -65504.0f, 65504.0f));
  return half[0];
}
inline float inverse_of_f16(uint16_t half) {
  float wide[8];
  store(wide, set_f16(half));
  return wide[0] != 0.0f ? 1.0f / wide[0] : 0.0f;
}

// x: 32 floats.
inline void store_block(const float* x, tensor::BlockQ8_0& out) {
  F8 largest = zero();
  for (int i = 0; i < kKvBlock; i += 8) largest = max(largest, abs(load(x + i)));
  out.d = f16_bits(fold_max(largest) / 127.0f);
  const F8 inverse = set(inverse_of_f16(out.d));
  for (int i = 0; i < kKvBlock; i += 8) store_i8(out.qs + i, clamp(load(x + i) * inverse, -127.0f, 127.0f));
}

inline F8 q4_levels(F8 x, F8 inverse) { return clamp(x * inverse, -8.0f, 7.0f); }

inline void store_block(const float* x, tensor::BlockQ4_0& out) {
  F8 highest = zero(), lowest = zero();
  for (int i = 0; i < kKvBlock; i += 8) {
    highest = max(highest, load(x + i));
    lowest = max(lowest, zero() - load(x + i));
  }
  const float up = fold_max(highest), down = fold_max(lowest);
  const float furthest = up > down ? up : -down;
  out.d = f16_bits(furthest / -8.0f);
  const F8 inverse = set(inverse_of_f16(out.d));
  int8_t q[kKvBlock];
  for (int i = 0; i < kKvBlock; i += 8) store_i8(q + i, q4_levels(load(x + i), inverse));
  for (int i = 0; i < kKvBlock / 2; ++i) out.qs[i] = static_cast<uint8_t>((q[i] + 8) | (q[i + kKvBlock / 2] + 8) << 4);
}

template <class Block>
void store_blocks(const float* src, std::byte* dst, int64_t n, int64_t hadamard_size) {
  alignas(64) float piece[kHadamardMost];  // pieces hold whole blocks and whole transforms
  auto* out = reinterpret_cast<Block*>(dst);
  for (int64_t at = 0; at < n; at += kHadamardMost) {
    const int64_t m = n - at < kHadamardMost ? n - at : kHadamardMost;
    const int64_t whole = (m + kKvBlock - 1) / kKvBlock * kKvBlock;
    for (int64_t i = 0; i < whole; ++i) piece[i] = i < m ? src[at + i] : 0.0f;
    if (hadamard_size > 1) hadamard(piece, whole, hadamard_size);
    for (int64_t b = 0; b < whole; b += kKvBlock) store_block(piece + b, *out++);
  }
}

inline void store_kv(KvType type, const float* src, std::byte* dst, int64_t n) {
  switch (type) {
    case KvType::f32:
      __builtin_memcpy(dst, src, static_cast<size_t>(n) * 4);
      return;
    case KvType::q8_0:
      return store_blocks<tensor::BlockQ8_0>(src, dst, n, 1);
    case KvType::q4_0:
      return store_blocks<tensor::BlockQ4_0>(src, dst, n, hadamard_size(n));
    case KvType::f16:
      break;
  }
  auto* out = reinterpret_cast<uint16_t*>(dst);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) store_f16(out + i, load(src + i));
  if (i < n) {
    uint16_t tail[8];
    store_f16(tail, load_tail(src + i, n - i));
    for (int64_t j = i; j < n; ++j) out[j] = tail[j - i];
  }
}

inline void store_recent(KvType type, const float* src, std::byte* dst, int64_t n) {
  const int64_t size = type == KvType::q4_0 ? hadamard_size(n) : 1;
  alignas(64) float piece[kHadamardMost];
  for (int64_t at = 0; at < n; at += kHadamardMost) {
    const int64_t m = n - at < kHadamardMost ? n - at : kHadamardMost;
    for (int64_t i = 0; i < padded(m); ++i) piece[i] = i < m ? src[at + i] : 0.0f;
    if (size > 1) hadamard(piece, padded(m), size);
    store_kv(KvType::f16, piece, dst + 2 * at, m);
  }
}

// ---- stored rows to floats: out[padded(n)] ----

inline void read_f32(const std::byte* row, float* out, int64_t n) {
  const auto* in = reinterpret_cast<const float*>(row);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) store(out + i, load(in + i));
  if (i < n) store(out + i, load_tail(in + i, n - i));
}
inline void read_f16(const std::byte* row, float* out, int64_t n) {
  const auto* in = reinterpret_cast<const uint16_t*>(row);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) store(out + i, load_f16(in + i));
  if (i == n) return;
  uint16_t tail[8] = {};
  for (int64_t j = i; j < n; ++j) tail[j - i] = in[j];
  store(out + i, load_f16(tail));
}
// Vectors [0, count) of a block: out gets 8 * count floats.
inline void read_block(const tensor::BlockQ8_0& block, float* out, int count) {
  const F8 d = set_f16(block.d);
  for (int i = 0; i < count; ++i) store(out + 8 * i, load_i8(block.qs + 8 * i) * d);
}
inline void read_block(const tensor::BlockQ4_0& block, float* out, int count) {
  const F8 d = set_f16(block.d), offset = set(-8.0f) * d;
  F8 v[4];
  load_nibbles(block.qs, v[0], v[2]);
  load_nibbles(block.qs + 8, v[1], v[3]);
  for (int i = 0; i < count; ++i) store(out + 8 * i, fma(v[i], d, offset));
}
template <class Block>
void read_blocks(const std::byte* row, float* out, int64_t n) {
  const auto* block = reinterpret_cast<const Block*>(row);
  int64_t i = 0;
  for (; i + kKvBlock <= n; i += kKvBlock) read_block(*block++, out + i, kKvBlock / 8);
  if (i < n) read_block(*block, out + i, static_cast<int>((n - i + 7) / 8));
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
