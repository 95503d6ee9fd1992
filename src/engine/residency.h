// Residency: a model's weights, where the placement wants them: on a device, in RAM, or left in their files and
// streamed.
//
// reserve() finds a place for every weight that lies in RAM, and for the ring through which the others pass, and counts
// them against the budget; read() fills the places, repacking on the way. In between everything that points at weights
// can be built, so that what does not fit is known before the first byte is read. Matrices keep their file format, in
// 16 interleaved rows or as they lie (on a device always so); norms and biases become f32. Immutable after read(), but
// for the stream, which takes one pass at a time; views stay valid as long as the object lives.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/memory.h"
#include "base/thread_team.h"
#include "engine/device.h"
#include "engine/internal/read_plan.h"
#include "engine/placement.h"
#include "engine/weight_stream.h"
#include "model/model.h"
#include "tensor/tensor.h"

namespace watra::engine {

struct ResidentRows {  // of a role
  int64_t begin = 0;
  tensor::TensorView matrix;
  int64_t end() const { return begin + matrix.shape.rows(); }
};
struct StreamedRows {  // of a role: [begin, end), as they lie in the file
  int64_t begin = 0, end = 0;
  const DirectFile* file = nullptr;
  uint64_t offset = 0;  // of row `begin`
  uint8_t disk = 0;
};

struct DeviceRows {  // of a role: [begin, end) at this offset of Residency::on_device()
  int64_t begin = 0, end = 0;
  uint64_t offset = 0;
};

struct LoadedWeight {
  tensor::TensorView matrix;           // role's rows; data is null unless all of them lie in RAM side by side
  std::vector<ResidentRows> resident;  // all three ascend; together they are all rows
  std::vector<StreamedRows> streamed;
  std::vector<DeviceRows> on_device;
  const float* vector = nullptr;  // norms: [cols]; tables whose rows are added: [rows, cols]; null = on the device
  const float* bias = nullptr;    // [rows], of a norm [cols], or null
  std::optional<uint64_t> bias_on_device;  // its offset there
};
using LoadedWeights = std::array<LoadedWeight, model::kRoles>;

struct LoadReport {
  double seconds = 0;
  uint64_t bytes = 0;
  double gb_s() const { return seconds > 0 ? static_cast<double>(bytes) / seconds / 1e9 : 0; }
};

struct ResidencyOptions {
  // Matrices of at least 16 rows whose type has a plan (tensor/interleave.h) are stored as Layout::interleaved_16. Left
  // as they lie: a table that is only gathered, and a fused matrix whose slices do not begin at multiples of 16 rows.
  bool interleave = false;
  Placement placement;             // what it does not name lies in RAM
  std::vector<fs::path> disks;     // of the placement's disks 1, 2, ...: find_copies()
  uint64_t ring_bytes = 64 << 20;  // for streamed weights, if there are any
  uint64_t unit_bytes = 2 << 20;   // of a slot of the ring (weight_stream.h)
  int n_threads = 1;               // that compute streamed weights together
  std::shared_ptr<Device> device;  // where Tier::vram is; null = there is none
};

class Residency {
 public:
  // progress(done_bytes, total_bytes) is called from one thread at a time, a few times a second at most.
  using Progress = std::function<void(uint64_t, uint64_t)>;

  // Errors: "memory.over_budget", "memory.refused", "device.full"; "placement.invalid" for ranges that are not the
  // model's.
  static Result<std::unique_ptr<Residency>> reserve(std::shared_ptr<const model::Model> model, MemoryBudget* budget,
                                                    const ResidencyOptions& options = {});
  // staging_bytes: memory for what was read and not placed yet, besides the budget; 0 = as much as a fast disk wants.
  // cancelled: asked before each read, by all members of the team.
  // Errors: "file.io", "file.short_read", "memory.refused", "load.cancelled", "device.lost". Once.
  Status read(ThreadTeam& team, const Progress& progress = {}, uint64_t staging_bytes = 0,
              const std::function<bool()>& cancelled = {});
  // Both.
  static Result<std::unique_ptr<Residency>> load(std::shared_ptr<const model::Model> model, ThreadTeam& team,
                                                 MemoryBudget* budget, const Progress& progress = {},
                                                 const ResidencyOptions& options = {});

  const LoadedWeight& global(model::Role r) const { return globals_[static_cast<size_t>(r)]; }
  const LoadedWeight& layer(int i, model::Role r) const {
    return layers_[static_cast<size_t>(i)][static_cast<size_t>(r)];
  }
  const LoadReport& report() const { return report_; }
  const Placement& placement() const { return placement_; }
  // Null where no product reads from disk.
  WeightStream* stream() const { return stream_.get(); }
  // Of size 0 where nothing lies on a device.
  const DeviceBuffer& on_device() const { return device_weights_; }
  // Null where everything lies in RAM.
  const std::shared_ptr<const WeightFiles>& files() const { return files_; }

 private:
  template <class Fn>  // fn(const model::BoundWeight&, LoadedWeight&)
  void for_all(Fn&& fn);

  Status open_stream(MemoryBudget* budget, const ResidencyOptions& options);

  std::shared_ptr<const model::Model> model_;
  Placement placement_;
  std::shared_ptr<const WeightFiles> files_;
  std::unique_ptr<WeightStream> stream_;
  Buffer weights_, vectors_;
  DeviceBuffer device_weights_;
  std::vector<internal::PlacedTensor> places_;
  LoadedWeights globals_{};
  std::vector<LoadedWeights> layers_;
  LoadReport report_;
};

}  // namespace watra::engine
