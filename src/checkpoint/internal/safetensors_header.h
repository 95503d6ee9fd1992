// The header of one .safetensors file and the index of a sharded model: parsed, every number checked against the bytes
// that are there. Both are JSON, read as a stream of events: no tree is built, nothing unexpected is kept.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/internal/header_bytes.h"
#include "checkpoint/safetensors.h"

namespace watra::checkpoint {

inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;  // the reference implementation's own limit

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // by offset; offsets absolute in the file, file_index 0
  std::vector<ForeignTensor> foreign;
  std::vector<std::pair<std::string, std::string>> metadata;
};

// `name` is what errors call the file.
Result<SafetensorsHeader> parse_safetensors_header(HeaderBytes& in, const std::string& name);

struct IndexedTensor {
  std::string tensor, file;  // `file` is a plain name ending in .safetensors
};
Result<std::vector<IndexedTensor>> parse_safetensors_index(std::string_view json, const std::string& name);

// "F32" and its kin; empty when the format has no word for it.
std::string_view safetensors_dtype(tensor::DType dtype);

}  // namespace watra::checkpoint
