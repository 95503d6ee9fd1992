// Arithmetic on sizes that come from files or the network: overflow is an answer, not a surprise.
#pragma once

#include <concepts>
#include <optional>

namespace watra {

template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) {
  T r;
  if (__builtin_add_overflow(a, b, &r)) return std::nullopt;
  return r;
}

template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, T b) {
  T r;
  if (__builtin_mul_overflow(a, b, &r)) return std::nullopt;
  return r;
}

// Smallest multiple of `step` (a power of two) that is >= n; nullopt on overflow.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_align_up(T n, T step) {
  auto sum = checked_add<T>(n, step - 1);
  if (!sum) return std::nullopt;
  return *sum & ~(step - 1);
}

template <std::integral T>
[[nodiscard]] constexpr T ceil_div(T a, T b) {
  return (a + b - 1) / b;
}

}  // namespace watra
