// Shared by the dequantizers and quantizers of this module: the packed 6-bit scales of the K types, and the row
// functions that live in other files than their dispatch.
#pragma once

#include <cstdint>

namespace watra::tensor::internal {

struct ScaleMin {
  int scale, min;  // 0..63
};

// Q4_K, Q5_K: the pair of sub-block j.
constexpr ScaleMin k4_scale_min(const uint8_t (&s)[12], int j) {
  if (j < 4) return {s[j] & 63, s[j + 4] & 63};
  return {(s[j + 4] & 15) | (s[j - 4] >> 6) << 4, (s[j + 4] >> 4) | (s[j] >> 6) << 4};
}

// Q3_K: the signed scale of sub-block j, -32..31.
constexpr int q3k_scale(const uint8_t (&s)[12], int j) {
  const int low = (s[j % 8] >> (4 * (j / 8))) & 15;
  const int high = (s[8 + j % 4] >> (2 * (j / 4))) & 3;
  return (low | high << 4) - 32;
}

// dequantize_codebook.cpp
void dequantize_iq2_xxs(const void* src, float* dst, int64_t n);
void dequantize_iq2_xs(const void* src, float* dst, int64_t n);
void dequantize_iq2_s(const void* src, float* dst, int64_t n);
void dequantize_iq3_xxs(const void* src, float* dst, int64_t n);
void dequantize_iq3_s(const void* src, float* dst, int64_t n);
void dequantize_iq1_s(const void* src, float* dst, int64_t n);
void dequantize_iq1_m(const void* src, float* dst, int64_t n);

}  // namespace watra::tensor::internal
