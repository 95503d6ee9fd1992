// DType: element formats of tensors, with the block structs in blocks.h.
//
// The numeric values are those of GGUF's tensor types, so that a file's number and ours are the same; not every number
// of the format is one of ours (dtype_from_gguf says which). A *block* is the smallest unit of a quantized row:
// block_elements() weights in block_bytes() bytes. A row always holds whole blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"

namespace watra::tensor {

enum class DType : uint8_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q8_1 = 9,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  q8_k = 15,
  iq2_xxs = 16,
  iq2_xs = 17,
  iq3_xxs = 18,
  iq1_s = 19,
  iq4_nl = 20,
  iq3_s = 21,
  iq2_s = 22,
  iq4_xs = 23,
  i8 = 24,
  i16 = 25,
  i32 = 26,
  i64 = 27,
  f64 = 28,
  iq1_m = 29,
  bf16 = 30,
  tq1_0 = 34,
  tq2_0 = 35,
  mxfp4 = 39,
  nvfp4 = 40,
};

struct DTypeTraits {
  DType dtype;
  std::string_view name;       // "q4_k": lower case, as in our options
  std::string_view gguf_name;  // "Q4_K": as in file names and other tools
  uint32_t block_elements;     // 1 for plain types
  uint32_t block_bytes;
  bool is_quantized;
};

std::span<const DTypeTraits> all_dtypes();
const DTypeTraits& traits(DType dtype);
std::optional<DType> dtype_from_gguf(uint32_t gguf_type);
std::optional<DType> dtype_from_name(std::string_view name);  // either spelling, any case

inline std::string_view dtype_name(DType d) { return traits(d).name; }

// Bytes of a row of n elements. REQUIRES: n % block_elements == 0.
uint64_t row_bytes(DType dtype, int64_t n);

}  // namespace watra::tensor
