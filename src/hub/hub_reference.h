// How people name files on a model hub, `hf:org/repo/file.gguf[@revision]`, and how one name of a split names all its
// parts.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace watra::hub {

struct HubReference {
  std::string repo;      // "org/repo"
  std::string file;      // path inside the repository; empty = none was named
  std::string revision;  // "main" unless @... was written

  std::string to_string() const;  // as a person would write it
  // Where it stands on the shelf: org/repo[@revision]/file.
  fs::path shelf_path() const;
};

// Errors: "hub.bad_reference". Every component is one that can be a file name (url.h), so that no path leaves the
// shelf.
Result<HubReference> parse_hub_reference(std::string_view text);

// "name-00002-of-00003.gguf"
struct SplitName {
  std::string stem;  // "name", with the folders in front of it
  int index = 1;     // 1-based
  int count = 1;

  std::string part(int i) const;  // the whole name of part i
};
std::optional<SplitName> parse_split_name(std::string_view name);

// All parts that belong to `file`: itself alone when it is not split.
std::vector<std::string> all_parts(const std::string& file);

}  // namespace watra::hub
