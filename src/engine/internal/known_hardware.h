// The repository's hardware/*.json, built into the program: CMakeLists.txt beside src/engine writes the .cpp.
#pragma once

#include <span>
#include <string_view>

namespace watra::engine::internal {

struct KnownHardware {
  std::string_view name;  // of the file, without .json
  std::string_view json;
};

std::span<const KnownHardware> known_hardware();

}  // namespace watra::engine::internal
