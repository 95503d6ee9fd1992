// Safetensors: reading one file or a sharded folder (model.safetensors.index.json), and writing.
//
// Same trust rules as Checkpoint: header length, JSON, offsets and dtypes are checked against the file. Read-only after
// open; read() is thread-safe. Format: docs/formats/safetensors.md.
#pragma once

#include "checkpoint/checkpoint.h"

namespace watra::checkpoint {

// A tensor whose element type or rank we have no word for (boolean masks, 8-bit floats, 5-dimensional filters). Its
// place in the file was checked like the others'; it cannot be read.
struct ForeignTensor {
  std::string name;
  std::string dtype;  // as the file says: "BOOL", "F8_E4M3"
  std::vector<uint64_t> dims;
};

class Safetensors {
 public:
  // PATH: a .safetensors file, an index.json, or a folder with either.
  static Result<Safetensors> open(const fs::path& path);

  // In the order of their bytes, file by file. Scalars have rank 0; a dimension may be 0, as the format allows.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const std::vector<ForeignTensor>& foreign() const { return foreign_; }
  const TensorInfo* find(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }
  const std::vector<File>& files() const { return files_; }
  Status read(const TensorInfo& info, std::span<std::byte> out, uint64_t skip_bytes = 0) const;

 private:
  friend class SafetensorsOpener;
  std::vector<TensorInfo> tensors_;
  std::vector<ForeignTensor> foreign_;
  std::unordered_map<std::string_view, size_t> by_name_;  // keys point into tensors_
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::vector<File> files_;
};

struct SafetensorsEntry {
  std::string name;
  tensor::DType dtype;
  tensor::Shape shape;
  std::span<const std::byte> data;
};

// Writes one file, or shards "model-0000i-of-0000n.safetensors" with index when max_shard_bytes > 0 (then PATH is a
// folder).
Status write_safetensors(const fs::path& path, std::span<const SafetensorsEntry> entries,
                         std::span<const std::pair<std::string, std::string>> metadata = {},
                         uint64_t max_shard_bytes = 0);

}  // namespace watra::checkpoint
