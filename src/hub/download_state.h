// DownloadState: which blocks of an unfinished download are whole, and of which version of the file.
//
// Kept beside the unfinished file as JSON. Belongs to one version: another address, identity or size makes it
// worthless.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace watra::hub {

class DownloadState {
 public:
  // The state of a download that begins: nothing done.
  DownloadState(std::string source, std::string identity, uint64_t bytes, uint64_t block_bytes);

  // What lies at `path` if it belongs to the same source, identity (not empty) and size; otherwise nullopt.
  static std::optional<DownloadState> load(const fs::path& path, const std::string& source, const std::string& identity,
                                           uint64_t bytes);
  Status save(const fs::path& path) const;

  uint64_t bytes() const { return bytes_; }
  size_t n_blocks() const { return done_.size(); }
  uint64_t block_begin(size_t block) const { return block * block_bytes_; }
  uint64_t block_end(size_t block) const { return std::min(bytes_, (block + 1) * block_bytes_); }
  bool is_done(size_t block) const { return done_[block]; }
  void set_done(size_t block) { done_[block] = true; }
  uint64_t done_bytes() const;

  // Small enough that little is lost when the program is killed, large enough that requests do not count.
  static uint64_t block_bytes_for(uint64_t bytes);

 private:
  std::string source_, identity_;
  uint64_t bytes_ = 0, block_bytes_ = 0;
  std::vector<bool> done_;
};

}  // namespace watra::hub
