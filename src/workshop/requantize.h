// requantize: a model in fewer bits, made from its own GGUF file.
//
// Matrices become the wanted type, streamed a few megabytes at a time with all threads; vectors, norms and whatever is
// no larger than it would become are copied; names, shapes and metadata stay. The embedding table and the output matrix
// never go below Q4_K: there the low-bit types cost most quality for the fewest bytes. The file appears under its name
// only when it is whole; the source is opened for reading only. No importance matrix: that is `watra quantize`'s job.
// This is for drafts, whose errors cost speed and nothing else (self_draft.h).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>

#include "base/file.h"
#include "base/result.h"
#include "tensor/tensor.h"

namespace watra::workshop {

struct RequantizeOptions {
  fs::path source;  // GGUF, any part of a split one
  fs::path target;  // one .gguf file; replaced if it exists
  tensor::DType type = tensor::DType::q3_k;
  int threads = 0;                                   // 0 = one per physical core
  std::function<void(uint64_t, uint64_t)> progress;  // done, total bytes of the source; may be empty
  std::function<bool()> cancelled;                   // asked as often; may be empty
};

struct RequantizeReport {
  fs::path path;
  uint64_t source_bytes = 0, bytes = 0;
  int64_t n_tensors = 0, n_copied = 0;
  std::map<tensor::DType, uint64_t> bytes_by_type;
  double seconds = 0;
};

// What a matrix may become: the block formats with a fast product and a quantizer.
std::span<const tensor::DType> requantize_types();

// Blocking. Errors: those of Checkpoint::open; "requantize.type" (lists what there is), "requantize.same_file",
// "requantize.no_space", "requantize.unreadable_type" (a source format without a dequantizer),
// "requantize.not_finite", "requantize.verify_failed" (read back, a tensor differs), "requantize.cancelled" (nothing is
// left behind), "file.*".
Result<RequantizeReport> requantize(const RequantizeOptions& options);

// The type of one tensor of `source` bytes. Whole tensors only.
tensor::DType requantized_type(std::string_view name, tensor::DType source, const tensor::Shape& shape,
                               tensor::DType wanted);

}  // namespace watra::workshop
