// How a ReadQueue's reads reach the system: io_uring (read_backend_uring.cpp) or threads (read_backend_threads.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace watra::internal {

struct BackendRead {
  int slot;
  int fd;
  uint64_t offset;
  std::byte* to;
  size_t n_bytes;
};

class ReadBackend {
 public:
  struct Done {
    int slot;
    int64_t result;  // bytes, or -errno
  };
  virtual ~ReadBackend() = default;  // nothing is in flight any more
  // 0, or the error (errno) with which the system refused to begin: then it never begins. May run while another thread
  // waits.
  virtual int start(const BackendRead& read) = 0;
  virtual Done wait() = 0;                 // one thread at a time waits or polls
  virtual std::optional<Done> poll() = 0;  // what is there already
  virtual std::string_view name() const = 0;
};

// Null where io_uring is missing (at build time or in the system) or forbidden.
std::unique_ptr<ReadBackend> make_uring_backend(int depth);
std::unique_ptr<ReadBackend> make_thread_backend(int depth);

}  // namespace watra::internal
