// FileLock: one process at a time. Advisory, bound to an open file, so that it ends with the process that holds it,
// however that ends. Moves, does not copy.
#pragma once

#include <optional>

#include "base/file.h"

namespace watra {

class FileLock {
 public:
  // nullopt when another holder has it. The lock file is created if missing; it stays, or its holder removes it.
  static Result<std::optional<FileLock>> try_take(const fs::path& path);

 private:
  File file_;
};

}  // namespace watra
