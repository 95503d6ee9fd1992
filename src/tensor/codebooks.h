// Codebooks: the values that formats without evenly spaced levels choose from. Facts of the formats, kept as small as
// they are: the IQ grids as membership bitmaps (internal/codebook_bits.inc), expanded at compile time in codebooks.cpp.
// Constant data; any thread.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace watra::tensor {

// IQ4_NL, IQ4_XS: 16 levels, denser around zero, in ascending order.
inline constexpr std::array<int8_t, 16> kIq4Values = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                      1,    13,   25,  38,  53,  69,  89,  113};

// MXFP4, NVFP4: twice the value of the float with 1 sign, 2 exponent and 1 mantissa bit.
inline constexpr std::array<int8_t, 16> kFp4Values = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

template <int kEntries, int kWeights>
using Codebook = std::array<std::array<int8_t, kWeights>, kEntries>;

alignas(64) extern const Codebook<256, 8> kIQ2XXSGrid;  // magnitudes 8, 25, 43
alignas(64) extern const Codebook<512, 8> kIQ2XSGrid;
alignas(64) extern const Codebook<1024, 8> kIQ2SGrid;
alignas(64) extern const Codebook<256, 4> kIQ3XXSGrid;  // magnitudes 4, 12, .. 52, 62
alignas(64) extern const Codebook<512, 4> kIQ3SGrid;    // magnitudes 1, 3, .. 15
alignas(64) extern const Codebook<2048, 8> kIQ1Grid;    // -1, 0, 1; IQ1_S and IQ1_M

// Seven stored sign bits -> eight: the number of minus signs is even.
constexpr uint8_t even_signs(uint32_t seven_bits) {
  return static_cast<uint8_t>(seven_bits | static_cast<uint32_t>(std::popcount(seven_bits) & 1) << 7);
}

}  // namespace watra::tensor
