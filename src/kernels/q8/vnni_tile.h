// Products by vpdpbusd, the same in 256 and 512 bits: a step of four columns for several tokens and parts of a panel.
// Included by the vectors of an ISA that has the instruction (cpu/<isa>/i8.h), behind their I, dot_word(),
// in_register() and, where a panel is one part, dot_broadcast().
#pragma once

namespace watra::kernels::WATRA_KERNELS_ISA {

// dot[t][p] += the weights weight(p, j) times the four activations at acts(t, j), j < kWords, for kTokens tokens and
// kParts parts of a panel. kMany: in a loop over many tokens, where the fewest instructions are the fastest code; with
// few tokens these are loads that wait for nothing.
template <class Unpack, int kTokens, int kParts, int kWords, bool kMany, class Weight, class Acts>
[[gnu::always_inline]] inline void dot_tile(I (*dot)[kParts], Weight weight, Acts acts) {
  // Few tokens wait for each product: they get a second chain each.
  constexpr bool kTwoChains = kTokens * kParts <= 4;
  I odd[kTokens][kParts];
  if constexpr (kTwoChains)
    for (auto& token : odd)
      for (I& chain : token) chain = zero_words();
#pragma GCC unroll 8
  for (int j = 0; j < kWords; ++j) {
    I w[kParts];
#pragma GCC unroll 2
    for (int p = 0; p < kParts; ++p) w[p] = in_register(weight(p, j));
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      I* const sums = kTwoChains && j % 2 ? odd[t] : dot[t];
      if constexpr (kParts == 1 && kMany) {
        sums[0] = dot_broadcast(sums[0], w[0], acts(t, j));
      } else {
        const I x = in_register(broadcast_word(acts(t, j)));
#pragma GCC unroll 2
        for (int p = 0; p < kParts; ++p) sums[p] = dot_word(sums[p], w[p], x);
      }
    }
  }
  if constexpr (kTwoChains)
    for (int t = 0; t < kTokens; ++t)
      for (int p = 0; p < kParts; ++p) dot[t][p] = dot[t][p] + odd[t][p];
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
