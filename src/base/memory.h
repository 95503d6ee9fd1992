// Tagged memory: every large allocation has a tag and counts against a budget.
//
// MemoryBudget is handed to every loaded model (target, draft, embedder side by side); thread-safe.
// Buffer owns aligned, zero-initialized memory that is returned to its budget when it dies. Moves, does not copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace watra {

class MemoryBudget {
 public:
  // limit_bytes 0 = no limit of ours (the machine's own remains).
  explicit MemoryBudget(uint64_t limit_bytes = 0) : limit_bytes_(limit_bytes) {}

  struct Use {
    std::string tag;
    uint64_t bytes;
  };
  std::vector<Use> uses() const;  // by tag, largest first
  uint64_t used_bytes() const;
  uint64_t peak_bytes() const;
  uint64_t limit_bytes() const;

  // The limit from now on, for a budget that was filled without one. Error "memory.over_budget" when more is in use
  // already; the limit is set all the same.
  Status set_limit(uint64_t limit_bytes);

  Status take(const std::string& tag, uint64_t bytes);
  void give(const std::string& tag, uint64_t bytes);

 private:
  mutable std::mutex mutex_;
  uint64_t limit_bytes_;
  uint64_t used_ = 0, peak_ = 0;
  std::map<std::string, uint64_t> by_tag_;
};

class Buffer {
 public:
  // local: a page lies where it is first touched. spread: pages lie on all memory nodes in turn, for what every thread
  // of the machine reads; the same as local on a machine with one node.
  enum class Nodes { local, spread };

  // 64-byte aligned below 2 MiB; above, whole pages aligned to 2 MiB with huge pages asked for.
  // The budget must outlive the buffer; null = not counted.
  static Result<Buffer> allocate(MemoryBudget* budget, std::string tag, uint64_t bytes, Nodes nodes = Nodes::local);

  Buffer() = default;
  ~Buffer();
  Buffer(Buffer&& o) noexcept;
  Buffer& operator=(Buffer&& o) noexcept;

  std::byte* data() const { return data_; }
  uint64_t size_bytes() const { return bytes_; }
  std::span<std::byte> span() const { return {data_, bytes_}; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
  MemoryBudget* budget_ = nullptr;
  std::string tag_;
};

// Resident set of this process, now and at its highest.
uint64_t resident_bytes();
uint64_t peak_resident_bytes();
// What the system does about transparent huge pages: "always", "madvise" (where asked for, as Buffer does) or "never";
// empty where it does not say. And how much of this process lies in them.
std::string huge_page_setting();
uint64_t huge_page_bytes();
// Memory nodes this process may use (NUMA), in ascending order; {0} where the system does not say.
std::vector<int> memory_nodes();
// Memory the machine can still give without swapping, and all it has.
uint64_t available_memory_bytes();
uint64_t total_memory_bytes();

// "62.1 GiB", "93 MiB", "512 B"
std::string format_bytes(uint64_t bytes);
// "48GiB", "512MiB", "2GB", "1048576" -> bytes
Result<uint64_t> parse_bytes(std::string_view text);

}  // namespace watra
