#include "workshop/convert/tensor_job.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <map>

#include "tensor/quantize.h"

namespace watra::workshop {

using checkpoint::TensorInfo;
using tensor::DType;

namespace {

constexpr float kMaxF16 = 65504.0f;

bool is_float(DType d) { return d == DType::f32 || d == DType::f16 || d == DType::bf16; }

DType target_dtype(const PlannedTensor& plan, OutType type) {
  if (plan.shape.rank() < 2 || plan.as_f32) return DType::f32;
  switch (type) {
    case OutType::f32:
      return DType::f32;
    case OutType::bf16:
      return DType::bf16;
    case OutType::q8_0:
      return plan.shape.cols() % tensor::traits(DType::q8_0).block_elements == 0 ? DType::q8_0 : DType::f16;
    case OutType::automatic:
    case OutType::f16:
      break;
  }
  return DType::f16;
}

Result<TensorJob> make_job(const PlannedTensor& plan, const TensorInfo* source, OutType out_type) {
  TensorJob job;
  job.plan = plan;
  job.source = source;
  job.dtype = target_dtype(plan, out_type);
  job.rows = plan.shape.rank() < 2 ? plan.shape.elements() : plan.shape.rows();
  job.cols = plan.shape.rank() < 2 ? 1 : plan.shape.cols();
  if (plan.change == Change::rope_pairs) job.unit_rows = plan.head_rows;
  if (!source) return job;
  if (source->shape != plan.shape)
    return fail("convert.bad_shape",
                fmt::format("tensor {}: config.json implies {}, found {}", source->name, plan.shape.to_string(),
                            source->shape.to_string()),
                "do config.json and the weights belong to one model?");
  if (!is_float(source->dtype))
    return fail("convert.unsupported_dtype", fmt::format("tensor {}: wanted F32, F16 or BF16, found {}", source->name,
                                                         tensor::traits(source->dtype).gguf_name));
  return job;
}

}  // namespace

Result<std::vector<TensorJob>> make_jobs(const FamilyPlan& plan, const HfConfig& config,
                                         const checkpoint::Safetensors& source, OutType out_type) {
  std::map<std::string, const TensorInfo*> waiting;
  for (const TensorInfo& t : source.tensors()) {
    std::string name = canonical_tensor_name(t.name);
    if (is_left_out(name, config)) continue;
    if (!waiting.emplace(name, &t).second)
      return fail("convert.duplicate_tensor", fmt::format("tensor {} is there under two names", name));
  }
  std::vector<TensorJob> jobs;
  for (const PlannedTensor& p : plan.tensors) {
    const TensorInfo* info = nullptr;
    if (!p.source.empty()) {
      auto it = waiting.find(p.source);
      if (it == waiting.end()) {
        if (p.optional) continue;
        const bool output = p.source == "lm_head.weight";
        return fail("convert.missing_tensor", fmt::format("tensor {} (for {}) is missing", p.source, p.name),
                    output ? "a model whose output is its embedding says tie_word_embeddings: true in config.json"
                           : "are all shards of the model there?");
      }
      info = it->second;
      waiting.erase(it);
    }
    WATRA_ASSIGN(TensorJob job, make_job(p, info, out_type));
    jobs.push_back(std::move(job));
  }
  if (!waiting.empty())
    return fail("convert.unknown_tensor",
                fmt::format("{} of the folder's tensors have no place in a {} GGUF, first {}", waiting.size(),
                            plan.architecture, waiting.begin()->first),
                "is this a model of another kind behind the same architecture name, or an adapter?");
  for (const checkpoint::ForeignTensor& t : source.foreign())
    if (!is_left_out(canonical_tensor_name(t.name), config))
      return fail("convert.unsupported_dtype",
                  fmt::format("tensor {}: wanted F32, F16 or BF16, found {}", t.name, t.dtype),
                  "convert the original F32, F16 or BF16 model");
  return jobs;
}

Result<std::span<const std::byte>> TensorEncoder::encode(const TensorJob& job, int64_t first, int64_t n) {
  const int64_t unit = job.unit_elements();
  const int64_t n_elements = n * unit;
  if (!job.source) {
    const float* values = job.plan.values.data() + first * unit;
    return std::as_bytes(std::span(values, static_cast<size_t>(n_elements)));
  }
  const uint64_t source_row_bytes = tensor::row_bytes(job.source->dtype, unit);
  raw_.resize(source_row_bytes * static_cast<uint64_t>(n));
  WATRA_TRY(source_.read(*job.source, raw_, source_row_bytes * static_cast<uint64_t>(first)));
  if (job.source->dtype == job.dtype && job.plan.change == Change::none) return std::span<const std::byte>(raw_);

  values_.resize(n_elements);
  if (job.plan.change == Change::rope_pairs) changed_.resize(n_elements);
  out_.resize(job.unit_size_bytes() * static_cast<uint64_t>(n));
  std::atomic<bool> not_finite{false}, too_large{false};
  const float limit = job.dtype == DType::f16 ? kMaxF16 : INFINITY;
  const int64_t chunk = std::max<int64_t>(1, (int64_t{1} << 16) / unit);
  team_.parallel_for(n, chunk, [&](int64_t begin, int64_t end) {
    float* v = values_.data() + begin * unit;
    const int64_t count = (end - begin) * unit;
    tensor::dequantize_row(job.source->dtype, raw_.data() + source_row_bytes * static_cast<uint64_t>(begin), v, count);
    if (job.plan.change == Change::plus_one)
      for (int64_t i = 0; i < count; ++i) v[i] += 1.0f;
    if (job.plan.change == Change::rope_pairs) {
      const int64_t half = job.unit_rows / 2;
      float* moved = changed_.data() + begin * unit;
      for (int64_t u = 0; u < end - begin; ++u)
        for (int64_t r = 0; r < job.unit_rows; ++r)  // target row r of the head: pair r/2, element r%2
          std::memcpy(moved + u * unit + r * job.cols, v + u * unit + ((r % 2) * half + r / 2) * job.cols,
                      static_cast<size_t>(job.cols) * sizeof(float));
      v = moved;
    }
    bool finite = true, fits = true;
    for (int64_t i = 0; i < count; ++i) {
      finite &= std::isfinite(v[i]);
      fits &= std::fabs(v[i]) <= limit;
    }
    if (!finite) not_finite = true;
    if (!fits) too_large = true;
    tensor::quantize_row(job.dtype, v, out_.data() + job.unit_size_bytes() * static_cast<uint64_t>(begin), count);
  });
  if (not_finite)
    return fail("convert.not_finite", fmt::format("tensor {} holds NaN or infinity", job.source->name),
                "is the download complete?");
  if (too_large)
    return fail("convert.too_large_for_f16",
                fmt::format("tensor {} holds values beyond 65504, which F16 cannot", job.source->name),
                "--outtype bf16 or f32");
  return std::span<const std::byte>(out_);
}

}  // namespace watra::workshop
