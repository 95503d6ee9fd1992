// The header of one GGUF file: parsed, every number checked against the bytes that are there. Grammar:
// docs/formats/gguf.md.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/internal/header_bytes.h"

namespace watra::checkpoint {

inline constexpr uint32_t kDefaultAlignment = 32;
inline constexpr uint32_t kMaxAlignment = uint32_t{1} << 24;  // huge pages are 2 MiB; more is no alignment but damage
inline constexpr uint64_t kMaxKeyBytes = 65535;               // the format's own limit
// The format says 64; programs built with a larger limit write up to 127.
inline constexpr uint64_t kMaxTensorNameBytes = 127;
inline constexpr int kMaxArrayDepth = 8;

// Smallest encodings, for comparing counts with the bytes left: a key of one byte with a one-byte value; a tensor with
// a name of one byte and one dimension.
inline constexpr uint64_t kMinKeyValueBytes = 8 + 1 + 4 + 1;
inline constexpr uint64_t kMinTensorInfoBytes = 8 + 1 + 4 + 8 + 4 + 8;

struct GgufHeader {
  uint32_t version = 0;
  uint32_t alignment = kDefaultAlignment;
  uint64_t data_offset = 0;  // where the tensors' bytes begin
  Metadata metadata;
  std::vector<TensorInfo> tensors;  // offsets absolute in the file, file_index 0; disjoint and inside the file
};

// `name` is what errors call the file.
Result<GgufHeader> parse_gguf_header(HeaderBytes& in, const std::string& name);

}  // namespace watra::checkpoint
