// Folders of files that may come and go at any time because several processes keep them: listing, replacing, removing.
//
// Nothing here is synced to the disk: this is for caches, whose files tell by checksums that they are whole. What must
// survive a power cut is written with write_file_atomic() (file.h). Thread-safe.
#pragma once

#include <vector>

#include "base/file.h"

namespace watra {

struct FolderEntry {
  fs::path path;
  uint64_t size_bytes = 0;
  int64_t modified_ns = 0;  // since 1970
};

// The plain files of a folder and of the folders in it (one level), in no order. A folder that is missing is empty;
// what disappears while it is read is left out. Error "file.io".
Result<std::vector<FolderEntry>> list_files(const fs::path& folder);

// Replaces `to` at once: readers see the old file or the new one. Fault point "file.rename".
Status rename_over(const fs::path& from, const fs::path& to);

// No error when it is gone already. Fault point "file.remove".
Status remove_file(const fs::path& path);

// Sets the time of the last change; false when the file is not there, or not ours.
bool set_modified(const fs::path& path, int64_t modified_ns);

int64_t now_ns();  // since 1970

// "1234-0": a different name each time, and in each process of this machine.
std::string name_of_our_own();

// Creates the folder if it is missing, with those above it; its content is for this user alone.
Status make_private_folder(const fs::path& path);

}  // namespace watra
