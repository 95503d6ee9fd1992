#include "tensor/codebooks.h"

#include <cstddef>

namespace watra::tensor {
namespace {

#include "tensor/internal/codebook_bits.inc"

template <int kEntries, int kWeights, size_t kLevels, size_t kWords>
consteval Codebook<kEntries, kWeights> expand(const std::array<uint64_t, kWords>& bits,
                                              const std::array<int8_t, kLevels>& levels) {
  Codebook<kEntries, kWeights> book{};
  size_t entry = 0;
  for (size_t word = 0; word < kWords; ++word) {
    for (uint64_t left = bits[word]; left != 0; left &= left - 1) {
      size_t number = word * 64 + static_cast<size_t>(std::countr_zero(left));
      for (int i = 0; i < kWeights; ++i, number /= kLevels) book[entry][i] = levels[number % kLevels];
      ++entry;
    }
  }
  if (entry != kEntries) throw "the bitmap does not have the book's number of entries";
  return book;
}

constexpr std::array<int8_t, 3> kIQ2Levels = {8, 25, 43};
constexpr std::array<int8_t, 8> kIQ3XXSLevels = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr std::array<int8_t, 8> kIQ3SLevels = {1, 3, 5, 7, 9, 11, 13, 15};
constexpr std::array<int8_t, 3> kIQ1Levels = {-1, 0, 1};

}  // namespace

alignas(64) constexpr Codebook<256, 8> kIQ2XXSGrid = expand<256, 8>(kIQ2XXSBits, kIQ2Levels);
alignas(64) constexpr Codebook<512, 8> kIQ2XSGrid = expand<512, 8>(kIQ2XSBits, kIQ2Levels);
alignas(64) constexpr Codebook<1024, 8> kIQ2SGrid = expand<1024, 8>(kIQ2SBits, kIQ2Levels);
alignas(64) constexpr Codebook<256, 4> kIQ3XXSGrid = expand<256, 4>(kIQ3XXSBits, kIQ3XXSLevels);
alignas(64) constexpr Codebook<512, 4> kIQ3SGrid = expand<512, 4>(kIQ3SBits, kIQ3SLevels);
alignas(64) constexpr Codebook<2048, 8> kIQ1Grid = expand<2048, 8>(kIQ1SBits, kIQ1Levels);

}  // namespace watra::tensor
