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
  uint64_t limit_bytes() const { return limit_bytes_; }

  Status take(const std::string& tag, uint64_t bytes);
  void give(const std::string& tag, uint64_t bytes);

 private:
  mutable std::mutex mutex_;
  const uint64_t limit_bytes_;
  uint64_t used_ = 0, peak_ = 0;
  std::map<std::string, uint64_t> by_tag_;
};

class Buffer {
 public:
  // 64-byte aligned below 2 MiB; above, whole pages aligned to 2 MiB with huge pages asked for.
  // The budget must outlive the buffer; null = not counted.
  static Result<Buffer> allocate(MemoryBudget* budget, std::string tag, uint64_t bytes);

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

// Peak resident set of this process.
uint64_t peak_resident_bytes();
// Memory the machine can still give without swapping, and all it has.
uint64_t available_memory_bytes();
uint64_t total_memory_bytes();

// "62.1 GiB", "93 MiB", "512 B"
std::string format_bytes(uint64_t bytes);
// "48GiB", "512MiB", "2GB", "1048576" -> bytes
Result<uint64_t> parse_bytes(std::string_view text);

}  // namespace watra
