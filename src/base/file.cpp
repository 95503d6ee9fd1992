#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "base/fault.h"
#include "base/internal/os_error.h"

namespace watra {

tl::unexpected<Error> os_error(std::string_view what, const fs::path& path, int err) {
  std::string hint;
  if (err == ENOENT) hint = "check the path; nothing by that name exists there";
  if (err == EACCES || err == EPERM) hint = "the file or its folder does not allow this user to do that";
  if (err == ENOSPC) hint = "free some space on that disk, or use another folder (--home DIR)";
  const char* code = err == ENOENT   ? "file.not_found"
                     : err == EEXIST ? "file.exists"
                     : err == ENOSPC ? "file.disk_full"
                                     : "file.io";
  return fail(code, fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(err)), hint);
}

namespace {

Status sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return os_error("open folder", folder, errno);
  ::fsync(fd);  // some file systems refuse fsync on folders; the rename itself is already atomic
  ::close(fd);
  return {};
}

}  // namespace

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}
File::File(File&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), position_(other.position_), path_(std::move(other.path_)) {}
File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
    position_ = other.position_;
    path_ = std::move(other.path_);
  }
  return *this;
}

Result<File> File::open(const fs::path& path, Mode mode) {
  if (fault::hit("file.open")) return os_error("open", path, EIO);
  int flags = O_CLOEXEC;
  switch (mode) {
    case Mode::read:
      flags |= O_RDONLY;
      break;
    case Mode::read_direct:
      flags |= O_RDONLY | O_DIRECT;
      break;
    case Mode::create:
      flags |= O_RDWR | O_CREAT | O_EXCL;
      break;
    case Mode::write:
      flags |= O_RDWR | O_CREAT | O_TRUNC;
      break;
    case Mode::read_write:
      flags |= O_RDWR | O_CREAT;
      break;
  }
  const int fd = ::open(path.c_str(), flags, 0644);
  if (fd < 0) return os_error(mode == Mode::read || mode == Mode::read_direct ? "open" : "create", path, errno);
  File f;
  f.fd_ = fd;
  f.path_ = path;
  struct stat st {};
  if (::fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
    return fail("file.is_folder", fmt::format("{} is a folder, a file was wanted", path.string()));
  return f;
}

Result<uint64_t> File::size_bytes() const {
  struct stat st {};
  if (::fstat(fd_, &st) != 0) return os_error("stat", path_, errno);
  return static_cast<uint64_t>(st.st_size);
}

namespace {

FileStamp stamp_of(const struct stat& st) {
  return {.device = st.st_dev,
          .inode = st.st_ino,
          .size_bytes = static_cast<uint64_t>(st.st_size),
          .modified_ns = int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec};
}

}  // namespace

Result<FileStamp> File::stamp() const {
  struct stat st {};
  if (::fstat(fd_, &st) != 0) return os_error("stat", path_, errno);
  return stamp_of(st);
}

Result<FileStamp> File::stamp_at_path() const {
  struct stat st {};
  if (fault::hit("file.stamp")) return os_error("stat", path_, ENOENT);
  if (::stat(path_.c_str(), &st) != 0) return os_error("stat", path_, errno);
  return stamp_of(st);
}

Result<size_t> File::read_some_at(uint64_t offset, std::span<std::byte> out) const {
  if (fault::hit("file.read")) return os_error("read", path_, EIO);
  for (;;) {
    const ssize_t n = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return os_error("read", path_, errno);
  }
}

Status File::read_at(uint64_t offset, std::span<std::byte> out) const {
  size_t done = 0;
  while (done < out.size()) {
    WATRA_ASSIGN(const size_t n, read_some_at(offset + done, out.subspan(done)));
    if (n == 0)
      return fail("file.short_read",
                  fmt::format("{} ends early: {} bytes wanted at offset {}, {} there", path_.string(), out.size(),
                              offset, done),
                  "the file was cut; copy or download it again");
    done += n;
  }
  return {};
}

Status File::write_at(uint64_t offset, std::span<const std::byte> data) const {
  size_t done = 0;
  while (done < data.size()) {
    if (fault::hit("file.write")) return os_error("write", path_, ENOSPC);
    const ssize_t n = ::pwrite(fd_, data.data() + done, data.size() - done, static_cast<off_t>(offset + done));
    if (n < 0) {
      if (errno == EINTR) continue;
      return os_error("write", path_, errno);
    }
    done += static_cast<size_t>(n);
  }
  return {};
}

Status File::append(std::span<const std::byte> data) {
  WATRA_TRY(write_at(position_, data));
  position_ += data.size();
  return {};
}

Status File::truncate(uint64_t size) const {
  if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) return os_error("resize", path_, errno);
  return {};
}

