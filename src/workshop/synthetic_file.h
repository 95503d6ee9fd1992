// A synthetic model as a file: what "synthetic:SHAPE:QUANT" is in memory, for programs that read files.
#pragma once

#include <functional>
#include <string_view>

#include "workshop/convert.h"

namespace watra::workshop {

struct SyntheticReport {
  uint64_t bytes = 0, n_tensors = 0, n_params = 0;
};

// `spec` without "synthetic:", as model::synthetic_checkpoint() takes it. The file has no vocabulary but its size, from
// which a benchmark can draw tokens. It appears under its name only when it is whole; one that is there is replaced.
// Blocking, one thread, a few megabytes of memory. Errors: those of synthetic_checkpoint() and of writing.
Result<SyntheticReport> write_synthetic(std::string_view spec, const fs::path& target,
                                        const std::function<void(const ConvertProgress&)>& progress = {});

}  // namespace watra::workshop
