// PassingFile: a file that is only needed for a while and goes with the object that holds it: a body that is too large
// for memory, an archive on its way to somebody. Owns the file, moves, does not copy. Of one thread at a time.
#pragma once

#include "base/file.h"

namespace watra {

class PassingFile {
 public:
  // A new, empty file of a name nobody else has. The folder is made if it is missing, for this user alone. Errors:
  // those of make_private_folder and File::open.
  static Result<PassingFile> create(const fs::path& folder);

  PassingFile() = default;
  PassingFile(PassingFile&&) noexcept = default;
  PassingFile& operator=(PassingFile&& other) noexcept;
  ~PassingFile();

  const fs::path& path() const { return file_.path(); }
  File& file() { return file_; }

 private:
  File file_;
};

}  // namespace watra
