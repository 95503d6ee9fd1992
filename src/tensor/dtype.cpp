#include "tensor/dtype.h"

#include <array>
#include <cassert>
#include <cstddef>

#include "tensor/blocks.h"

namespace watra::tensor {
namespace {

constexpr DTypeTraits plain(DType dtype, std::string_view name, std::string_view gguf_name, uint32_t bytes) {
  return {dtype, name, gguf_name, 1, bytes, false};
}

template <class Block>
constexpr DTypeTraits quantized(DType dtype, std::string_view name, std::string_view gguf_name) {
  return {dtype, name, gguf_name, Block::kElements, sizeof(Block), true};
}

constexpr std::array kTraits = {
    plain(DType::f32, "f32", "F32", 4),
    plain(DType::f16, "f16", "F16", 2),
    plain(DType::bf16, "bf16", "BF16", 2),
    plain(DType::f64, "f64", "F64", 8),
    plain(DType::i8, "i8", "I8", 1),
    plain(DType::i16, "i16", "I16", 2),
    plain(DType::i32, "i32", "I32", 4),
    plain(DType::i64, "i64", "I64", 8),
    quantized<BlockQ4_0>(DType::q4_0, "q4_0", "Q4_0"),
    quantized<BlockQ4_1>(DType::q4_1, "q4_1", "Q4_1"),
    quantized<BlockQ5_0>(DType::q5_0, "q5_0", "Q5_0"),
    quantized<BlockQ5_1>(DType::q5_1, "q5_1", "Q5_1"),
    quantized<BlockQ8_0>(DType::q8_0, "q8_0", "Q8_0"),
    quantized<BlockQ8_1>(DType::q8_1, "q8_1", "Q8_1"),
    quantized<BlockQ2K>(DType::q2_k, "q2_k", "Q2_K"),
    quantized<BlockQ3K>(DType::q3_k, "q3_k", "Q3_K"),
    quantized<BlockQ4K>(DType::q4_k, "q4_k", "Q4_K"),
    quantized<BlockQ5K>(DType::q5_k, "q5_k", "Q5_K"),
    quantized<BlockQ6K>(DType::q6_k, "q6_k", "Q6_K"),
    quantized<BlockQ8K>(DType::q8_k, "q8_k", "Q8_K"),
    quantized<BlockIQ1S>(DType::iq1_s, "iq1_s", "IQ1_S"),
    quantized<BlockIQ1M>(DType::iq1_m, "iq1_m", "IQ1_M"),
    quantized<BlockIQ2XXS>(DType::iq2_xxs, "iq2_xxs", "IQ2_XXS"),
    quantized<BlockIQ2XS>(DType::iq2_xs, "iq2_xs", "IQ2_XS"),
    quantized<BlockIQ2S>(DType::iq2_s, "iq2_s", "IQ2_S"),
    quantized<BlockIQ3XXS>(DType::iq3_xxs, "iq3_xxs", "IQ3_XXS"),
    quantized<BlockIQ3S>(DType::iq3_s, "iq3_s", "IQ3_S"),
    quantized<BlockIQ4NL>(DType::iq4_nl, "iq4_nl", "IQ4_NL"),
    quantized<BlockIQ4XS>(DType::iq4_xs, "iq4_xs", "IQ4_XS"),
    quantized<BlockTQ1_0>(DType::tq1_0, "tq1_0", "TQ1_0"),
    quantized<BlockTQ2_0>(DType::tq2_0, "tq2_0", "TQ2_0"),
    quantized<BlockMXFP4>(DType::mxfp4, "mxfp4", "MXFP4"),
    quantized<BlockNVFP4>(DType::nvfp4, "nvfp4", "NVFP4"),
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
