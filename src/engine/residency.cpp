#include "engine/residency.h"

#include <algorithm>
#include <chrono>
#include <unordered_map>

#include "engine/internal/weight_reader.h"
#include "tensor/interleave.h"

namespace watra::engine {
namespace {

using checkpoint::TensorInfo;
using internal::Placing;
using model::BoundWeight;
using Clock = std::chrono::steady_clock;

// One read: large enough that the disk works at its full rate, small enough to stay in a core's cache until it is
// placed (docs/decisions/0005).
constexpr uint64_t kReadBytes = 1u << 20;
// Synthetic weights repeat a pattern that is made anew for every read.
constexpr uint64_t kSyntheticReadBytes = 8u << 20;
constexpr uint64_t kStagingBytes = 32u << 20;
constexpr uint64_t kAlign = 64;

bool is_matrix(const BoundWeight& b) { return b.tensor->shape.rank() >= 2; }

// Whether a slice's rows are whole groups of its tensor: then the groups of the slice are those of the tensor.
bool is_whole_groups(const BoundWeight& b) {
  const auto& shape = b.tensor->shape;
  const auto is_multiple = [](int64_t n) { return n % tensor::kInterleavedRows == 0; };
  if (shape.rank() > 2 && !is_multiple(shape[shape.rank() - 2])) return false;  // each expert begins a group
  return is_multiple(b.row_begin) && (is_multiple(b.row_end) || b.row_end == shape.rows());
}

}  // namespace

template <class Fn>
void Residency::for_all(Fn&& fn) {
  for (size_t i = 0; i < model::kRoles; ++i)
    if (model_->globals()[i]) fn(model_->globals()[i], globals_[i]);
  for (int l = 0; l < model_->hparams().n_layers; ++l)
    for (size_t i = 0; i < model::kRoles; ++i)
      if (model_->layer(l)[i]) fn(model_->layer(l)[i], layers_[static_cast<size_t>(l)][i]);
}

Result<std::unique_ptr<Residency>> Residency::reserve(std::shared_ptr<const model::Model> model, MemoryBudget* budget,
                                                      const ResidencyOptions& options) {
  auto r = std::make_unique<Residency>();
  r->model_ = std::move(model);
  r->layers_.resize(static_cast<size_t>(r->model_->hparams().n_layers));

  struct Place {
    uint64_t at;
    bool matrix, interleaved;
  };
  std::unordered_map<const TensorInfo*, Place> places;
  uint64_t matrix_bytes = 0, vector_bytes = 0;
  const auto place = [&](const TensorInfo* info, bool matrix) -> Place& {
    uint64_t& bytes = matrix ? matrix_bytes : vector_bytes;
    const auto [at, is_new] = places.try_emplace(info, Place{bytes, matrix, matrix && options.interleave});
    if (is_new) {
      bytes += matrix ? info->size_bytes : static_cast<uint64_t>(info->shape.elements()) * sizeof(float);
      bytes = (bytes + kAlign - 1) / kAlign * kAlign;
    }
    return at->second;
  };
  const TensorInfo* gathered = r->model_->hparams().tied_embeddings
                                   ? nullptr
                                   : r->model_->globals()[static_cast<size_t>(model::Role::token_embd)].tensor;
  r->for_all([&](const BoundWeight& b, LoadedWeight&) {
    Place& p = place(b.tensor, is_matrix(b));
    p.interleaved = p.interleaved && b.tensor != gathered && tensor::can_interleave(b.tensor->dtype) &&
                    b.tensor->shape.rows() >= tensor::kInterleavedRows && is_whole_groups(b);
    if (b.bias) place(b.bias, false);
  });
  WATRA_ASSIGN(r->weights_, Buffer::allocate(budget, "weights", matrix_bytes, Buffer::Nodes::spread));
  WATRA_ASSIGN(r->vectors_, Buffer::allocate(budget, "norms and biases", vector_bytes));

  for (const auto& [info, p] : places)
    r->places_.push_back({info, (p.matrix ? r->weights_ : r->vectors_).data() + p.at,
                          !p.matrix       ? Placing::to_f32
                          : p.interleaved ? Placing::interleave
                                          : Placing::copy});
  const auto vector = [&](const TensorInfo* info) {
    return reinterpret_cast<const float*>(r->vectors_.data() + places.at(info).at);
  };
  r->for_all([&](const BoundWeight& b, LoadedWeight& w) {
    if (is_matrix(b)) {
      const Place& p = places.at(b.tensor);
      const uint64_t skip =
          static_cast<uint64_t>(b.row_begin) * tensor::row_bytes(b.tensor->dtype, b.tensor->shape.cols());
      w.matrix = {b.tensor->dtype,
                  p.interleaved ? tensor::Layout::interleaved_16 : tensor::Layout::rows,
                  {b.rows(), b.tensor->shape.cols()},
                  r->weights_.data() + p.at + skip};
    } else {
      w.vector = vector(b.tensor);
    }
    if (b.bias) w.bias = vector(b.bias) + b.bias_begin;
  });
  return r;
}

Status Residency::read(ThreadTeam& team, const Progress& progress, uint64_t staging_bytes) {
  const auto begin = Clock::now();
  if (staging_bytes == 0) staging_bytes = kStagingBytes;
  // With little memory for it, reads are shorter before they are fewer.
  const auto n_members = static_cast<uint64_t>(team.size());
  const uint64_t share = std::clamp<uint64_t>(staging_bytes / (2 * n_members), 64 << 10, kReadBytes);
  const internal::ReadPlan plan =
      internal::plan_reads(places_, model_->file().has_files() ? share : kSyntheticReadBytes);
  WATRA_TRY(internal::read_weights(model_->file(), plan, team, {.staging_bytes = staging_bytes, .progress = progress}));
  report_ = {std::chrono::duration<double>(Clock::now() - begin).count(), plan.n_bytes};
  return {};
}

Result<std::unique_ptr<Residency>> Residency::load(std::shared_ptr<const model::Model> model, ThreadTeam& team,
                                                   MemoryBudget* budget, const Progress& progress,
                                                   const ResidencyOptions& options) {
  WATRA_ASSIGN(auto r, reserve(std::move(model), budget, options));
  WATRA_TRY(r->read(team, progress));
  return r;
}

}  // namespace watra::engine
