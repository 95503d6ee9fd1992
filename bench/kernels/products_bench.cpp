// Matrix products: dtype x ISA x M x threads, beside the read bandwidth of the same memory and the peak of 8-bit
// multiplies.
//
//   kernels_bench --benchmark_filter=matmul/q4_k/avx2 --benchmark_enable_random_interleaving=true
//                 --benchmark_repetitions=5 --benchmark_report_aggregates_only=true
//
// matmul/...: the weights are one matrix larger than any cache, so every pass comes from memory as it does in decoding;
// real time. compute/...: the same kernel over 256 KiB of weights on one thread, in processor time: what the arithmetic
// alone costs, also on a busy machine. GB/s counts the weights' bytes once per pass, whatever M is; MACs are
// multiply-accumulates.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/memory.h"
#include "base/thread_team.h"
#include "kernels/act_format.h"
#include "kernels/ops.h"
#include "tensor/quantize.h"

namespace watra {
namespace {

using kernels::Kernels;
using kernels::TensorView;
using tensor::DType;

constexpr int64_t kColumns = 4096;
constexpr int64_t kWeightBytes = 160 << 20;  // five times the caches of the machines this was written on
constexpr int64_t kCachedBytes = 256 << 10;
constexpr int64_t kRowsPerClaim = 64;

ThreadTeam& team(int n_threads) {
  static std::map<int, std::unique_ptr<ThreadTeam>> teams;
  auto& t = teams[n_threads];
  if (!t) t = std::make_unique<ThreadTeam>(n_threads);
  return *t;
}

// Blocks of plausible numbers, repeated: the contents do not change the time of any kernel, infinities and subnormals
// would.
const Buffer& weights(DType dtype) {
  static std::map<DType, Buffer> made;
  auto [it, is_new] = made.try_emplace(dtype);
  if (!is_new) return it->second;
  made.clear();  // one matrix at a time
  it = made.try_emplace(dtype).first;
  it->second = Buffer::allocate(nullptr, "bench", kWeightBytes).value();
  const uint64_t row_bytes = tensor::row_bytes(dtype, kColumns);
  std::vector<std::byte> row(row_bytes);
  std::mt19937 rng(1);
  if (tensor::can_quantize(dtype)) {
    std::normal_distribution<float> normal;
    std::vector<float> values(kColumns);
    for (float& v : values) v = normal(rng);
    tensor::quantize_row(dtype, values.data(), row.data(), kColumns);
  } else {
    for (auto& b : row) b = static_cast<std::byte>(rng() & 0x3f);
  }
  for (uint64_t at = 0; at + row_bytes <= kWeightBytes; at += row_bytes)
    std::memcpy(it->second.data() + at, row.data(), row_bytes);
  return it->second;
}

void matmul(benchmark::State& state, const Kernels* k, DType dtype, kernels::ActPrecision precision,
            int64_t weight_bytes) {
  const int64_t m = state.range(0);
  ThreadTeam& threads = team(static_cast<int>(state.range(1)));
  const Buffer& buffer = weights(dtype);
  const int64_t row_bytes = static_cast<int64_t>(tensor::row_bytes(dtype, kColumns));
  const int64_t n_rows = std::max<int64_t>(1, weight_bytes / row_bytes / kRowsPerClaim) * kRowsPerClaim;
  const TensorView w{dtype, tensor::Layout::rows, {n_rows, kColumns}, buffer.data()};
  const auto format = k->act_format(dtype, precision);
  const int64_t stride = k->act_row_bytes(format, kColumns);
  std::vector<float> x(m * kColumns), y(m * n_rows);
  std::mt19937 rng(2);
  for (float& v : x) v = std::normal_distribution<float>()(rng);
  std::vector<std::byte> acts(m * stride);
  for (int64_t i = 0; i < m; ++i)
    kernels::convert_act_row(format, x.data() + i * kColumns, acts.data() + i * stride, kColumns);
  const kernels::MatmulArgs args{w, acts.data(), stride, m, y.data(), n_rows, format};
  const auto scratch_bytes = static_cast<uint64_t>((k->matmul_scratch_bytes(kColumns) + 63) / 64 * 64);
  Buffer scratch = Buffer::allocate(nullptr, "bench", scratch_bytes * threads.size()).value();
  for (auto _ : state) {
    std::atomic<int64_t> next{0};
    threads.run([&](int rank) {
      for (int64_t r; (r = next.fetch_add(kRowsPerClaim)) < n_rows;)
        k->matmul(args, r, r + kRowsPerClaim, scratch.data() + rank * scratch_bytes);
    });
  }
  using benchmark::Counter;
  const auto passes = static_cast<double>(state.iterations());
  state.counters["GB/s"] = Counter(1e-9 * n_rows * row_bytes * passes, Counter::kIsRate);
  state.counters["GMAC/s"] = Counter(1e-9 * n_rows * kColumns * m * passes, Counter::kIsRate);
}

void read_memory(benchmark::State& state) {
  ThreadTeam& threads = team(static_cast<int>(state.range(0)));
  const Buffer& buffer = weights(DType::q8_0);
  constexpr int64_t kClaim = 256 << 10;
  for (auto _ : state) {
    threads.parallel_for(kWeightBytes, kClaim, [&](int64_t begin, int64_t end) {
      uint64_t sums[8] = {};
      const auto* p = reinterpret_cast<const uint64_t*>(buffer.data() + begin);
      for (int64_t i = 0; i < (end - begin) / 8; i += 8)
        for (int j = 0; j < 8; ++j) sums[j] |= p[i + j];
      for (auto& s : sums) benchmark::DoNotOptimize(s);
    });
  }
  state.counters["GB/s"] =
      benchmark::Counter(1e-9 * kWeightBytes * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void int8_peak(benchmark::State& state, const Kernels* k) {
  ThreadTeam& threads = team(static_cast<int>(state.range(0)));
  double macs = 0;
  for (auto _ : state) {
    std::atomic<int64_t> done{0};
    threads.run([&](int) { done += k->int8_burst(20000); });
    macs += static_cast<double>(done);
  }
  state.counters["GMAC/s"] = benchmark::Counter(1e-9 * macs, benchmark::Counter::kIsRate);
}

const bool registered = [] {
  const std::vector<int64_t> cores = {1, default_thread_count()};
  benchmark::RegisterBenchmark("memory", read_memory)->ArgName("threads")->Arg(1)->Arg(cores[1])->UseRealTime();
  for (const Kernels* k : kernels::available()) {
    if (k->isa == "ref") continue;
    const std::string isa(k->isa);
    benchmark::RegisterBenchmark(("int8_peak/" + isa).c_str(), int8_peak, k)
        ->ArgName("threads")
        ->Arg(1)
        ->Arg(cores[1])
        ->UseRealTime();
    for (const auto& t : tensor::all_dtypes()) {
      if (!k->supports(t.dtype)) continue;
      using kernels::ActPrecision;
      for (const ActPrecision precision : {ActPrecision::fast, ActPrecision::precise}) {
        const bool is_precise = precision == ActPrecision::precise;
        if (is_precise && k->act_format(t.dtype, precision) == k->act_format(t.dtype, ActPrecision::fast)) continue;
        const std::string name = std::string(t.name) + "/" + isa + (is_precise ? "/precise" : "");
        benchmark::RegisterBenchmark(("matmul/" + name).c_str(), matmul, k, t.dtype, precision, kWeightBytes)
            ->ArgNames({"m", "threads"})
            ->ArgsProduct({{1, 2, 4, 8, 16, 64}, cores})
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
        benchmark::RegisterBenchmark(("compute/" + name).c_str(), matmul, k, t.dtype, precision, kCachedBytes)
            ->ArgNames({"m", "threads"})
            ->ArgsProduct({{1, 2, 4, 8, 16, 64}, {1}})
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace watra
