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
Status check_copy(const checkpoint::Checkpoint& model, uint32_t file_index, const File& copy) {
  const File& own = model.file(file_index);
  const auto differs = [&](const std::string& how) {
    return fail("weights.not_a_copy",
                fmt::format("{} is no copy of {}: {}", copy.path().string(), own.path().string(), how),
                "copy the file again, or leave this folder out");
  };
  WATRA_ASSIGN(const uint64_t size, own.size_bytes());
  WATRA_ASSIGN(const uint64_t copy_size, copy.size_bytes());
  if (size != copy_size) return differs(fmt::format("it has {} bytes, the model's file {}", copy_size, size));
  if (!same_bytes(own, copy, 0, std::min(kHeaderBytes, size))) return differs("they begin otherwise");
  for (const checkpoint::TensorInfo& t : model.tensors()) {
    if (t.file_index != file_index) continue;
    if (!same_bytes(own, copy, t.offset_bytes + t.size_bytes / 2, std::min(kSampleBytes, t.size_bytes / 2)))
      return differs(fmt::format("{} is another there", t.name));
  }
  return {};
}

// Not the same file under another name: that is no second disk.
Result<File> open_copy(const checkpoint::Checkpoint& model, uint32_t file_index, const fs::path& folder) {
  WATRA_ASSIGN(File copy, File::open(folder / model.paths()[file_index].filename(), File::Mode::read));
  WATRA_ASSIGN(const FileStamp own, model.file(file_index).stamp());
  WATRA_ASSIGN(const FileStamp other, copy.stamp());
  if (own.device == other.device && own.inode == other.inode)
    return fail("weights.same_file", fmt::format("{} is the model's own file", copy.path().string()));
  WATRA_TRY(check_copy(model, file_index, copy));
  return copy;
}

}  // namespace

Result<FoundCopies> find_copies(const checkpoint::Checkpoint& model, std::span<const fs::path> folders) {
  FoundCopies found;
  const size_t n_files = model.paths().size();
  const std::string name = n_files > 0 ? model.paths()[0].filename().string() : "the model";
  for (auto at = folders.begin(); at != folders.end(); ++at) {
    const fs::path& folder = *at;
    std::error_code ec;
    if (!fs::is_directory(folder, ec))
      return fail("usage.disk", fmt::format("--disk {} is no folder", folder.string()),
                  fmt::format("name the folder that holds a copy of {}, or parts of it", name));
    if (std::find(folders.begin(), at, folder) != at) continue;
    bool has_copy = false, is_of_use = n_files == 0;
    for (uint32_t i = 0; i < n_files; ++i) {
      const auto copy = open_copy(model, i, folder);
      has_copy = has_copy || copy.has_value();
      is_of_use = is_of_use || has_copy || copy.error().code == "weights.same_file";
      if (copy || copy.error().code == "weights.same_file" || copy.error().code == "file.not_found") continue;
      found.unused.push_back(copy.error());
      is_of_use = true;  // said already
    }
    if (has_copy) found.folders.push_back(folder);
    if (!is_of_use)
      found.unused.push_back({"weights.no_copy", fmt::format("{} holds no copy of {}", folder.string(), name),
                              "copy the file there, or leave this folder out"});
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
