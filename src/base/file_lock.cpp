#include "base/file_lock.h"

#include <sys/file.h>

#include <cerrno>
#include <cstring>

namespace watra {

Result<std::optional<FileLock>> FileLock::try_take(const fs::path& path) {
  for (;;) {
    FileLock lock;
    WATRA_ASSIGN(lock.file_, File::open(path, File::Mode::read_write));
    if (::flock(lock.file_.fd(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return std::optional<FileLock>();
      return fail("file.lock", fmt::format("cannot lock {}: {}", path.string(), std::strerror(errno)));
    }
    // Its holder may have removed it between our opening and our locking: then this is a lock on nothing.
    WATRA_ASSIGN(const FileStamp ours, lock.file_.stamp());
    const auto there = lock.file_.stamp_at_path();
    if (there && *there == ours) return std::optional<FileLock>(std::move(lock));
    std::error_code ec;
    if (!there && fs::exists(path, ec)) return fail(there.error());
  }
}

}  // namespace watra
