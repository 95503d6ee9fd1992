// ShelfNotes: what is remembered about models: the folders of this machine whose models are used where they lie (their
// paths, nothing else), how fast a model was here, and the hashes of its files. Any thread may call.
#pragma once

#include <string>
#include <vector>

#include "home/database.h"

namespace watra::home {

struct Folder {
  std::string id;
  fs::path path;
};

class ShelfNotes {
 public:
  explicit ShelfNotes(Database& db) : db_(db) {}
  Result<std::vector<Folder>> folders() const;      // the first one added first
  Result<Folder> add_folder(const fs::path& path);  // one that is there already keeps its id
  Status forget_folder(const std::string& id);      // "folder.unknown"

  // What a model did here, tokens a second; the newest measurement counts.
  Status note_speed(const std::string& model, double decode_tokens_per_s);
  Result<std::optional<double>> speed_of(const std::string& model) const;

  // SHA-256 of a model's files, by the first of them. `stamp`: what tells that they are still those that were read.
  Status note_hash(const fs::path& file, const std::string& stamp, const std::string& sha256);
  Result<std::optional<std::string>> hash_of(const fs::path& file, const std::string& stamp) const;

 private:
  Database& db_;
};

}  // namespace watra::home
