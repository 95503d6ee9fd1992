#include "tensor/dtype.h"

#include <array>
#include <cassert>
#include <cstddef>

namespace watra::tensor {
namespace {

constexpr std::array kTraits = {
    DTypeTraits{DType::f32, "f32", "F32", 1, 4, false},
    DTypeTraits{DType::f16, "f16", "F16", 1, 2, false},
    DTypeTraits{DType::bf16, "bf16", "BF16", 1, 2, false},
    DTypeTraits{DType::f64, "f64", "F64", 1, 8, false},
    DTypeTraits{DType::i8, "i8", "I8", 1, 1, false},
    DTypeTraits{DType::i16, "i16", "I16", 1, 2, false},
    DTypeTraits{DType::i32, "i32", "I32", 1, 4, false},
    DTypeTraits{DType::i64, "i64", "I64", 1, 8, false},
    DTypeTraits{DType::q4_0, "q4_0", "Q4_0", 32, 18, true},
    DTypeTraits{DType::q4_1, "q4_1", "Q4_1", 32, 20, true},
    DTypeTraits{DType::q5_0, "q5_0", "Q5_0", 32, 22, true},
    DTypeTraits{DType::q5_1, "q5_1", "Q5_1", 32, 24, true},
    DTypeTraits{DType::q8_0, "q8_0", "Q8_0", 32, 34, true},
    DTypeTraits{DType::q8_1, "q8_1", "Q8_1", 32, 36, true},
    DTypeTraits{DType::q2_k, "q2_k", "Q2_K", 256, 84, true},
    DTypeTraits{DType::q3_k, "q3_k", "Q3_K", 256, 110, true},
    DTypeTraits{DType::q4_k, "q4_k", "Q4_K", 256, 144, true},
    DTypeTraits{DType::q5_k, "q5_k", "Q5_K", 256, 176, true},
    DTypeTraits{DType::q6_k, "q6_k", "Q6_K", 256, 210, true},
    DTypeTraits{DType::q8_k, "q8_k", "Q8_K", 256, 292, true},
    DTypeTraits{DType::iq1_s, "iq1_s", "IQ1_S", 256, 50, true},
    DTypeTraits{DType::iq1_m, "iq1_m", "IQ1_M", 256, 56, true},
    DTypeTraits{DType::iq2_xxs, "iq2_xxs", "IQ2_XXS", 256, 66, true},
    DTypeTraits{DType::iq2_xs, "iq2_xs", "IQ2_XS", 256, 74, true},
    DTypeTraits{DType::iq2_s, "iq2_s", "IQ2_S", 256, 82, true},
    DTypeTraits{DType::iq3_xxs, "iq3_xxs", "IQ3_XXS", 256, 98, true},
    DTypeTraits{DType::iq3_s, "iq3_s", "IQ3_S", 256, 110, true},
    DTypeTraits{DType::iq4_nl, "iq4_nl", "IQ4_NL", 32, 18, true},
    DTypeTraits{DType::iq4_xs, "iq4_xs", "IQ4_XS", 256, 136, true},
    DTypeTraits{DType::tq1_0, "tq1_0", "TQ1_0", 256, 54, true},
    DTypeTraits{DType::tq2_0, "tq2_0", "TQ2_0", 256, 66, true},
    DTypeTraits{DType::mxfp4, "mxfp4", "MXFP4", 32, 17, true},
    DTypeTraits{DType::nvfp4, "nvfp4", "NVFP4", 64, 36, true},
};

constexpr size_t kNumbers = 41;  // one above the largest DType value
constexpr uint8_t kNone = 0xff;

// GGUF number -> place in kTraits.
constexpr auto kIndex = [] {
  std::array<uint8_t, kNumbers> index{};
  index.fill(kNone);
  for (size_t i = 0; i < kTraits.size(); ++i) index[static_cast<size_t>(kTraits[i].dtype)] = static_cast<uint8_t>(i);
  return index;
}();

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::span<const DTypeTraits> all_dtypes() { return kTraits; }

const DTypeTraits& traits(DType dtype) {
  const auto number = static_cast<size_t>(dtype);
  assert(number < kNumbers && kIndex[number] != kNone);
  return kTraits[kIndex[number]];
}

std::optional<DType> dtype_from_gguf(uint32_t gguf_type) {
  if (gguf_type >= kNumbers || kIndex[gguf_type] == kNone) return std::nullopt;
  return static_cast<DType>(gguf_type);
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DTypeTraits& t : kTraits) {
    if (t.name.size() != name.size()) continue;
    size_t i = 0;
    while (i < name.size() && lower(name[i]) == t.name[i]) ++i;
    if (i == name.size()) return t.dtype;
  }
  return std::nullopt;
}

uint64_t row_bytes(DType dtype, int64_t n) {
  const DTypeTraits& t = traits(dtype);
  assert(n >= 0 && n % t.block_elements == 0);
  return static_cast<uint64_t>(n) / t.block_elements * t.block_bytes;
}

}  // namespace watra::tensor
