// Fuzz target: a safetensors header from memory; the same bytes are also read as an index.
#include <cstdlib>

#include "checkpoint/internal/safetensors_header.h"

using namespace watra;
using namespace watra::checkpoint;

namespace {
void require(bool ok) {
  if (!ok) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  HeaderBytes in(std::as_bytes(std::span(data, size)));
  if (const auto header = parse_safetensors_header(in, "fuzz")) {
    for (const TensorInfo& t : header->tensors) {
      require(t.offset_bytes <= size && t.size_bytes <= size - t.offset_bytes);
      require(t.size_bytes == static_cast<uint64_t>(t.shape.elements()) * tensor::traits(t.dtype).block_bytes);
    }
  } else {
    require(!header.error().code.empty() && !header.error().message.empty());
  }
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto index = parse_safetensors_index(text, "fuzz")) {
    for (const IndexedTensor& t : *index)
      require(t.file.find('/') == std::string::npos && t.file.ends_with(".safetensors"));
  }
  return 0;
}
