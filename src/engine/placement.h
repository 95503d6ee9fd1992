// Placement: which rows of which tensor live on which tier. Pure data: the planner makes it (plan.h), Residency carries
// it out.
//
// Rows are those of the tensor as the file has it. A range of a matrix that the kernels read interleaved begins at a
// multiple of 16 rows, so that the part in RAM consists of whole groups (tensor/interleave.h).
#pragma once

#include <cstdint>
#include <map>
#include <span>
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

// Bytes of the model's weights that a placement keeps in RAM (norms and biases as f32), and that it reads from disk in
// every pass over all layers that gives logits (a table that is only gathered does not count: one row a token).
uint64_t ram_weight_bytes(const model::Model& model, const Placement& placement);
uint64_t streamed_bytes(const model::Model& model, const Placement& placement);

// As much of the model as fits into ram_weight_bytes stays in RAM, the rest on disk, balanced so that reading always
// has computing to hide behind (docs/decisions/0009):
//   - norms and biases stay in RAM, and so do the matrices of which less than a good read would be streamed;
//   - a table that is only gathered goes to disk first;
//   - of every other matrix the same share stays, rounded to 16 rows; two that are finished together (gate and up) are
//     cut alike, and each role's slice of a fused matrix is cut by itself;
//   - rows on disk are shared out in proportion to disk_rates (any unit, by disk; empty = one disk).
// Uses at most ram_weight_bytes, if norms and biases fit into them. Same input, same result.
Placement balanced_placement(const model::Model& model, uint64_t ram_weight_bytes, std::span<const double> disk_rates);

}  // namespace watra::engine
