// Names of split files: PREFIX-00002-of-00005.gguf, numbers from 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace watra::checkpoint {

struct SplitName {
  std::string prefix;
  uint32_t number;  // from 1
  uint32_t count;
};

// `extension` with its dot. nullopt when the name is not of that form (number 0 or above count included).
std::optional<SplitName> parse_split_name(std::string_view filename, std::string_view extension);
std::string make_split_name(std::string_view prefix, uint32_t number, uint32_t count, std::string_view extension);

}  // namespace watra::checkpoint
