// PassingFolder: where one process keeps its passing files (passing_file.h), among those of other processes that live
// from the same home. What a crash left behind is told from what is in use by a lock, which ends with its process,
// however that ends.
//
//   parent/NAME        the files
//   parent/NAME.lock   held as long as the folder is in use
//
// Goes, with all that is in it, when the object goes. Moves, does not copy. path() from any thread.
#pragma once

#include "base/file_lock.h"

namespace watra {

class PassingFolder {
 public:
  // A new one in `parent`, which is made if it is missing. What is there of processes that have ended is removed.
  // Errors: those of make_private_folder and FileLock::try_take.
  static Result<PassingFolder> claim(const fs::path& parent);

  PassingFolder(PassingFolder&& other) noexcept;
  PassingFolder& operator=(PassingFolder&& other) noexcept;
  ~PassingFolder();

  const fs::path& path() const { return path_; }

 private:
  PassingFolder(FileLock lock, fs::path path) : lock_(std::move(lock)), path_(std::move(path)) {}

  FileLock lock_;
  fs::path path_;  // empty = moved away
};

}  // namespace watra
