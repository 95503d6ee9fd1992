// Files: open, positioned reads and writes, atomic replacement. The only place (with io.h) that talks to the file
// system.
//
// File owns a descriptor, moves, does not copy. pread/pwrite on one File may be called from several threads.
// Every read and write passes a fault point ("file.open", "file.read", "file.write", "file.sync", "file.rename"; see
// fault.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace watra {

namespace fs = std::filesystem;

// What tells whether a file is still the one it was: another file under the same name, or the same one written to, has
// another stamp.
struct FileStamp {
  uint64_t device = 0, inode = 0, size_bytes = 0;
  int64_t modified_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

class File {
 public:
  enum class Mode {
    read,         // must exist
    read_direct,  // the same past the page cache (direct_file.h); refused where the file system has no such reads
    create,       // must not exist
    write,        // created or truncated
    read_write,   // created if missing, kept if there
  };

  static Result<File> open(const fs::path& path, Mode mode);

  File() = default;
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_open() const { return fd_ >= 0; }
  const fs::path& path() const { return path_; }
  int fd() const { return fd_; }

  Result<uint64_t> size_bytes() const;
  Result<FileStamp> stamp() const;
  // Of what now lies at the path this file was opened by. Fault point "file.stamp".
  Result<FileStamp> stamp_at_path() const;

  // Reads exactly out.size() bytes at `offset`; a shorter file is an error ("file.short_read") that names both numbers.
  Status read_at(uint64_t offset, std::span<std::byte> out) const;
  // Reads up to out.size() bytes; 0 at the end of the file.
  Result<size_t> read_some_at(uint64_t offset, std::span<std::byte> out) const;
  Status write_at(uint64_t offset, std::span<const std::byte> data) const;
  // Appends at the internal write position (starts at 0, or at the end after seek_end()).
  Status append(std::span<const std::byte> data);
  Status append(std::string_view text) { return append(std::as_bytes(std::span(text.data(), text.size()))); }
  uint64_t position() const { return position_; }
  void set_position(uint64_t p) { position_ = p; }
  Status truncate(uint64_t size_bytes) const;
  Status sync() const;

 private:
  int fd_ = -1;
  uint64_t position_ = 0;
  fs::path path_;
};

// Whole small files. `max_bytes` guards against reading a disk image by mistake.
Result<std::string> read_text_file(const fs::path& path, uint64_t max_bytes = uint64_t{1} << 30);
// Everything on standard input until it ends; waits for it.
Result<std::string> read_standard_input(uint64_t max_bytes = uint64_t{1} << 30);

// Writes beside the target, syncs, renames over it: readers see the old file or the new one, never half of it. Several
// writers of one target wait for each other, the last one wins; what a killed one left beside it is taken away.
Status write_file_atomic(const fs::path& path, std::string_view content, unsigned mode = 0644);

// Takes away what killed write_file_atomic()s left in the folder, for files that nobody may write again. What is being
// written is left alone.
void remove_unfinished_writes(const fs::path& folder);

// Syncs `from`, renames it to `to` (replacing it) and syncs the folder.
Status rename_durable(const fs::path& from, const fs::path& to);

Status make_folders(const fs::path& path);
Result<uint64_t> free_space_bytes(const fs::path& path);

}  // namespace watra
