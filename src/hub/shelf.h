// The shelf: $WATRA_HOME/models, every GGUF file on it, and how a name becomes a path.
//
//   models/SmolLM2-135M-Instruct.Q4_1.gguf          from the catalog (its name there: smollm2)
//   models/org/repo[@revision]/file.gguf            from a hub
//   models/host/file.gguf                           from https://host/...
//   models/anything.gguf                            put there by hand; links count too
//   models/.parts/                                  downloads that are not finished; never listed
//   models/.receipts/                               what was checked when a file was installed (receipt.h)
//
// Knows files, not models: what is inside a file is checkpoint/'s business. Reads the folder anew on each call.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace watra::hub {

struct ShelfModel {
  std::string name;             // catalog name, or the path below models/ without ".gguf" and without a split's number
  fs::path path;                // the first part of a split
  std::vector<fs::path> files;  // all parts that are there, in order
  uint64_t bytes = 0;           // of all parts
  int parts_missing = 0;        // of a split
};

struct Removed {
  std::vector<fs::path> files;
  uint64_t bytes = 0;  // a link counts nothing
};

class Shelf {
 public:
  explicit Shelf(const fs::path& home) : models_(home / "models") {}

  const fs::path& folder() const { return models_; }
  fs::path part_path(const fs::path& relative) const;     // where an unfinished download of it grows
  fs::path state_path(const fs::path& relative) const;    // what is known about that
  fs::path lock_path(const fs::path& relative) const;     // held by whoever downloads it
  fs::path staging_path(const fs::path& relative) const;  // folder for what is only needed on the way
  fs::path receipt_path(const fs::path& relative) const;

  // Sorted by name. A missing folder is an empty shelf.
  Result<std::vector<ShelfModel>> list() const;

  // One model by catalog name, name on the shelf, file name, file stem or hf:org/repo/file.gguf; case matters only
  // where it decides. Errors: "hub.not_pulled" (known, but not here), "hub.ambiguous", "hub.unknown_model".
  Result<ShelfModel> find(std::string_view name) const;

  // MODEL of a command line: the path of an existing file as it is, otherwise find(). Further errors: "hub.incomplete"
  // (parts of a split are missing), "hub.no_file" (looks like a path, nothing there).
  Result<fs::path> resolve(std::string_view model) const;

  // Removes a model with all its parts and what is left of downloads of it. Takes what find() takes, or a path on the
  // shelf; a path that leads elsewhere is refused ("hub.not_on_shelf").
  Result<Removed> remove(std::string_view name) const;

 private:
  Result<fs::path> relative_to_shelf(const fs::path& path) const;
  fs::path beside(std::string_view folder, const fs::path& relative, std::string_view suffix) const;

  fs::path models_;
};

}  // namespace watra::hub