Status File::sync() const {
  if (fault::hit("file.sync") || ::fsync(fd_) != 0) return os_error("sync", path_, errno ? errno : EIO);
  return {};
}

namespace {
// `name` is for messages.
Result<std::string> read_to_end(int fd, const fs::path& name, uint64_t max_bytes) {
  std::string text;
  char buffer[1 << 16];
  uint64_t at = 0;
  for (;;) {  // by reading, not by size: pipes and /proc files report no size
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 || fault::hit("file.read")) return os_error("read", name, n < 0 ? errno : EIO);
    if (n == 0) return text;
    at += static_cast<uint64_t>(n);
    if (at > max_bytes)
      return fail("file.too_large", fmt::format("{} is larger than the {} bytes allowed for this kind of file",
                                                name.string(), max_bytes));
    text.append(buffer, static_cast<size_t>(n));
  }
}
}  // namespace

Result<std::string> read_text_file(const fs::path& path, uint64_t max_bytes) {
  WATRA_ASSIGN(File f, File::open(path, File::Mode::read));
  return read_to_end(f.fd(), path, max_bytes);
}

Result<std::string> read_standard_input(uint64_t max_bytes) {
  return read_to_end(STDIN_FILENO, "standard input", max_bytes);
}

namespace {

// One name for every writer of a target, so that what a killed one left is found by the next.
constexpr std::string_view kPartEnd = ".watra-part";

// Whether the lock came, and the file is still the one that bears the name: its last holder may have renamed it.
bool lock(int fd, const fs::path& path, bool wait) {
  int locked = 0;
  do locked = ::flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
  while (locked != 0 && errno == EINTR);
  if (locked != 0 && errno == EWOULDBLOCK) return false;  // other errors: locks are unknown here, nobody to wait for
  struct stat ours {};
  struct stat there {};
  return ::fstat(fd, &ours) == 0 && ::lstat(path.c_str(), &there) == 0 && ours.st_dev == there.st_dev &&
         ours.st_ino == there.st_ino;
}

// Who holds the lock of a file beside a target may remove it: its writer is dead.
Status remove_leftover(const fs::path& path, bool wait) {
  const int fd = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  const int error = fd < 0 ? errno : 0;
  if (error == ENOENT) return {};
  const bool dead = error == ELOOP || (fd >= 0 && lock(fd, path, wait));
  const bool removed = dead && (::unlink(path.c_str()) == 0 || errno == ENOENT);
  const int why = error != 0 ? error : errno;
  if (fd >= 0) ::close(fd);
  if (error != 0 && error != ELOOP) return os_error("open", path, why);
  if (dead && !removed) return os_error("remove", path, why);
  return {};
}

// New, empty, and locked for as long as it is open.
Result<File> create_locked(const fs::path& path) {
  for (;;) {
    auto file = File::open(path, File::Mode::create);
    if (file && lock(file->fd(), path, true)) return file;
    if (file) continue;  // somebody who tidies up was faster
    if (file.error().code != "file.exists") return file;
    WATRA_TRY(remove_leftover(path, true));
  }
}

}  // namespace

void remove_unfinished_writes(const fs::path& folder) {
  std::error_code ec;
  std::vector<fs::path> left;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec))
    if (it->path().native().ends_with(kPartEnd)) left.push_back(it->path());
  for (const fs::path& path : left) (void)remove_leftover(path, false);
}

Status write_file_atomic(const fs::path& path, std::string_view content, unsigned mode) {
  fs::path part = path;
  part += kPartEnd;
  WATRA_ASSIGN(File f, create_locked(part));
  auto written = [&]() -> Status {
    if (::fchmod(f.fd(), mode) != 0) return os_error("set the rights of", part, errno);
    WATRA_TRY(f.append(content));
    return rename_durable(part, path);
  }();
  if (!written) ::unlink(part.c_str());
  return written;
}

Status rename_durable(const fs::path& from, const fs::path& to) {
  {
    WATRA_ASSIGN(File f, File::open(from, File::Mode::read));
    WATRA_TRY(f.sync());
  }
  if (fault::hit("file.rename")) return os_error("rename", from, EIO);
  if (::rename(from.c_str(), to.c_str()) != 0) return os_error("rename", from, errno);
  return sync_folder(to.parent_path());
}

Status make_folders(const fs::path& path) {
  std::error_code ec;
  fs::create_directories(path, ec);
  if (ec) return os_error("create folder", path, ec.value());
  return {};
}

Result<uint64_t> free_space_bytes(const fs::path& path) {
  std::error_code ec;
  const auto info = fs::space(path, ec);
  if (ec) return os_error("read the free space of", path, ec.value());
  return static_cast<uint64_t>(info.available);
}

}  // namespace watra
