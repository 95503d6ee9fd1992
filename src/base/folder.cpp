#include "base/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <string_view>

#include "base/fault.h"
#include "base/internal/os_error.h"

namespace watra {
namespace {

Status list_into(std::vector<FolderEntry>& out, const fs::path& folder, bool and_below) {
  DIR* dir = ::opendir(folder.c_str());
  if (!dir) return errno == ENOENT ? Status{} : os_error("list", folder, errno);
  Status listed;
  while (const dirent* e = ::readdir(dir)) {
    const std::string_view name = e->d_name;
    if (name == "." || name == "..") continue;
    struct stat st {};
    if (::fstatat(::dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(st.st_mode) && and_below) {
      listed = list_into(out, folder / name, false);
      if (!listed) break;
    } else if (S_ISREG(st.st_mode)) {
      out.push_back({folder / name, static_cast<uint64_t>(st.st_size),
                     int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec});
    }
  }
  ::closedir(dir);
  return listed;
}

}  // namespace

Result<std::vector<FolderEntry>> list_files(const fs::path& folder) {
  std::vector<FolderEntry> out;
  WATRA_TRY(list_into(out, folder, true));
  return out;
}

Status rename_over(const fs::path& from, const fs::path& to) {
  if (fault::hit("file.rename")) return os_error("rename", from, EIO);
  if (std::rename(from.c_str(), to.c_str()) != 0) return os_error("rename", from, errno);
  return {};
}

Status remove_file(const fs::path& path) {
  if (fault::hit("file.remove")) return os_error("remove", path, EIO);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return os_error("remove", path, errno);
  return {};
}

bool set_modified(const fs::path& path, int64_t modified_ns) {
  timespec times[2]{};
  times[0].tv_nsec = UTIME_OMIT;
  times[1].tv_sec = modified_ns / 1'000'000'000;
  times[1].tv_nsec = modified_ns % 1'000'000'000;
  return ::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0;
}

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string name_of_our_own() {
  static std::atomic<unsigned> n{0};
  return fmt::format("{}-{}", ::getpid(), n++);
}

Status make_private_folder(const fs::path& path) {
  WATRA_TRY(make_folders(path));
  if (::chmod(path.c_str(), 0700) != 0) return os_error("set the rights of", path, errno);
  return {};
}

}  // namespace watra
