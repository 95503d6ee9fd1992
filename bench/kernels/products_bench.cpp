// Matrix products: dtype x ISA x shape x M, beside what this machine can do at most, measured in the same run.
//
//   kernels_bench --benchmark_filter=matmul/q4_k/avx2/8b --benchmark_enable_random_interleaving=true
//                 --benchmark_repetitions=5 --benchmark_report_aggregates_only=true
//
// matmul/DTYPE/ISA/SHAPE/m: every pass reads another matrix from memory, as decoding does; all threads, real time.
// compute/DTYPE/ISA/m: 256 KiB of weights that stay in the cache, one thread, processor time: what the arithmetic alone
// costs, also on a busy machine. Weights lie as the ISA likes them best; with /raw as they lie in the file.
//
// GB/s counts the weights' bytes once a pass, whatever M is. of_roof: the time that the peaks allow, the larger of
// bytes / read and multiply-accumulates / (int8, for float weights FP32 FMA), over the time taken.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/memory.h"
#include "kernels/ops.h"
#include "peaks.h"
#include "tensor/interleave.h"
#include "tensor/quantize.h"

namespace watra::bench {
namespace {

using benchmark::Counter;
using kernels::Kernels;
using kernels::TensorView;
using tensor::DType;

struct Shape {
  const char* name;
  int64_t rows, columns;
};
constexpr Shape kShapes[] = {
    {"1b-up", 8192, 2048},       {"1b-down", 2048, 8192},     {"1b-qo", 2048, 2048},        {"1b-kv", 512, 2048},
    {"8b-up", 14336, 4096},      {"8b-down", 4096, 14336},    {"8b-qo", 4096, 4096},        {"8b-kv", 1024, 4096},
    {"70b-up", 28672, 8192},     {"70b-down", 8192, 28672},   {"70b-qo", 8192, 8192},       {"70b-kv", 1024, 8192},
    {"1b-output", 128256, 2048}, {"8b-output", 128256, 4096}, {"70b-output", 128256, 8192},
};
const std::vector<int64_t> kWidths = {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 32, 512};
const std::vector<int64_t> kFewTokens = {1, 2, 3, 4, 5, 6, 7, 8, 12, 16};  // the output matrix is never asked for more
constexpr int64_t kColumns = 4096;                                         // of compute/
constexpr int64_t kMemoryBytes = 192 << 20;  // passes go round so many weights: several times the caches
constexpr int64_t kCachedBytes = 256 << 10;
constexpr int64_t kRowsPerClaim = 64;

// Sixteen rows of plausible numbers, repeated: the contents do not change the time of any kernel, infinities and
// subnormals would. One buffer at a time.
const Buffer& weights(DType dtype, tensor::Layout layout, int64_t columns, int64_t n_bytes) {
  static std::tuple<DType, tensor::Layout, int64_t, int64_t> made{};
  static Buffer buffer;
  if (buffer.data() && made == std::tuple(dtype, layout, columns, n_bytes)) return buffer;
  buffer = {};
  buffer = Buffer::allocate(nullptr, "bench", n_bytes).value();
  made = {dtype, layout, columns, n_bytes};
  const auto row_bytes = static_cast<int64_t>(tensor::row_bytes(dtype, columns));
  std::vector<std::byte> row(row_bytes), group;
  std::mt19937 rng(1);
  if (tensor::can_quantize(dtype)) {
    std::normal_distribution<float> normal;
    std::vector<float> values(columns);
    for (float& v : values) v = normal(rng);
    tensor::quantize_row(dtype, values.data(), row.data(), columns);
  } else {
    for (auto& b : row) b = static_cast<std::byte>(rng() & 0x3f);
  }
  for (int64_t i = 0; i < tensor::kInterleavedRows; ++i) group.insert(group.end(), row.begin(), row.end());
  if (layout != tensor::Layout::rows) {
    const std::vector<std::byte> raw = group;
    tensor::interleave_group(dtype, raw.data(), row_bytes, columns, group.data());
  }
  const auto group_bytes = static_cast<int64_t>(group.size());
  team(default_thread_count()).parallel_for(n_bytes / group_bytes, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) std::memcpy(buffer.data() + i * group_bytes, group.data(), group_bytes);
  });
  return buffer;
}

bool is_float(DType t) { return t == DType::f32 || t == DType::f16 || t == DType::bf16; }

