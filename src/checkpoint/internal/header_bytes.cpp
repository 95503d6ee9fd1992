#include "checkpoint/internal/header_bytes.h"

#include <algorithm>

namespace watra::checkpoint {
namespace {
// One read covers the whole header of a small model; vocabularies take a few dozen.
constexpr size_t kWindowBytes = size_t{256} << 10;
}  // namespace

HeaderBytes::HeaderBytes(const File& file, uint64_t file_bytes)
    : file_(&file), file_bytes_(file_bytes), end_(std::min(file_bytes, kMaxHeaderBytes)) {
  buffer_.resize(std::min<uint64_t>(kWindowBytes, end_));
}

HeaderBytes::HeaderBytes(std::span<const std::byte> bytes)
    : file_bytes_(bytes.size()), end_(std::min<uint64_t>(bytes.size(), kMaxHeaderBytes)), window_(bytes.first(end_)) {}

bool HeaderBytes::read_across(std::byte* out, size_t n) {
  if (n > remaining() || file_ == nullptr) return false;
  while (n > 0) {
    if (at_ == window_.size()) {
      const uint64_t offset = position();
      const size_t want = std::min<uint64_t>(buffer_.size(), end_ - offset);
      if (auto status = file_->read_at(offset, std::span(buffer_).first(want)); !status) {
        io_error_ = status.error();
        return false;
      }
      window_offset_ = offset;
      window_ = std::span(buffer_).first(want);
      at_ = 0;
    }
    const size_t part = std::min(n, window_.size() - at_);
    std::memcpy(out, window_.data() + at_, part);
    at_ += part;
    out += part;
    n -= part;
  }
  return true;
}

Error HeaderBytes::why_not(const std::string& name, const std::string& what, uint64_t needed) const {
  if (io_error_) return *io_error_;
  if (end_ < file_bytes_)
    return {"checkpoint.header_too_large",
            fmt::format("{}: {} at byte {} needs {} bytes, but a header of more than {} bytes is not read", name, what,
                        position(), needed, kMaxHeaderBytes),
            "no known model comes near that size: the file is damaged; download it again"};
  return {"checkpoint.cut_file",
          fmt::format("{}: {} at byte {} needs {} bytes, found {} before the end of the file ({} bytes)", name, what,
                      position(), needed, remaining(), file_bytes_),
          "the file was cut or a number in it is damaged; compare its size with the source's and download it again"};
}

}  // namespace watra::checkpoint
