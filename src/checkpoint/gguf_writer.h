// GgufWriter: writes a GGUF file tensor by tensor, never holding more than the caller gives it.
//
// Usage: create with the metadata, declare all tensors in order, then write their bytes in the same order, then
// finish(). The file is written beside the target and renamed by finish(): an unfinished writer leaves nothing behind,
// and after the first error every later call repeats it. "general.alignment" and the "split.*" keys describe a file and
// not the model: the writer drops those it is given and sets its own. One thread.
#pragma once

#include "checkpoint/checkpoint.h"

namespace watra::checkpoint {

struct GgufWriterOptions {
  uint32_t version = 3;
  uint32_t alignment = 32;       // power of two >= 8; written as general.alignment when it is not 32
  uint64_t max_split_bytes = 0;  // 0 = one file; otherwise, when it needs more than one, STEM-0000i-of-0000n.gguf
};

class GgufWriter {
 public:
  static Result<GgufWriter> create(fs::path target, Metadata metadata, GgufWriterOptions options = {});
  GgufWriter(GgufWriter&&) noexcept;
  GgufWriter& operator=(GgufWriter&&) noexcept;
  ~GgufWriter();

  // All declarations come before the first write. Shape in numpy order.
  Status declare(std::string name, tensor::DType dtype, tensor::Shape shape);
  // Bytes of the declared tensors in order; a piece may end or begin anywhere.
  Status write(std::span<const std::byte> bytes);
  // Checks that every declared byte came, syncs, renames. Returns the paths written.
  Result<std::vector<fs::path>> finish();

 private:
  struct Impl;
  explicit GgufWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace watra::checkpoint