// n_matrices of [rows, columns] lie behind each other; pass i multiplies with matrix i mod n_matrices.
void matmul(benchmark::State& state, const Kernels* k, DType dtype, tensor::Layout layout, int64_t rows,
            int64_t columns, int64_t n_matrices, int n_threads) {
  const int64_t m = state.range(0);
  ThreadTeam& threads = team(n_threads);
  const auto row_bytes = static_cast<int64_t>(tensor::row_bytes(dtype, columns));
  const Buffer& buffer = weights(dtype, layout, columns, n_matrices * rows * row_bytes);
  const auto format = k->act_format(dtype);
  std::vector<float> x(m * columns), y(m * rows);
  std::mt19937 rng(2);
  for (float& v : x) v = std::normal_distribution<float>()(rng);
  std::vector<std::byte> converted(k->act_bytes(format, m, columns));
  const bool as_they_are = format == kernels::ActFormat::f32;
  for (int64_t i = 0; !as_they_are && i < m; ++i)
    k->convert_act_row(format, x.data() + i * columns, converted.data(), i, m, columns);
  const auto* acts = as_they_are ? reinterpret_cast<const std::byte*>(x.data()) : converted.data();
  const int64_t stride = columns * static_cast<int64_t>(sizeof(float));  // of f32
  const auto scratch_bytes = static_cast<uint64_t>((k->matmul_scratch_bytes(columns) + 63) / 64 * 64);
  Buffer scratch = Buffer::allocate(nullptr, "bench", std::max<uint64_t>(64, scratch_bytes * n_threads)).value();
  int64_t pass = 0;
  for (auto _ : state) {
    const TensorView w{dtype, layout, {rows, columns}, buffer.data() + pass++ % n_matrices * rows * row_bytes};
    const kernels::MatmulArgs args{w, acts, stride, m, y.data(), rows, format};
    std::atomic<int64_t> next{0};
    threads.run([&](int rank) {
      for (int64_t r; (r = next.fetch_add(kRowsPerClaim)) < rows;)
        k->matmul(args, r, std::min(rows, r + kRowsPerClaim), scratch.data() + rank * scratch_bytes);
    });
  }
  const Peaks& peak = peaks(n_threads, *k);
  const double gb = 1e-9 * rows * row_bytes, gmac = 1e-9 * rows * columns * m;
  const double per_lane = format == kernels::ActFormat::bf16 ? 2 : 1;  // products in an instruction
  const double roof_gmac_s = is_float(dtype) ? per_lane * peak.fp32_fma_gflop_s / 2 : peak.int8_gmac_s;
  const double from_memory = n_matrices > 1 || rows * row_bytes >= kMemoryBytes ? gb / peak.read_gb_s : 0;
  state.counters["GB/s"] = Counter(gb, Counter::kIsIterationInvariantRate);
  state.counters["GMAC/s"] = Counter(gmac, Counter::kIsIterationInvariantRate);
  state.counters["of_roof"] = Counter(std::max(from_memory, gmac / roof_gmac_s), Counter::kIsIterationInvariantRate);
  state.counters["peak_GB/s"] = peak.read_gb_s;
  state.counters["peak_GMAC/s"] = roof_gmac_s;
}

void machine(benchmark::State& state, const Kernels* k) {
  for (auto _ : state) benchmark::DoNotOptimize(peaks(static_cast<int>(state.range(0)), *k));
  const Peaks& p = peaks(static_cast<int>(state.range(0)), *k);
  state.counters["GB/s"] = p.read_gb_s;
  state.counters["cached_GB/s"] = p.cached_gb_s;
  state.counters["int8_GMAC/s"] = p.int8_gmac_s;
  state.counters["fp32_GFLOP/s"] = p.fp32_fma_gflop_s;
}

void register_products(const Kernels* k, const tensor::DTypeTraits& t, tensor::Layout layout, const char* suffix,
                       int n_threads) {
  const std::string name = std::string(t.name) + "/" + std::string(k->isa);
  for (const Shape& s : kShapes) {
    const auto bytes = s.rows * static_cast<int64_t>(tensor::row_bytes(t.dtype, s.columns));
    benchmark::RegisterBenchmark(("matmul/" + name + "/" + s.name + suffix).c_str(), matmul, k, t.dtype, layout, s.rows,
                                 s.columns, (kMemoryBytes + bytes - 1) / bytes, n_threads)
        ->ArgName("m")
        ->ArgsProduct({std::string_view(s.name).ends_with("-output") ? kFewTokens : kWidths})
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  const auto row_bytes = static_cast<int64_t>(tensor::row_bytes(t.dtype, kColumns));
  const int64_t rows = std::max<int64_t>(1, kCachedBytes / row_bytes / kernels::kRowGroup) * kernels::kRowGroup;
  benchmark::RegisterBenchmark(("compute/" + name + suffix).c_str(), matmul, k, t.dtype, layout, rows, kColumns, 1, 1)
      ->ArgName("m")
      ->ArgsProduct({kWidths})
      ->Unit(benchmark::kMicrosecond);
}

const bool registered = [] {
  const int n_threads = default_thread_count();
  for (const Kernels* k : kernels::available()) {
    if (is_truth(*k)) continue;
    const std::string isa(k->isa);
    benchmark::RegisterBenchmark(("machine/" + isa).c_str(), machine, k)
        ->ArgName("threads")
        ->Arg(1)
        ->Arg(n_threads)
        ->Iterations(1);
    for (const auto& t : tensor::all_dtypes()) {
      if (!k->supports(t.dtype)) continue;
      const tensor::Layout best = k->layout(t.dtype);
      register_products(k, t, best, "", n_threads);
      if (best != tensor::Layout::rows) register_products(k, t, tensor::Layout::rows, "/raw", n_threads);
    }
  }
  return true;
}();

}  // namespace
}  // namespace watra::bench
