// Entries of a codebook by their numbers, as wide as a register takes them before rows are put side by side. Shared by
// the vectors of every ISA (cpu/<isa>/i8.h).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace watra::kernels::WATRA_KERNELS_ISA {

// Eight weights.
inline long long entry_of_eight(const int8_t* table, size_t number) {
  long long bytes;
  __builtin_memcpy(&bytes, table + 8 * number, 8);
  return bytes;
}

// Four entries of four weights each, those of one row: their numbers are 16 apart.
inline __m128i entries_of_four(const int8_t* table, const uint32_t* number) {
  int entry[4];
  for (int j = 0; j < 4; ++j) __builtin_memcpy(entry + j, table + 4 * size_t{number[16 * j]}, 4);
  return _mm_set_epi32(entry[3], entry[2], entry[1], entry[0]);
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
