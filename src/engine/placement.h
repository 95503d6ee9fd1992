// Placement: which rows of which tensor live on which tier. Pure data: the planner makes it (outline_placement.h
// decides, plan.h predicts), Residency carries it out.
//
// Rows are those of the tensor as the file has it. A range of a matrix that the kernels read interleaved begins at a
// multiple of 16 rows, so that the part in RAM consists of whole groups (tensor/interleave.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace watra::model {
class Model;
}

namespace watra::engine {

enum class Tier : uint8_t { vram, ram, disk };

struct RowRange {  // rows [begin, end)
  int64_t begin = 0, end = 0;
  Tier tier = Tier::ram;
  uint8_t disk = 0;  // with Tier::disk: which of the disks
  bool operator==(const RowRange&) const = default;
};

struct Placement {
  // By tensor name; a tensor's ranges ascend and cover all of its rows. What is not named lies in RAM.
  std::map<std::string, std::vector<RowRange>, std::less<>> tensors;

  bool all_in_ram() const { return tensors.empty(); }
  bool operator==(const Placement&) const = default;
};

// Bytes of the model's weights that a placement keeps in RAM, and on a device (norms and biases as f32), and that it
// reads from disk in every pass over all layers that gives logits (a table that is only gathered does not count: one
// row a token).
uint64_t ram_weight_bytes(const model::Model& model, const Placement& placement);
uint64_t device_weight_bytes(const model::Model& model, const Placement& placement);
uint64_t streamed_bytes(const model::Model& model, const Placement& placement);

}  // namespace watra::engine
