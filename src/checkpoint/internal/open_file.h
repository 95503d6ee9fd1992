// What both readers do with files: open a regular one, read part of a tensor.
#pragma once

#include <span>

#include "checkpoint/checkpoint.h"

namespace watra::checkpoint {

struct OpenFile {
  File file;
  uint64_t bytes = 0;
};

// Refuses pipes and devices before opening them (a pipe would block for ever).
Result<OpenFile> open_regular_file(const fs::path& path);

// [skip_bytes, skip_bytes + out.size()) of the tensor; "checkpoint.bad_range" when it has fewer.
Status read_tensor(std::span<const File> files, const TensorInfo& info, std::span<std::byte> out, uint64_t skip_bytes);

}  // namespace watra::checkpoint
