// TensorJob: one planned tensor with its source and the dtype it gets; encodes runs of rows.
//
// A vector of n counts as n rows of one element, so that rope_pairs means the same for weights and biases. Rows are
// encoded in units (a head for rope_pairs, otherwise one row); the result depends on nothing but the source's bytes, so
// that a unit encoded again can be compared with what was written.
#pragma once

#include <vector>

#include "base/thread_team.h"
#include "checkpoint/safetensors.h"
#include "workshop/convert.h"
#include "workshop/convert/family.h"

namespace watra::workshop {

struct TensorJob {
  PlannedTensor plan;
  const checkpoint::TensorInfo* source = nullptr;  // null: plan.values
  tensor::DType dtype = tensor::DType::f32;
  int64_t rows = 0, cols = 0, unit_rows = 1;

  uint64_t row_size_bytes() const { return tensor::row_bytes(dtype, cols); }
  uint64_t size_bytes() const { return row_size_bytes() * static_cast<uint64_t>(rows); }
  int64_t n_units() const { return rows / unit_rows; }
  int64_t unit_elements() const { return unit_rows * cols; }
  uint64_t unit_size_bytes() const { return row_size_bytes() * static_cast<uint64_t>(unit_rows); }
};

// Matches the plan with the folder: every planned tensor there, of the planned shape and a float dtype; nothing left
// over.
Result<std::vector<TensorJob>> make_jobs(const FamilyPlan& plan, const HfConfig& config,
                                         const checkpoint::Safetensors& source, OutType out_type);

// Scratch memory is kept between calls. Not thread-safe; uses the team inside.
class TensorEncoder {
 public:
  TensorEncoder(const checkpoint::Safetensors& source, ThreadTeam& team) : source_(source), team_(team) {}
  // Units [first, first + n). The result is valid until the next call.
  Result<std::span<const std::byte>> encode(const TensorJob& job, int64_t first, int64_t n);

 private:
  const checkpoint::Safetensors& source_;
  ThreadTeam& team_;
  std::vector<std::byte> raw_, out_;
  std::vector<float> values_, changed_;
};

}  // namespace watra::workshop
