// ShelfNotes: what is remembered about models: the folders of this machine whose models are used where they lie (their
// paths, nothing else), how fast their answers were here, and the hashes of their files. Any thread may call.
#pragma once

#include <string>
#include <vector>

#include "home/database.h"

namespace watra::home {

struct Folder {
  std::string id;
  fs::path path;
};

// Of which answers a speed is: of one file (by the first of them, and what tells that they are still those) under one
// set of settings that change it, in the words of who notes it.
struct SpeedOf {
  fs::path file;
  std::string stamp, settings;
};

struct NotedSpeed {
  double tokens_per_s = 0;  // the median
  int64_t n_answers = 0;    // of so many
};

class ShelfNotes {
 public:
  static constexpr int64_t kKeptSpeeds = 15;  // the newest; what the machine did months ago says little of today

  explicit ShelfNotes(Database& db) : db_(db) {}
  Result<std::vector<Folder>> folders() const;      // the first one added first
  Result<Folder> add_folder(const fs::path& path);  // one that is there already keeps its id
  Status forget_folder(const std::string& id);      // "folder.unknown"

  // An answer was written at so many tokens a second. Those of the file as it was before are forgotten.
  Status note_speed(const SpeedOf& of, double tokens_per_s);
  Result<std::optional<NotedSpeed>> speed_of(const SpeedOf& of) const;

  // SHA-256 of a model's files, by the first of them. `stamp`: what tells that they are still those that were read.
  Status note_hash(const fs::path& file, const std::string& stamp, const std::string& sha256);
  Result<std::optional<std::string>> hash_of(const fs::path& file, const std::string& stamp) const;

 private:
  Database& db_;
};

}  // namespace watra::home
