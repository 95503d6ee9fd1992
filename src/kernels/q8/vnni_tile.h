// Products by vpdpbusd, the same in 256 and 512 bits: a step of four columns for several tokens and parts of a panel.
// Included by the vectors of an ISA that has the instruction (cpu/<isa>/i8.h), behind their I, dot_word(),
// in_register() and kOffsetActivations.
#pragma once

namespace watra::kernels::WATRA_KERNELS_ISA {

// dot[t][p] += the weights weight(p, j) times the four activations at acts(t, j), j < kWords, for kTokens tokens and
// kParts parts of a panel.
template <class Unpack, int kTokens, int kParts, int kWords, class Weight, class Acts>
[[gnu::always_inline]] inline void dot_tile(I (*dot)[kParts], Weight weight, Acts acts) {
  const auto term = [](I sum, I w, I x) {
    return kOffsetActivations<Unpack> ? dot_word(sum, x, w) : dot_word(sum, w, x);
  };
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
      const I x = in_register(broadcast_word(acts(t, j)));
#pragma GCC unroll 2
      for (int p = 0; p < kParts; ++p) {
        I& sum = kTwoChains && j % 2 ? odd[t][p] : dot[t][p];
        sum = term(sum, w[p], x);
      }
    }
  }
  if constexpr (kTwoChains)
    for (int t = 0; t < kTokens; ++t)
      for (int p = 0; p < kParts; ++p) dot[t][p] = dot[t][p] + odd[t][p];
}
// What the offset of the activations adds to a product: 128 times the sum of the weights, a vector at a time, or of
// all.
template <class Unpack>
inline I add_offset(I sum, I q) {
  return dot_word(sum, set_bytes(-128), q);
}
template <class Unpack, int kWords>
inline I offset_of(const I* q) {
  I even = zero_words(), odd = zero_words();
  for (int j = 0; j < kWords; j += 2) {
    even = dot_word(even, set_bytes(-128), q[j]);
    odd = dot_word(odd, set_bytes(-128), q[j + 1]);
  }
  return even + odd;
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
