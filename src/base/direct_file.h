// DirectFile: an open file whose bytes can be read past the page cache, and what the page cache holds of it.
//
// A second descriptor of the same file, opened for direct reads. Direct reads want offsets, lengths and addresses that
// are multiples of alignment(): read the enclosing span and use the middle. Where the file system has no direct reads,
// is_direct() is false and everything goes through the page cache. Reads are made by ReadQueue (read_queue.h).
//
// Borrows the File, which must outlive it. Const calls may come from several threads.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/file.h"

namespace watra {

class DirectFile {
 public:
  // Never fails for want of direct reads alone. Fault points: "direct.open" (the system refuses direct reads),
  // "direct.cachestat" (it does not tell what is cached).
  // always_direct: also what lies in the page cache is read past it: for measuring the disk, and for weights that are
  // read over and over and have no business there.
  explicit DirectFile(const File& file, bool always_direct = false);

  const File& file() const { return *file_; }
  bool is_direct() const { return direct_.is_open() && !refused_.load(std::memory_order_relaxed); }
  uint32_t alignment() const { return alignment_; }

  // Whether [offset, offset + n_bytes) is best read through the page cache because most of it lies there. Asked of the
  // system for exactly this span; where it does not tell (before Linux 6.5, or another person's file), sixteen probes
  // spread over the file decide for all of it.
  bool is_cached(uint64_t offset, uint64_t n_bytes) const;

  // For ReadQueue. A direct read that the system refuses although it opened the file makes the rest go the other way.
  int direct_fd() const { return direct_.fd(); }
  void refuse_direct() const { refused_.store(true, std::memory_order_relaxed); }

 private:
  bool looks_cached() const;

  const File* file_;
  const bool always_direct_;
  File direct_;
  uint32_t alignment_ = 4096;
  mutable std::atomic<bool> refused_{false};
  enum class Probed : int { not_yet, cached, cold };
  mutable std::atomic<Probed> probed_{Probed::not_yet};
};

}  // namespace watra
