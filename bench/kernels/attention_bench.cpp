// Attention of M rows behind `depth` cached positions, on one thread in processor time, beside what this machine reads
// and multiplies at most, measured in the same run.
//
//   kernels_bench --benchmark_filter='attention/llama-1b/.*/avx2'
//
// attention_parts/: in chunks of positions that threads share, and merged, instead of whole.
//
// KV_GB/s counts the cached keys and values once, whatever M is; GFLOP/s the two products over the positions a row
// sees.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/memory.h"
#include "kernels/ops.h"
#include "peaks.h"

namespace watra::kernels {
namespace {

using benchmark::Counter;

std::vector<float> normal_floats(int64_t n) {
  std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  std::vector<float> v(n);
  for (float& x : v) x = normal(rng);
  return v;
}

struct HeadShape {
  const char* name;
  int32_t heads, kv_heads, d_head;
};
constexpr HeadShape kShapes[] = {{"smollm2-135m", 9, 3, 64}, {"qwen2.5-0.5b", 14, 2, 64}, {"qwen2.5-1.5b", 12, 2, 128},
                                 {"llama-1b", 32, 8, 64},    {"llama-8b", 32, 8, 128},    {"llama-70b", 64, 8, 128},
                                 {"phi3-mini", 32, 32, 96}};

// M rows of a chain, the last one at position depth + m - 1. Several layers' caches in turn, so that they come from
// memory as in a pass. In parts: chunk by chunk, and their results merged.
void attention(benchmark::State& state, const Kernels* k, HeadShape shape, KvType type, bool in_parts) {
  const int64_t m = state.range(0), depth = state.range(1), n_positions = depth + m;
  const int64_t row_bytes = kv_row_bytes(type, shape.d_head);
  const int64_t layer_bytes = 2 * shape.kv_heads * kKvPage * row_bytes;
  const int64_t n_pages = (n_positions + kKvPage - 1) / kKvPage;
  const int64_t n_layers = std::max<int64_t>(1, (128 << 20) / (layer_bytes * n_pages));
  const Buffer storage =
      Buffer::allocate(nullptr, "bench", static_cast<uint64_t>(n_pages * n_layers * layer_bytes)).value();
  const auto row = normal_floats(shape.d_head);
  std::vector<std::byte> stored(row_bytes);
  k->store_kv(type, row.data(), stored.data(), shape.d_head);
  for (int64_t at = 0; at < static_cast<int64_t>(storage.size_bytes()); at += row_bytes)
    std::memcpy(storage.data() + at, stored.data(), row_bytes);
  std::vector<const std::byte*> pages;
  for (int64_t i = 0; i < n_pages; ++i) pages.push_back(storage.data() + i * n_layers * layer_bytes);
  std::vector<int32_t> slots(m);
  std::vector<AttentionRow> rows;
  double pairs = 0;
  for (int64_t i = 0; i < m; ++i) {
    slots[i] = static_cast<int32_t>(depth + i);
    rows.push_back({pages.data(), depth + i, &slots[i], 1});
    pairs += static_cast<double>(depth + i + 1) * shape.heads;
  }
  std::vector<AttentionBlock> blocks;
  const auto block_rows = static_cast<int32_t>(kAttentionPairs * shape.kv_heads / shape.heads);
  for (int32_t i = 0; i < m; i += block_rows) blocks.push_back({i, std::min(block_rows, static_cast<int32_t>(m) - i)});
  const int64_t width = int64_t{shape.heads} * shape.d_head;
  const auto q = normal_floats(m * width);
  std::vector<float> out(m * width);
  std::vector<std::byte> scratch(k->attention_scratch_bytes(shape.d_head) + 64);
  AttentionArgs a{};
  a.n_heads = shape.heads;
  a.n_kv_heads = shape.kv_heads;
  a.d_head = shape.d_head;
  a.k_type = a.v_type = type;
  a.scale = 0.125f;
  a.q = q.data();
  a.q_stride = a.out_stride = width;
  a.out = out.data();
  a.rows = rows.data();
  a.blocks = blocks.data();
  a.n_chunks = static_cast<int32_t>((n_positions + kAttentionChunk - 1) / kAttentionChunk);
  std::vector<float> partial(in_parts ? attention_partial_floats(m, shape.heads, shape.d_head, a.n_chunks) : 0);
  a.partial = partial.data();
  const int64_t n_units = static_cast<int64_t>(blocks.size()) * shape.kv_heads;
  std::byte* aligned = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64;
  int64_t layer = 0;
  for (auto _ : state) {
    a.k_offset_bytes = layer * layer_bytes;
    a.v_offset_bytes = a.k_offset_bytes + layer_bytes / 2;
    layer = (layer + 1) % n_layers;
    if (in_parts) {
      k->attention_partial(a, 0, n_units * a.n_chunks, aligned);
      k->attention_merge(a, 0, m * shape.heads);
    } else {
      k->attention_whole(a, 0, n_units, aligned);
    }
    benchmark::ClobberMemory();
  }
  state.counters["KV_GB/s"] =
      Counter(2e-9 * n_positions * shape.kv_heads * row_bytes, Counter::kIsIterationInvariantRate);
  state.counters["GFLOP/s"] = Counter(4e-9 * pairs * shape.d_head, Counter::kIsIterationInvariantRate);
  const bench::Peaks& peak = bench::peaks(1, *k);
  state.counters["peak_GB/s"] = peak.read_gb_s;
  state.counters["peak_GFLOP/s"] = peak.fp32_fma_gflop_s;
}

const bool registered = [] {
  for (const Kernels* k : available()) {
    if (is_truth(*k)) continue;
    const std::string isa = "/" + std::string(k->isa);
    for (const HeadShape& shape : kShapes)
      for (const KvType type : kKvTypes) {
        const std::string name = "attention/" + std::string(shape.name) + "/" + std::string(kv_type_name(type)) + isa;
        benchmark::RegisterBenchmark(name.c_str(), attention, k, shape, type, false)
            ->ArgNames({"m", "depth"})
            ->ArgsProduct({{1, 16}, {128, 1024, 8192}})
            ->Args({512, 0})
            ->Args({512, 7680})
            ->Unit(benchmark::kMicrosecond);
        benchmark::RegisterBenchmark(("attention_parts" + name.substr(name.find('/'))).c_str(), attention, k, shape,
                                     type, true)
            ->ArgNames({"m", "depth"})
            ->ArgsProduct({{1, 16}, {1024, 8192}})
            ->Unit(benchmark::kMicrosecond);
      }
  }
  return true;
}();

}  // namespace
}  // namespace watra::kernels
