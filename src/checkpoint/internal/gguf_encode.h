// GGUF's encoding of metadata and of the tensor directory, as bytes appended to a string. The reader's counterpart is
// gguf_header.cpp; the grammar is in docs/formats/gguf.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "checkpoint/checkpoint.h"

namespace watra::checkpoint {

// The content must be what the type says (integers in range, the one right vector of an array filled, keys and depth
// within the reader's limits); "checkpoint.bad_value" or "checkpoint.bad_key" otherwise, with the key.
Status encode_key_value(std::string& out, const std::string& key, const MetaValue& value);

// offset_bytes counts from the beginning of the data.
void encode_tensor_info(std::string& out, const std::string& name, tensor::DType dtype, const tensor::Shape& shape,
                        uint64_t offset_bytes);

void encode_preamble(std::string& out, uint32_t version, uint64_t n_tensors, uint64_t n_keys);

}  // namespace watra::checkpoint
