// Where fit_scale and fit_affine look. Chosen on gaussian groups, with even and with very uneven importance (|g|^3): a
// search of hundreds of points takes 0.1 to 1.1 % off the error these leave (up to 3 % under such importance).
#pragma once

#include <array>
#include <cstddef>

#include "tensor/internal/levels.h"

namespace watra::tensor::internal {

struct Span {
  int n;
  float first, last;
};

// n points from first to last, then the mirrored ones with a minus sign.
template <Span kUp, Span kDown>
constexpr auto points() {
  std::array<float, kUp.n + kDown.n> f{};
  const auto at = [](const Span& s, int i) {
    return s.first + (s.last - s.first) * static_cast<float>(i) / static_cast<float>(s.n - 1);
  };
  for (int i = 0; i < kUp.n; ++i) f[static_cast<size_t>(i)] = at(kUp, i);
  for (int i = 0; i < kDown.n; ++i) f[static_cast<size_t>(kUp.n + i)] = -at(kDown, i);
  return f;
}

// Factors of fit_scale: few levels want a long reach beyond 1 (clipping pays) and both orientations, many want finer
// steps, and uneven importance wants steps well below 1 too.
template <class Levels>
constexpr auto kFactors = points<Span{20, 0.70f, 1.30f}, Span{8, 0.70f, 1.10f}>();
template <>
constexpr auto kFactors<UniformLevels<-4, 3>> = points<Span{14, 0.60f, 1.60f}, Span{12, 0.60f, 1.45f}>();
template <>
constexpr auto kFactors<UniformLevels<-8, 7>> = points<Span{16, 0.75f, 1.45f}, Span{10, 0.70f, 1.25f}>();
template <>
constexpr auto kFactors<UniformLevels<-32, 31>> = points<Span{22, 0.70f, 1.06f}, Span{2, 0.97f, 0.99f}>();
template <>
constexpr auto kFactors<Iq4Levels> = points<Span{13, 0.70f, 1.30f}, Span{11, 0.70f, 1.25f}>();

// Cuts of fit_affine.
template <int kTop>
constexpr std::array<float, 6> kCuts = {-0.02f, 0.0f, 0.03f, 0.06f, 0.09f, 0.12f};
template <>
constexpr std::array<float, 5> kCuts<3> = {-0.1f, 0.0f, 0.12f, 0.24f, 0.36f};
template <>
constexpr std::array<float, 6> kCuts<31> = {-0.04f, -0.02f, 0.0f, 0.02f, 0.04f, 0.06f};

}  // namespace watra::tensor::internal
