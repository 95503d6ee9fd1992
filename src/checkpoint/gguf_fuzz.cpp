// Fuzz target: a GGUF header from memory; what opens must keep its promises, and survive being written and read again.
#include <cstdlib>

#include "checkpoint/internal/gguf_encode.h"
#include "checkpoint/internal/gguf_header.h"

using namespace watra;
using namespace watra::checkpoint;

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

// The metadata encoded anew must parse to the same.
void check_round_trip(const GgufHeader& header) {
  std::string bytes;
  encode_preamble(bytes, header.version, 0, header.metadata.entries().size());
  for (const auto& [key, value] : header.metadata.entries()) require(encode_key_value(bytes, key, value).has_value());
  HeaderBytes in(std::as_bytes(std::span(bytes)));
  const auto again = parse_gguf_header(in, "again");
  require(again.has_value());
  std::string bytes_again;
  encode_preamble(bytes_again, again->version, 0, again->metadata.entries().size());
  for (const auto& [key, value] : again->metadata.entries())
    require(encode_key_value(bytes_again, key, value).has_value());
  require(bytes == bytes_again);  // by bytes: NaN is not equal to itself
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  HeaderBytes in(std::as_bytes(std::span(data, size)));
  const auto header = parse_gguf_header(in, "fuzz");
  if (!header) {
    require(!header.error().code.empty() && !header.error().message.empty());
    return 0;
  }
  for (const TensorInfo& t : header->tensors) {
    require(t.offset_bytes >= header->data_offset && t.offset_bytes <= size && t.size_bytes <= size - t.offset_bytes);
    require(t.shape.elements() > 0 &&
            t.size_bytes == tensor::row_bytes(t.dtype, t.shape.cols()) * static_cast<uint64_t>(t.shape.rows()));
    require(t.offset_bytes % header->alignment == 0);
  }
  check_round_trip(*header);
  return 0;
}
