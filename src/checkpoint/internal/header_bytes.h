// HeaderBytes: the bytes of a file's header, read front to back through one bounded buffer.
//
// Knows how many bytes there are and never hands out one more; a header is also bounded by kMaxHeaderBytes, so that a
// huge sparse file cannot make us read (or hold) gigabytes of "metadata". Reads from a File or from memory. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace watra::checkpoint {

// The largest vocabularies of today (260,000 tokens, 500,000 merges) make headers of 16 MB; 16 times that is no header.
inline constexpr uint64_t kMaxHeaderBytes = uint64_t{256} << 20;

class HeaderBytes {
 public:
  HeaderBytes(const File& file, uint64_t file_bytes);      // borrows the file
  explicit HeaderBytes(std::span<const std::byte> bytes);  // borrows the memory

  uint64_t position() const { return window_offset_ + at_; }
  uint64_t file_bytes() const { return file_bytes_; }
  uint64_t remaining() const { return end_ - position(); }  // bytes a header may still take

  // Copies the next n bytes; false when they are not there (cut file, header limit) or the system could not read them.
  // After a false nothing more may be read; why_not() tells the reason.
  bool read(void* out, size_t n) {
    if (n <= window_.size() - at_) {
      if (n > 0) std::memcpy(out, window_.data() + at_, n);
      at_ += n;
      return true;
    }
    return read_across(static_cast<std::byte*>(out), n);
  }

  template <class T>
  requires std::is_arithmetic_v<T>
  bool read(T& out) { return read(&out, sizeof out); }

  // n bytes of text. Allocates only after n was compared with what is left.
  bool read(std::string& out, uint64_t n) {
    if (n <= window_.size() - at_) {
      out.assign(reinterpret_cast<const char*>(window_.data() + at_), n);
      at_ += n;
      return true;
    }
    if (n > remaining()) return false;
    out.resize(n);
    return read(out.data(), n);
  }

  // The error behind a failed read of `needed` bytes of `what` in the file called `name`.
  Error why_not(const std::string& name, const std::string& what, uint64_t needed) const;

 private:
  bool read_across(std::byte* out, size_t n);

  const File* file_ = nullptr;
  uint64_t file_bytes_ = 0;
  uint64_t end_ = 0;            // min(file_bytes_, kMaxHeaderBytes)
  uint64_t window_offset_ = 0;  // where window_ lies in the file
  size_t at_ = 0;               // next byte in window_
  std::span<const std::byte> window_;
  std::vector<std::byte> buffer_;
  std::optional<Error> io_error_;
};

}  // namespace watra::checkpoint
