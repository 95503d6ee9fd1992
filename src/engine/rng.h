// Counter-based randomness: a number is a function of (seed, output position, stream), never of how often anyone asked.
//
// So a sampled answer is the same with and without speculation, batching, caching or a rollback (DESIGN section 5):
// whoever samples output position p of a sequence with seed s sees the same uniform number. A sampler that needs a
// second number at the same position (XTC's coin) takes another stream. No state, any thread.
//
// Generator: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//   key     = seed       (low word, high word)
//   counter = position   (low word, high word), stream, 0
#pragma once

#include <array>
#include <cstdint>

namespace watra::engine {

// What a number is for. Values are part of what a seed means: never renumber, only append.
enum class RngStream : uint32_t {
  draw = 0,  // which of the remaining candidates
  xtc = 1,   // whether XTC acts at this position
};

inline std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9u;  // Weyl sequence: golden ratio and sqrt(3) - 1, as in the paper
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// Uniform in [0, 1), a multiple of 2^-53.
inline double uniform(uint64_t seed, uint64_t position, RngStream stream) {
  const auto words = philox4x32_10(
      {static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), static_cast<uint32_t>(stream), 0},
      {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  const uint64_t bits = (uint64_t{words[0]} << 32 | words[1]) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

}  // namespace watra::engine
