#include "base/file_lock.h"

#include <sys/file.h>

#include <cerrno>
#include <cstring>

namespace watra {

Result<std::optional<FileLock>> FileLock::try_take(const fs::path& path) {
  FileLock lock;
  WATRA_ASSIGN(lock.file_, File::open(path, File::Mode::read_write));
  if (::flock(lock.file_.fd(), LOCK_EX | LOCK_NB) == 0) return std::optional<FileLock>(std::move(lock));
  if (errno == EWOULDBLOCK) return std::optional<FileLock>();
  return fail("file.lock", fmt::format("cannot lock {}: {}", path.string(), std::strerror(errno)));
}

}  // namespace watra
