// Models that other programs keep, used where they lie: folders of GGUF files, splits, Ollama's store of blobs and the
// Hugging Face cache; and the places where such programs put them. Nothing is written there, ever.
//
// A folder is looked through eight levels deep and up to 20,000 entries; links to files are followed, links to folders
// are not. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "hub/shelf.h"

namespace watra::hub {

// Sorted by name; a model's name is its file's without ending and split number ("llama3.2-3b" of Ollama's blobs is its
// manifest's). Files that are no model of text (projectors, vocabularies) are left out. Errors: "hub.no_folder",
// "hub.not_readable".
Result<std::vector<ShelfModel>> models_in_folder(const fs::path& folder);

struct OtherProgram {
  std::string program;  // "LM Studio"
  fs::path path;
};
// Folders that exist here and belong to a program that keeps models, by what the environment says of the home, the
// caches and the programs' own settings.
std::vector<OtherProgram> folders_of_other_programs();

}  // namespace watra::hub
