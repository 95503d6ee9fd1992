// What the tests that drive every table share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "kernels/ops.h"
#include "kernels/tables.h"

namespace watra::kernels {

using Rng = std::mt19937_64;

struct AlignedBytes {
  explicit AlignedBytes(size_t n) : bytes(n + 64) {}
  std::byte* data() { return bytes.data() + (64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64) % 64; }
  std::vector<std::byte> bytes;
};

inline std::vector<float> normal_floats(Rng& rng, size_t n, float sigma = 1.0f) {
  std::normal_distribution<float> normal(0, sigma);
  std::vector<float> v(n);
  for (float& x : v) x = normal(rng);
  return v;
}

inline bool same_bits(const float* a, const float* b, size_t n) { return std::memcmp(a, b, n * sizeof(float)) == 0; }

// Squared error relative to the truth's squares.
inline double nmse(const float* got, const double* want, size_t n) {
  double error = 0, power = 0;
  for (size_t i = 0; i < n; ++i) {
    error += (got[i] - want[i]) * (got[i] - want[i]);
    power += want[i] * want[i];
  }
  return power > 0 ? error / power : error;
}

// What may be chosen here, and the table that another of its name stands before on processors with BF16.
inline std::vector<const Kernels*> every_table() {
  std::vector<const Kernels*> tables(available().begin(), available().end());
#if defined(__x86_64__)
  if (std::ranges::count(available(), &avx512_bf16_table())) tables.push_back(&avx512_table());
#endif
  return tables;
}

class EveryTable : public testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& k = *GetParam();
  bool is_ref() const { return is_truth(k); }
};
inline std::string table_name(const testing::TestParamInfo<const Kernels*>& table) {
  const bool is_twin = table.index >= available().size();
  return std::string(table.param->isa) + (is_twin ? "_without_bf16" : "");
}

}  // namespace watra::kernels
