#include "engine/weight_files.h"

#include <algorithm>
#include <cstring>

namespace watra::engine {
namespace {

constexpr uint64_t kHeaderBytes = 64 << 10, kSampleBytes = 256;

bool same_bytes(const File& a, const File& b, uint64_t offset, uint64_t n_bytes) {
  std::vector<std::byte> from_a(n_bytes), from_b(n_bytes);
  return a.read_at(offset, from_a) && b.read_at(offset, from_b) && from_a == from_b;
}

// Comparing hundreds of gigabytes would take as long as reading them: the beginning, and a sample of every tensor.
bool is_copy(const checkpoint::Checkpoint& model, uint32_t file_index, const File& copy) {
  const File& own = model.file(file_index);
  const auto size = own.size_bytes(), copy_size = copy.size_bytes();
  if (!size || !copy_size || *size != *copy_size) return false;
  if (!same_bytes(own, copy, 0, std::min(kHeaderBytes, *size))) return false;
  return std::ranges::all_of(model.tensors(), [&](const checkpoint::TensorInfo& t) {
    return t.file_index != file_index ||
           same_bytes(own, copy, t.offset_bytes + t.size_bytes / 2, std::min(kSampleBytes, t.size_bytes / 2));
  });
}

// Not the same file under another name: that is no second disk.
Result<File> open_copy(const checkpoint::Checkpoint& model, uint32_t file_index, const fs::path& folder) {
  WATRA_ASSIGN(File copy, File::open(folder / model.paths()[file_index].filename(), File::Mode::read));
  WATRA_ASSIGN(const FileStamp own, model.file(file_index).stamp());
  WATRA_ASSIGN(const FileStamp other, copy.stamp());
  if (own.device == other.device && own.inode == other.inode)
    return fail("weights.same_file", fmt::format("{} is the model's own file", copy.path().string()));
  if (!is_copy(model, file_index, copy))
    return fail("weights.not_a_copy",
                fmt::format("{} is no copy of {}", copy.path().string(), model.paths()[file_index].string()));
  return copy;
}

}  // namespace

std::vector<fs::path> folders_with_copies(const checkpoint::Checkpoint& model, std::span<const fs::path> folders) {
  std::vector<fs::path> found;
  for (const fs::path& folder : folders)
    for (uint32_t i = 0; i < model.paths().size(); ++i) {
      if (!open_copy(model, i, folder)) continue;
      if (std::ranges::find(found, folder) == found.end()) found.push_back(folder);
      break;
    }
  return found;
}

Status WeightFiles::add(std::vector<Source>& disk, File copy, const File* own) {
  Source& s = disk.emplace_back();
  s.copy = std::move(copy);
  WATRA_ASSIGN(s.stamp, (own ? *own : s.copy).stamp());
  return {};
}

Result<std::shared_ptr<const WeightFiles>> WeightFiles::open(const checkpoint::Checkpoint& model,
                                                             std::span<const fs::path> folders) {
  auto out = std::make_shared<WeightFiles>();
  const auto n_files = static_cast<uint32_t>(model.paths().size());
  for (uint32_t i = 0; i < n_files; ++i) WATRA_TRY(out->add(out->own_, {}, &model.file(i)));
  for (const fs::path& folder : folders) {
    auto& disk = out->copies_.emplace_back();
    for (uint32_t i = 0; i < n_files; ++i) {
      auto copy = open_copy(model, i, folder);
      if (copy)
        WATRA_TRY(out->add(disk, std::move(*copy), nullptr));
      else
        disk.emplace_back();
    }
  }
  // A DirectFile points to its File, which must have come to rest.
  for (uint32_t i = 0; i < n_files; ++i) out->own_[i].direct = std::make_unique<DirectFile>(model.file(i), true);
  for (auto& disk : out->copies_)
    for (Source& s : disk)
      if (s.copy.is_open()) s.direct = std::make_unique<DirectFile>(s.copy, true);
  const auto widen = [&](const Source& s) {
    if (s.direct) out->alignment_ = std::max(out->alignment_, s.direct->alignment());
  };
  std::ranges::for_each(out->own_, widen);
  for (const auto& disk : out->copies_) std::ranges::for_each(disk, widen);
  return std::shared_ptr<const WeightFiles>(std::move(out));
}

const DirectFile& WeightFiles::file(size_t disk, uint32_t file_index) const {
  if (disk > 0 && disk <= copies_.size() && copies_[disk - 1][file_index].direct)
    return *copies_[disk - 1][file_index].direct;
  return *own_[file_index].direct;
}

Status WeightFiles::check_unchanged() const {
  const auto check = [](const Source& s) -> Status {
    if (!s.direct) return {};
    const File& file = s.direct->file();
    const auto now = file.stamp_at_path();
    if (!now) {
      Error e = now.error();
      e.message = fmt::format("{} is gone, and weights were still read from it: {}", file.path().string(), e.message);
      e.hint = "put the file back, or load the model again from where it lies now";
      return fail(std::move(e));
    }
    if (*now == s.stamp) return {};
    const bool replaced = now->inode != s.stamp.inode || now->device != s.stamp.device;
    return fail(
        "file.changed",
        fmt::format("{} was {} while weights were read from it ({} bytes now, {} when it was opened)",
                    file.path().string(), replaced ? "replaced" : "written to", now->size_bytes, s.stamp.size_bytes),
        "load the model again");
  };
  for (const Source& s : own_) WATRA_TRY(check(s));
  for (const auto& disk : copies_)
    for (const Source& s : disk) WATRA_TRY(check(s));
  return {};
}

}  // namespace watra::engine
