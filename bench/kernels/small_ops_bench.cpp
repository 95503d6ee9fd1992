// The small ops: one row each, of the widths of 1B, 8B and 70B models, on one thread in processor time. What they touch
// lies in the cache. GB/s counts what an op reads and writes; beside it what the ISA reads of the first-level cache and
// multiplies (FP32 FMA) at most, measured in the same run.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/ops.h"
#include "peaks.h"
#include "tensor/quantize.h"

namespace watra::kernels {
namespace {

using benchmark::Counter;

// d_model and d_ff of 1B, 8B and 70B.
const std::vector<int64_t> kModelWidths = {2048, 4096, 8192}, kInnerWidths = {8192, 14336, 28672};
constexpr int64_t kHead = 128;

std::vector<float> normal_floats(int64_t n) {
  std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  std::vector<float> v(n);
  for (float& x : v) x = normal(rng);
  return v;
}

// What the ops of one benchmark work on.
struct Rows {
  std::vector<float> x, weight, y, cos, sin;
  std::vector<std::byte> bytes;
};

using Op = std::function<void(Rows&, int64_t n)>;

// bytes_per_element: read and written.
void small_op(benchmark::State& state, const Kernels* k, const Op& op, double bytes_per_element) {
  const int64_t n = state.range(0);
  Rows rows{normal_floats(n),
            normal_floats(n),
            std::vector<float>(n),
            std::vector<float>(kHead / 2, 0.8f),
            std::vector<float>(kHead / 2, 0.6f),
            std::vector<std::byte>(16 * n)};
  for (auto _ : state) {
    op(rows, n);
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] = Counter(1e-9 * bytes_per_element * n, Counter::kIsIterationInvariantRate);
  const bench::Peaks& peak = bench::peaks(1, *k);
  state.counters["peak_cached_GB/s"] = peak.cached_gb_s;
  state.counters["peak_GFLOP/s"] = peak.fp32_fma_gflop_s;
}

void add_op(const std::string& name, const Kernels* k, const std::vector<int64_t>& widths, double bytes_per_element,
            const Op& op) {
  auto* b =
      benchmark::RegisterBenchmark((name + "/" + std::string(k->isa)).c_str(), small_op, k, op, bytes_per_element);
  for (const int64_t n : widths) b->Arg(n);
}

constexpr const char* kFormatNames[kActFormats] = {"f32",   "q8",    "q8_4",   "q8_8", "q8_16",
                                                   "q8_32", "q8_64", "q8_128", "bf16"};

// Of activations, to every format that this ISA wants for some weights. An integer format writes records of 48 bytes
// for 32 inputs, bfloat16 a row and what it left over.
void add_conversions(const Kernels* k) {
  std::vector<ActFormat> formats;
  for (const auto& t : tensor::all_dtypes())
    if (k->supports(t.dtype)) formats.push_back(k->act_format(t.dtype));
  std::sort(formats.begin(), formats.end());
  formats.erase(std::unique(formats.begin(), formats.end()), formats.end());
  for (const ActFormat f : formats)
    if (f != ActFormat::f32)
      add_op(std::string("convert_activations/") + kFormatNames[static_cast<int>(f)], k, kModelWidths,
             4 + (is_integer(f) ? 1.5 : 4.0),
             [k, f](Rows& r, int64_t n) { k->convert_act_row(f, r.x.data(), r.bytes.data(), 0, 1, n); });
}

// A token's row of the table; the same code for every ISA.
void add_embeddings(const Kernels* k) {
  for (const auto& t : tensor::all_dtypes()) {
    const auto row_bytes = [dtype = t.dtype](int64_t n) { return static_cast<double>(tensor::row_bytes(dtype, n)); };
    add_op("embedding/" + std::string(t.name), k, kModelWidths, 4 + row_bytes(4096) / 4096,
           [dtype = t.dtype](Rows& r, int64_t n) { tensor::dequantize_row(dtype, r.bytes.data(), r.y.data(), n); });
  }
}

const bool registered = [] {
  add_embeddings(available().back());
  for (const Kernels* k : available()) {
    if (is_truth(*k)) continue;
    add_op("rms_norm", k, kModelWidths, 12,
           [k](Rows& r, int64_t n) { k->rms_norm(r.x.data(), r.weight.data(), r.y.data(), n, 1e-5f); });
    add_op("layer_norm", k, kModelWidths, 16, [k](Rows& r, int64_t n) {
      k->layer_norm(r.x.data(), r.weight.data(), r.weight.data(), r.y.data(), n, 1e-5f);
    });
    add_op("add", k, kModelWidths, 12, [k](Rows& r, int64_t n) { k->add(r.y.data(), r.x.data(), n); });
    add_op("scale", k, kModelWidths, 8, [k](Rows& r, int64_t n) { k->scale(r.y.data(), 0.5f, n); });
    add_op("softcap", k, {32000, 128256}, 8, [k](Rows& r, int64_t n) { k->softcap(r.x.data(), 30.0f, n); });
    for (const auto& [name, style] :
         {std::pair{"rope/halves", RopeStyle::halves}, {"rope/adjacent", RopeStyle::adjacent}})
      add_op(name, k, kModelWidths, 8, [k, style = style](Rows& r, int64_t n) {
        k->rope(r.x.data(), n / kHead, kHead, kHead, style, r.cos.data(), r.sin.data());
      });
    for (const auto& [name, kind] : {std::pair{"glu/silu", GluKind::silu},
                                     {"glu/gelu_tanh", GluKind::gelu_tanh},
                                     {"glu/gelu_erf", GluKind::gelu_erf}})
      add_op(name, k, kInnerWidths, 12,
             [k, kind = kind](Rows& r, int64_t n) { k->glu(kind, r.x.data(), r.weight.data(), r.y.data(), n); });
    add_conversions(k);
    for (const KvType type : kKvTypes)
      add_op("store_kv/" + std::string(kv_type_name(type)), k, {kHead},
             4 + static_cast<double>(kv_row_bytes(type, kHead)) / kHead,
             [k, type](Rows& r, int64_t n) { k->store_kv(type, r.x.data(), r.bytes.data(), n); });
  }
  return true;
}();

}  // namespace
}  // namespace watra::kernels
