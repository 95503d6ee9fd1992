// WeightFiles: where streamed weights are read from: the model's own files, and copies of them on other disks.
//
// Disk 0 is the model's own files, wherever they lie; disk d > 0 a folder that holds a copy of at least one of them
// (same name, size and content: the header and samples of every tensor are compared). Reads go past the page cache.
// Each file is remembered as it was; check_unchanged() finds those that were written to, replaced or removed since.
//
// Immutable after open(); calls may come from several threads. Borrows the Checkpoint, which must outlive it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/direct_file.h"
#include "checkpoint/checkpoint.h"

namespace watra::engine {

struct FoundCopies {
  // Those of the folders, in their order and each once, that hold copies of the model's files: what disks 1, 2, ... of
  // open() will be.
  std::vector<fs::path> folders;
  // Why the others are of no use, and what looks like a copy and is none ("weights.not_a_copy", "weights.no_copy"): a
  // disk less is a slower model, but no wrong one. The folder of the model's own files is neither.
  std::vector<Error> unused;
};
// Error "usage.disk" for one that is no folder.
Result<FoundCopies> find_copies(const checkpoint::Checkpoint& model, std::span<const fs::path> folders);

class WeightFiles {
 public:
  // folders: as find_copies() gave them. Errors: "file.*".
  static Result<std::shared_ptr<const WeightFiles>> open(const checkpoint::Checkpoint& model,
                                                         std::span<const fs::path> folders = {});

  size_t n_disks() const { return copies_.size() + 1; }
  // The copy on that disk; the model's own file where the disk has none.
  const DirectFile& file(size_t disk, uint32_t file_index) const;
  uint32_t alignment() const { return alignment_; }  // the largest of all

  // Errors: "file.changed" and "file.not_found", with the path.
  Status check_unchanged() const;

 private:
  struct Source {
    File copy;  // not open for the model's own files, which belong to the checkpoint
    std::unique_ptr<DirectFile> direct;
    FileStamp stamp;
  };
  Status add(std::vector<Source>& disk, File copy, const File* own);

  std::vector<Source> own_;                  // by file index
  std::vector<std::vector<Source>> copies_;  // by disk - 1 and file index; direct is null where there is none
  uint32_t alignment_ = 1;
};

}  // namespace watra::engine
