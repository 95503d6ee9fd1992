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
constexpr uint64_t kAlign = 64, kDeviceAlign = 256;

uint64_t align_up(uint64_t n, uint64_t step) { return (n + step - 1) / step * step; }

// Whether a slice's rows are whole groups of its tensor: then the groups of the slice are those of the tensor.
bool is_whole_groups(const BoundWeight& b) {
  const auto& shape = b.tensor->shape;
  const auto is_multiple = [](int64_t n) { return n % tensor::kInterleavedRows == 0; };
  if (shape.rank() > 2 && !is_multiple(shape[shape.rank() - 2])) return false;  // each expert begins a group
  return is_multiple(b.row_begin) && (is_multiple(b.row_end) || b.row_end == shape.rows());
}

bool is_group_begin(const RowRange& r) { return r.begin % tensor::kInterleavedRows == 0; }

std::vector<RowRange> ranges_of(const TensorInfo& info, const Placement& placement) {
  const auto named = placement.tensors.find(info.name);
  if (named != placement.tensors.end()) return named->second;
  return {{0, info.shape.rows(), Tier::ram}};
}

Status check_placement(const model::Model& model, const Placement& placement, size_t n_disks, bool has_device) {
  const auto bad = [](const std::string& name, std::string_view why) {
    return fail("placement.invalid", fmt::format("the placement of {} cannot be carried out: {}", name, why));
  };
  for (const auto& [name, ranges] : placement.tensors) {
    const TensorInfo* info = model.file().find(name);
    if (!info) return bad(name, "the model has no such tensor");
    int64_t at = 0;
    for (const RowRange& r : ranges) {
      if (r.begin != at || r.end <= r.begin) return bad(name, "its ranges do not follow each other");
      if (r.tier == Tier::vram && !has_device) return bad(name, "there is no device here");
      if (r.tier == Tier::disk && !model.file().has_files())
        return bad(name, "a model without files has nothing to stream from");
      if (r.tier == Tier::disk && (info->shape.rank() != 2 || r.disk >= n_disks))
        return bad(name, info->shape.rank() != 2 ? "only matrices are streamed" : "it names a disk that is not there");
      at = r.end;
    }
    if (at != info->shape.rows()) return bad(name, fmt::format("{} of {} rows are placed", at, info->shape.rows()));
  }
  return {};
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
  r->placement_ = options.placement;
  r->layers_.resize(static_cast<size_t>(r->model_->hparams().n_layers));
  WATRA_TRY(check_placement(*r->model_, r->placement_, options.disks.size() + 1, options.device != nullptr));
  if (!r->placement_.all_in_ram() && r->model_->file().has_files()) {
    WATRA_ASSIGN(r->files_, WeightFiles::open(r->model_->file(), options.disks));
  }

  struct Place {
    std::vector<RowRange> ranges;
    std::vector<uint64_t> at;  // by range: where in RAM, or on the device
    bool matrix, interleaved;
  };
  std::unordered_map<const TensorInfo*, Place> places;
  uint64_t matrix_bytes = 0, vector_bytes = 0, device_bytes = 0;
  const auto place = [&](const TensorInfo* info, bool matrix) -> Place& {
    const auto [entry, is_new] = places.try_emplace(info);
    Place& p = entry->second;
    if (!is_new) return p;
    p.matrix = matrix;
    p.ranges = ranges_of(*info, r->placement_);
    p.interleaved = matrix && options.interleave && std::ranges::all_of(p.ranges, is_group_begin);
    const uint64_t row_size = matrix ? tensor::row_bytes(info->dtype, info->shape.cols())
                                     : static_cast<uint64_t>(info->shape.cols()) * sizeof(float);
    for (const RowRange& range : p.ranges) {
      const bool on_device = range.tier == Tier::vram;
      uint64_t& bytes = on_device ? device_bytes : matrix ? matrix_bytes : vector_bytes;
      p.at.push_back(bytes);
      if (range.tier == Tier::disk) continue;
      bytes = align_up(bytes + static_cast<uint64_t>(range.end - range.begin) * row_size,
                       on_device ? kDeviceAlign : kAlign);
    }
    return p;
  };
  const TensorInfo* gathered = r->model_->gathered_table();
  r->for_all([&](const BoundWeight& b, LoadedWeight&) {
    Place& p = place(b.tensor, !b.is_vector());
    p.interleaved = p.interleaved && b.tensor != gathered && tensor::can_interleave(b.tensor->dtype) &&
                    b.tensor->shape.rows() >= tensor::kInterleavedRows && is_whole_groups(b);
    if (b.bias) place(b.bias, false);
  });
  WATRA_ASSIGN(r->weights_, Buffer::allocate(budget, "weights", matrix_bytes, Buffer::Nodes::spread));
  WATRA_ASSIGN(r->vectors_, Buffer::allocate(budget, "norms and biases", vector_bytes));
  if (device_bytes > 0) {
    WATRA_ASSIGN(r->device_weights_, DeviceBuffer::allocate(options.device, device_bytes));
  }

  for (const auto& [info, p] : places) {
    const uint64_t row_size = tensor::row_bytes(info->dtype, info->shape.cols());
    for (size_t i = 0; i < p.ranges.size(); ++i) {
      const RowRange& range = p.ranges[i];
      if (range.tier == Tier::disk) continue;
      const bool on_device = range.tier == Tier::vram;
      internal::PlacedTensor& to = r->places_.emplace_back();
      to = {info, nullptr, Placing::copy, static_cast<uint64_t>(range.begin) * row_size,
            static_cast<uint64_t>(range.end) * row_size};
      if (!p.matrix)
        to.placing = Placing::to_f32;
      else if (p.interleaved && !on_device)
        to.placing = Placing::interleave;
      if (on_device)
        to.device = &r->device_weights_, to.device_offset = p.at[i];
      else
        to.to = (p.matrix ? r->weights_ : r->vectors_).data() + p.at[i];
    }
  }
  const auto is_on_device = [&](const TensorInfo* info) { return places.at(info).ranges[0].tier == Tier::vram; };
  const auto vector = [&](const TensorInfo* info) {
    return reinterpret_cast<const float*>(r->vectors_.data() + places.at(info).at[0]);
  };
  r->for_all([&](const BoundWeight& b, LoadedWeight& w) {
    if (b.bias && is_on_device(b.bias))
      w.bias_on_device = places.at(b.bias).at[0] + static_cast<uint64_t>(b.bias_begin) * sizeof(float);
    else if (b.bias)
      w.bias = vector(b.bias) + b.bias_begin;
    if (b.is_vector()) {
      if (is_on_device(b.tensor))
        w.on_device.push_back({0, b.tensor->shape.rows(), places.at(b.tensor).at[0]});
      else
        w.vector = vector(b.tensor);
      return;
    }
    const Place& p = places.at(b.tensor);
    const int64_t cols = b.tensor->shape.cols();
    const uint64_t row_size = tensor::row_bytes(b.tensor->dtype, cols);
    const tensor::Layout layout = p.interleaved ? tensor::Layout::interleaved_16 : tensor::Layout::rows;
    w.matrix = {b.tensor->dtype, layout, {b.rows(), cols}, nullptr};
    for (size_t i = 0; i < p.ranges.size(); ++i) {
      const RowRange& range = p.ranges[i];
      const int64_t begin = std::max(range.begin, b.row_begin), end = std::min(range.end, b.row_end);
      if (begin >= end) continue;
      if (range.tier == Tier::vram) {
        w.on_device.push_back(
            {begin - b.row_begin, end - b.row_begin, p.at[i] + static_cast<uint64_t>(begin - range.begin) * row_size});
      } else if (range.tier == Tier::disk) {
        w.streamed.push_back({begin - b.row_begin, end - b.row_begin,
                              &r->files_->file(range.disk, b.tensor->file_index),
                              b.tensor->offset_bytes + static_cast<uint64_t>(begin) * row_size, range.disk});
      } else {
        const std::byte* at = r->weights_.data() + p.at[i] + static_cast<uint64_t>(begin - range.begin) * row_size;
        w.resident.push_back({begin - b.row_begin, {b.tensor->dtype, layout, {end - begin, cols}, at}});
      }
    }
    if (w.streamed.empty() && w.on_device.empty() && w.resident.size() == 1) w.matrix.data = w.resident[0].matrix.data;
  });
  WATRA_TRY(r->open_stream(budget, options));
  return r;
}

