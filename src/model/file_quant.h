// How a whole file is called by its quantization: "Q4_K_M", whatever most of its tensors are in. Thread-safe.
#pragma once

#include <optional>
#include <string>

#include "checkpoint/checkpoint.h"

namespace watra::model {

// What the file says of itself (GGUF's general.file_type), if it is a number of that format.
std::optional<std::string> declared_quant(const checkpoint::Metadata& metadata);

// The same, else the format most of its bytes are in; "" of a file without tensors.
std::string file_quant(const checkpoint::Checkpoint& file);

}  // namespace watra::model
