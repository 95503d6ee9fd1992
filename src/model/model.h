// Model: an opened checkpoint understood as a network: shape, op lists, and which tensor serves which role. No weights
// loaded.
//
// Immutable after open(); may be shared by threads.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "checkpoint/checkpoint.h"
#include "model/arch.h"
#include "model/graph.h"
#include "model/hparams.h"

namespace watra::model {

// A role's weight: rows [row_begin, row_end) of a tensor, and its bias if it has one.
struct BoundWeight {
  // A norm, or a table whose rows are added as they are: no product reads it, it is kept as floats.
  bool is_vector() const { return is_table || tensor->shape.rank() < 2; }
  const checkpoint::TensorInfo* tensor = nullptr;
  int64_t row_begin = 0, row_end = 0;
  const checkpoint::TensorInfo* bias = nullptr;
  int64_t bias_begin = 0;
  bool is_table = false;
  explicit operator bool() const { return tensor != nullptr; }
  int64_t rows() const { return row_end - row_begin; }
};
using RoleWeights = std::array<BoundWeight, kRoles>;

class Model {
 public:
  // Errors: those of Checkpoint::open and read_hparams; "model.missing_tensor", "model.wrong_shape",
  // "model.no_weights".
  // folders: where else the parts of a split model may lie (Checkpoint::open).
  static Result<std::shared_ptr<const Model>> open(const fs::path& path, std::span<const fs::path> folders = {});
  static Result<std::shared_ptr<const Model>> from(checkpoint::Checkpoint file);

  const checkpoint::Checkpoint& file() const { return file_; }
  const HParams& hparams() const { return hparams_; }
  const Graph& graph() const { return graph_; }
  const RoleWeights& globals() const { return globals_; }
  const RoleWeights& layer(int i) const { return layers_[i]; }

  // The embedding table where no product reads it (embeddings are not tied): one row a token is all a pass needs of it.
  const checkpoint::TensorInfo* gathered_table() const;

  int64_t n_params() const;       // elements of all weight tensors
  uint64_t weight_bytes() const;  // bytes of all tensors
  // Bytes one decode pass must read: every weight once; of a separate embedding table only one row.
  uint64_t pass_bytes() const;
  // Multiply-accumulates of the products for one token: every weight once, but a separate embedding table.
  int64_t pass_macs() const;

 private:
  checkpoint::Checkpoint file_;
  HParams hparams_;
  Graph graph_;
  RoleWeights globals_;
  std::vector<RoleWeights> layers_;
};

// Elements of all tensors of a file (rotary tables not counted).
int64_t count_params(const checkpoint::Checkpoint& file);

}  // namespace watra::model
