#include "checkpoint/internal/open_file.h"

#include "checkpoint/internal/untrusted_text.h"

namespace watra::checkpoint {

Result<OpenFile> open_regular_file(const fs::path& path) {
  std::error_code ec;
  const auto status = fs::status(path, ec);
  if (!ec && fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status))
    return fail("checkpoint.not_a_file", fmt::format("{} is a pipe or a device, a file was wanted", path.string()),
                "model files are read at any position; save it to disk first");
  OpenFile opened;
  WATRA_ASSIGN(opened.file, File::open(path, File::Mode::read));
  WATRA_ASSIGN(opened.bytes, opened.file.size_bytes());
  return opened;
}

Status read_tensor(std::span<const File> files, const TensorInfo& info, std::span<std::byte> out, uint64_t skip_bytes) {
  if (info.file_index >= files.size() || skip_bytes > info.size_bytes || out.size() > info.size_bytes - skip_bytes)
    return fail("checkpoint.bad_range", fmt::format("tensor {} has {} bytes; {} from {} on were wanted",
                                                    shown(info.name), info.size_bytes, out.size(), skip_bytes));
  return files[info.file_index].read_at(info.offset_bytes + skip_bytes, out);
}

}  // namespace watra::checkpoint
