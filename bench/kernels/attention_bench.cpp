// Attention of one row at a depth of S positions, and the small ops, on one thread in processor time. GB/s counts the
// cached keys and values once (attention) or what an op reads and writes (small ops).
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "kernels/ops.h"

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
constexpr HeadShape kShapes[] = {{"smollm2-135m", 9, 3, 64}, {"llama-1b", 32, 8, 64}, {"llama-8b", 32, 8, 128}};

void attention(benchmark::State& state, const Kernels* k, HeadShape shape) {
  const int64_t depth = state.range(0);
  const int64_t head_bytes = int64_t{shape.d_head} * kv_element_bytes(KvType::f16);
  const int64_t page_bytes = 2 * shape.kv_heads * kKvPage * head_bytes, n_pages = (depth + kKvPage - 1) / kKvPage;
  std::vector<std::byte> storage(n_pages * page_bytes);
  const auto row = normal_floats(shape.d_head);
  for (int64_t at = 0; at < static_cast<int64_t>(storage.size()); at += head_bytes)
    k->store_kv(KvType::f16, row.data(), storage.data() + at, shape.d_head);
  std::vector<const std::byte*> pages;
  for (int64_t i = 0; i < n_pages; ++i) pages.push_back(storage.data() + i * page_bytes);
  const auto slot = static_cast<int32_t>(depth - 1);
  const AttentionRow position{pages.data(), depth - 1, &slot, 1};
  const int64_t width = int64_t{shape.heads} * shape.d_head;
  const auto q = normal_floats(width);
  std::vector<float> out(width);
  AttentionArgs a{};
  a.n_heads = shape.heads;
  a.n_kv_heads = shape.kv_heads;
  a.d_head = shape.d_head;
  a.k_type = a.v_type = KvType::f16;
  a.v_offset_bytes = page_bytes / 2;
  a.scale = 0.125f;
  a.m = 1;
  a.q = q.data();
  a.q_stride = a.out_stride = width;
  a.out = out.data();
  a.rows = &position;
  a.n_chunks = static_cast<int32_t>((depth + kAttentionChunk - 1) / kAttentionChunk);
  std::vector<float> partial(attention_partial_floats(1, shape.heads, shape.d_head, a.n_chunks));
  a.partial = partial.data();
  for (auto _ : state) {
    k->attention_partial(a, 0, int64_t{shape.kv_heads} * a.n_chunks);
    k->attention_merge(a, 0, shape.heads);
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] = Counter(2e-9 * depth * shape.kv_heads * head_bytes, Counter::kIsIterationInvariantRate);
}

void rms_norm(benchmark::State& state, const Kernels* k) {
  const int64_t n = state.range(0);
  const auto x = normal_floats(n), weight = normal_floats(n);
  std::vector<float> y(n);
  for (auto _ : state) {
    k->rms_norm(x.data(), weight.data(), y.data(), n, 1e-5f);
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] = Counter(12e-9 * n, Counter::kIsIterationInvariantRate);
}

void silu_gate(benchmark::State& state, const Kernels* k) {
  const int64_t n = state.range(0);
  const auto gate = normal_floats(n), up = normal_floats(n);
  std::vector<float> y(n);
  for (auto _ : state) {
    k->glu(GluKind::silu, gate.data(), up.data(), y.data(), n);
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] = Counter(12e-9 * n, Counter::kIsIterationInvariantRate);
}

const bool registered = [] {
  for (const Kernels* k : available()) {
    if (k->isa == "ref") continue;
    const std::string isa = "/" + std::string(k->isa);
    for (const HeadShape& shape : kShapes)
      benchmark::RegisterBenchmark(("attention/" + std::string(shape.name) + isa).c_str(), attention, k, shape)
          ->ArgName("depth")
          ->Arg(128)
          ->Arg(1024)
          ->Arg(8192)
          ->Unit(benchmark::kMicrosecond);
    benchmark::RegisterBenchmark(("rms_norm" + isa).c_str(), rms_norm, k)->Arg(2048);
    benchmark::RegisterBenchmark(("silu_gate" + isa).c_str(), silu_gate, k)->Arg(8192);
  }
  return true;
}();

}  // namespace
}  // namespace watra::kernels
