#include "engine/residency.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "model/synthetic.h"
#include "tensor/quantize.h"

namespace watra::engine {
namespace {

using checkpoint::TensorInfo;
using model::BoundWeight;
using Clock = std::chrono::steady_clock;

// One read: large enough that the disk works at its full rate, small enough that all threads have one.
constexpr uint64_t kReadBytes = 8u << 20;
constexpr uint64_t kAlign = 64;

struct Read {
  const TensorInfo* info;
  uint64_t skip_bytes, n_bytes;
  std::byte* to;
};

Status fetch(const model::Model& model, const TensorInfo& info, std::span<std::byte> out, uint64_t skip_bytes) {
  if (model.file().has_files()) return model.file().read(info, out, skip_bytes);
  return model::fill_synthetic(info.dtype, out, info.offset_bytes + skip_bytes);
}

}  // namespace

Result<std::unique_ptr<Residency>> Residency::load(std::shared_ptr<const model::Model> model, ThreadTeam& team,
                                                   MemoryBudget* budget, const Progress& progress) {
  const auto begin = Clock::now();
  auto r = std::make_unique<Residency>();
  r->model_ = model;

  // Places: matrices in file order in one block, vectors in another.
  std::unordered_map<const TensorInfo*, uint64_t> matrix_at, vector_at;
  uint64_t matrix_bytes = 0, vector_bytes = 0;
  const auto place = [&](const TensorInfo* info, bool is_matrix) {
    if (!info) return;
    auto& map = is_matrix ? matrix_at : vector_at;
    auto& bytes = is_matrix ? matrix_bytes : vector_bytes;
    if (!map.emplace(info, bytes).second) return;
    bytes += is_matrix ? info->size_bytes : static_cast<uint64_t>(info->shape.elements()) * sizeof(float);
    bytes = (bytes + kAlign - 1) / kAlign * kAlign;
  };
  const auto is_matrix = [](const BoundWeight& b) { return b.tensor->shape.rank() >= 2; };
  const auto for_all = [&](auto&& fn) {
    for (size_t i = 0; i < model::kRoles; ++i)
      if (model->globals()[i]) fn(model->globals()[i], r->globals_[i]);
    for (int l = 0; l < model->hparams().n_layers; ++l)
      for (size_t i = 0; i < model::kRoles; ++i)
        if (model->layer(l)[i]) fn(model->layer(l)[i], r->layers_[static_cast<size_t>(l)][i]);
  };
  r->layers_.resize(static_cast<size_t>(model->hparams().n_layers));
  for_all([&](const BoundWeight& b, LoadedWeight&) {
    place(b.tensor, is_matrix(b));
    place(b.bias, false);
  });
  WATRA_ASSIGN(r->weights_, Buffer::allocate(budget, "weights", matrix_bytes));
  WATRA_ASSIGN(r->vectors_, Buffer::allocate(budget, "norms and biases", vector_bytes));

  // Read the matrices in parallel.
  std::vector<Read> reads;
  uint64_t total = 0;
  for (const auto& [info, at] : matrix_at)
    for (uint64_t skip = 0, n = 0; skip < info->size_bytes; skip += n) {
      const uint64_t block = tensor::traits(info->dtype).block_bytes;  // a read is whole blocks
      n = std::min(kReadBytes / block * block, info->size_bytes - skip);
      reads.push_back({info, skip, n, r->weights_.data() + at + skip});
      total += n;
    }
  std::sort(reads.begin(), reads.end(), [](const Read& a, const Read& b) { return a.to < b.to; });
  std::atomic<uint64_t> done{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::optional<Error> error;
  auto last_report = begin;
  team.parallel_for(static_cast<int64_t>(reads.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last && !failed; ++i) {
      const Read& read = reads[static_cast<size_t>(i)];
      Status s = fetch(*model, *read.info, {read.to, read.n_bytes}, read.skip_bytes);
      const uint64_t so_far = done += read.n_bytes;
      std::unique_lock lock(mutex, std::defer_lock);
      if (!s) {
        lock.lock();
        failed = true;
        error = std::move(s).error();
      } else if (progress && lock.try_lock()) {
        if (const auto now = Clock::now(); now - last_report > std::chrono::milliseconds(100))
          last_report = now, progress(so_far, total);
      }
    }
  });
  if (error) return fail(std::move(*error));

  // Vectors are small: one after the other, converted to f32.
  std::vector<std::byte> raw;
  for (const auto& [info, at] : vector_at) {
    raw.resize(info->size_bytes);
    WATRA_TRY(fetch(*model, *info, raw, 0));
    tensor::dequantize_row(info->dtype, raw.data(), reinterpret_cast<float*>(r->vectors_.data() + at),
                           info->shape.elements());
    total += info->size_bytes;
  }

  for_all([&](const BoundWeight& b, LoadedWeight& w) {
    if (is_matrix(b)) {
      const tensor::TensorView whole{b.tensor->dtype, tensor::Layout::rows, b.tensor->shape,
                                     r->weights_.data() + matrix_at.at(b.tensor)};
      w.matrix = {whole.dtype, whole.layout, {b.rows(), whole.shape.cols()}, whole.row(b.row_begin)};
    } else {
      w.vector = reinterpret_cast<const float*>(r->vectors_.data() + vector_at.at(b.tensor));
    }
    if (b.bias) w.bias = reinterpret_cast<const float*>(r->vectors_.data() + vector_at.at(b.bias)) + b.bias_begin;
  });
  if (progress) progress(total, total);
  r->report_ = {std::chrono::duration<double>(Clock::now() - begin).count(), total};
  return r;
}

}  // namespace watra::engine
