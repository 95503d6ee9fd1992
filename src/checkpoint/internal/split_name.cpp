#include "checkpoint/internal/split_name.h"

#include <fmt/format.h>

#include <algorithm>

namespace watra::checkpoint {
namespace {

// Exactly five digits.
std::optional<uint32_t> five_digits(std::string_view s) {
  if (s.size() != 5 || !std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  uint32_t n = 0;
  for (char c : s) n = n * 10 + static_cast<uint32_t>(c - '0');
  return n;
}

}  // namespace

std::optional<SplitName> parse_split_name(std::string_view name, std::string_view extension) {
  constexpr size_t kSuffix = std::string_view("-00001-of-00003").size();
  if (!name.ends_with(extension)) return std::nullopt;
  name.remove_suffix(extension.size());
  if (name.size() <= kSuffix) return std::nullopt;
  const std::string_view tail = name.substr(name.size() - kSuffix);
  const auto number = five_digits(tail.substr(1, 5)), count = five_digits(tail.substr(10));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !number || !count) return std::nullopt;
  if (*number == 0 || *number > *count) return std::nullopt;
  return SplitName{std::string(name.substr(0, name.size() - kSuffix)), *number, *count};
}

std::string make_split_name(std::string_view prefix, uint32_t number, uint32_t count, std::string_view extension) {
  return fmt::format("{}-{:05}-of-{:05}{}", prefix, number, count, extension);
}

}  // namespace watra::checkpoint
