// The sets of levels q that a scale multiplies: evenly spaced integers, and the curve of the IQ4 types.
//
// A level set offers  kLow, kHigh   its ends, |kLow| >= kHigh
//                     nearest(v)    the level next to each of four values
//                     code(level)   the number that the format stores for a level
#pragma once

#include <array>
#include <cstdint>

#include "tensor/codebooks.h"
#include "tensor/internal/lanes.h"

namespace watra::tensor::internal {

template <int kFirst, int kLast>
struct UniformLevels {
  static constexpr float kLow = kFirst, kHigh = kLast;
  static F4 nearest(F4 v) { return round_even(clamp(v, kLow, kHigh)); }
  static uint8_t code(float level) { return static_cast<uint8_t>(static_cast<int>(level) - kFirst); }
};

struct Iq4Levels {
  static constexpr float kLow = -127, kHigh = 113;

  static F4 nearest(F4 v) {
    v = clamp(v, -128.0f, 127.0f) * 2.0f + 256.0f;
    F4 levels;
    for (int i = 0; i < 4; ++i) levels[i] = kNearest[static_cast<int>(v[i])];
    return levels;
  }

  static uint8_t code(float level) {
    uint8_t c = 0;
    while (kIq4Values[c] != static_cast<int>(level)) ++c;
    return c;
  }

 private:
  // Borders between neighbouring levels are multiples of 1/2, so each interval [i/2, (i+1)/2) - 128 has one nearest
  // level.
  static constexpr std::array<float, 512> kNearest = [] {
    std::array<float, 512> table{};
    size_t level = 0;
    for (int i = 0; i < 512; ++i) {
      while (level < 15 && i - 256 >= kIq4Values[level] + kIq4Values[level + 1]) ++level;
      table[static_cast<size_t>(i)] = kIq4Values[level];
    }
    return table;
  }();
};

}  // namespace watra::tensor::internal
