// Prefill where some blocks of activations have a rest (act_format.h), and nothing foretells which: 512 tokens, 256
// rows of weights, one thread in processor time.
//
//   kernels_bench --benchmark_filter='^rests/' --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true
//
// one_in: the share of blocks with an outlier, 0 = none. ns: for 16 rows x 32 columns of one token (printed with an "s"
// behind it, as Google Benchmark does with every time). rests: the share of
// blocks that got one.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "base/memory.h"
#include "kernels/act_format.h"
#include "kernels/ops.h"
#include "peaks.h"
#include "tensor/interleave.h"
#include "tensor/quantize.h"

namespace watra::kernels {
namespace {

using benchmark::Counter;

constexpr int64_t kTokens = 512, kRows = 256;

// Even blocks, in which all scales are alike, and an outlier four times as large in one of so many.
std::vector<float> tokens(int64_t columns, int64_t one_in) {
  std::mt19937 rng(1);
  std::uniform_real_distribution<float> even(-1, 1);
  std::vector<float> x(kTokens * columns);
  for (float& v : x) v = even(rng);
  for (size_t block = 0; one_in > 0 && block < x.size() / 32; ++block)
    if (rng() % static_cast<uint64_t>(one_in) == 0) x[block * 32 + rng() % 32] = 4;
  return x;
}

void rests(benchmark::State& state, const Kernels* k, tensor::DType dtype) {
  const int64_t columns = state.range(0);
  const ActFormat format = k->act_format(dtype);
  const auto row_bytes = static_cast<int64_t>(tensor::row_bytes(dtype, columns));
  const Buffer weights = Buffer::allocate(nullptr, "bench", static_cast<uint64_t>(kRows * row_bytes)).value();
  std::mt19937 rng(2);
  std::normal_distribution<float> normal;
  std::vector<float> row(columns);
  std::vector<std::byte> group(tensor::kInterleavedRows * row_bytes);
  for (int64_t r = 0; r < kRows; r += tensor::kInterleavedRows) {
    for (int64_t i = 0; i < tensor::kInterleavedRows; ++i) {
      for (float& v : row) v = normal(rng);
      tensor::quantize_row(dtype, row.data(), group.data() + i * row_bytes, columns);
    }
    std::byte* to = weights.data() + r * row_bytes;
    if (k->layout(dtype) == tensor::Layout::rows)
      std::copy(group.begin(), group.end(), to);
    else
      tensor::interleave_group(dtype, group.data(), row_bytes, columns, to);
  }
  const auto x = tokens(columns, state.range(1));
  const Buffer acts =
      Buffer::allocate(nullptr, "bench", static_cast<uint64_t>(k->act_bytes(format, kTokens, columns))).value();
  for (int64_t i = 0; i < kTokens; ++i)
    k->convert_act_row(format, x.data() + i * columns, acts.data(), i, kTokens, columns);
  const ActLayout at(kTokens, columns);
  int64_t n_rests = 0;
  for (int64_t block = 0; block < at.n_blocks; ++block)
    for (int64_t i = 0; i < kTokens; ++i) n_rests += acts.data()[at.flag(block, i)] != std::byte{0};
  const Buffer scratch =
      Buffer::allocate(nullptr, "bench", static_cast<uint64_t>(k->matmul_scratch_bytes(columns)) + 64).value();
  std::vector<float> y(kTokens * kRows);
  const TensorView w{dtype, k->layout(dtype), {kRows, columns}, weights.data()};
  const MatmulArgs args{w, acts.data(), 0, kTokens, y.data(), kRows, format};
  for (auto _ : state) {
    k->matmul(args, 0, kRows, scratch.data());
    benchmark::ClobberMemory();
  }
  const double n_tiles = static_cast<double>(kRows / 16 * (columns / 32) * kTokens);
  state.counters["ns"] = Counter(1e-9 * n_tiles, Counter::kIsIterationInvariantRate | Counter::kInvert);
  state.counters["GMAC/s"] = Counter(1e-9 * 512 * n_tiles, Counter::kIsIterationInvariantRate);
  state.counters["peak_GMAC/s"] = bench::peaks(1, *k).int8_gmac_s;
  state.counters["rests"] = static_cast<double>(n_rests) / static_cast<double>(at.n_blocks * kTokens);
}

const bool registered = [] {
  for (const Kernels* k : available()) {
    if (is_truth(*k)) continue;
    for (const tensor::DType dtype : {tensor::DType::q6_k, tensor::DType::q4_k}) {
      if (!is_integer(k->act_format(dtype))) continue;
      const std::string name = "rests/" + std::string(tensor::dtype_name(dtype)) + "/" + std::string(k->isa);
      benchmark::RegisterBenchmark(name.c_str(), rests, k, dtype)
          ->ArgNames({"columns", "one_in"})
          ->ArgsProduct({{1536, 8960}, {0, 14, 9}})
          ->Unit(benchmark::kMillisecond);
    }
  }
  return true;
}();

}  // namespace
}  // namespace watra::kernels