Status Residency::open_stream(MemoryBudget* budget, const ResidencyOptions& options) {
  // Two matrices that are finished together share a slot.
  uint64_t group_bytes = 0;
  for_all([&](const BoundWeight& b, LoadedWeight& w) {
    if (!w.streamed.empty() && b.tensor != model_->gathered_table())
      group_bytes = std::max(group_bytes, w.matrix.row_size_bytes() * uint64_t{2 * tensor::kInterleavedRows});
  });
  if (group_bytes == 0) return {};
  WATRA_ASSIGN(stream_, WeightStream::create(files_, {.ring_bytes = options.ring_bytes,
                                                      .unit_bytes = options.unit_bytes,
                                                      .least_unit_bytes = group_bytes,
                                                      .n_threads = options.n_threads,
                                                      .budget = budget}));
  return {};
}

Status Residency::read(ThreadTeam& team, const Progress& progress, uint64_t staging_bytes,
                       const std::function<bool()>& cancelled) {
  const auto begin = Clock::now();
  if (staging_bytes == 0) staging_bytes = kStagingBytes;
  // With little memory for it, reads are shorter before they are fewer.
  const auto n_members = static_cast<uint64_t>(team.size());
  const uint64_t share = std::clamp<uint64_t>(staging_bytes / (2 * n_members), 64 << 10, kReadBytes);
  const internal::ReadPlan plan =
      internal::plan_reads(places_, model_->file().has_files() ? share : kSyntheticReadBytes);
  WATRA_TRY(internal::read_weights(model_->file(), plan, team,
                                   {.staging_bytes = staging_bytes, .progress = progress, .cancelled = cancelled}));
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
