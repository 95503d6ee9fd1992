// NewFiles: a set of files that appear together or not at all. Each is written beside its target and renamed at the
// end; what was not committed is removed with the object. One thread.
#pragma once

#include <vector>

#include "base/file.h"

namespace watra::checkpoint {

class NewFiles {
 public:
  NewFiles() = default;
  ~NewFiles() { discard(); }
  NewFiles(NewFiles&& o) noexcept : files_(std::exchange(o.files_, {})) {}
  NewFiles& operator=(NewFiles&&) = delete;

  // An empty file that will become `target`.
  Result<File> create(const fs::path& target);

  // Syncs and renames all, the last one first, so that the one people open (part 1, the index) never points to nothing.
  // When one fails, none of them stays. Every File must have been closed or be written no more.
  Result<std::vector<fs::path>> commit();

  void discard();

 private:
  struct Pending {
    fs::path beside, target;
  };
  std::vector<Pending> files_;
};

}  // namespace watra::checkpoint
