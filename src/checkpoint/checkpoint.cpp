// Opening a GGUF model: one file, or all the parts of a split one.
#include "checkpoint/checkpoint.h"

#include <limits>

#include "base/checked.h"
#include "checkpoint/internal/gguf_header.h"
#include "checkpoint/internal/open_file.h"
#include "checkpoint/internal/split_name.h"
#include "checkpoint/internal/untrusted_text.h"

namespace watra::checkpoint {
namespace {

constexpr std::string_view kExtension = ".gguf";

struct OpenPart {
  fs::path path;
  OpenFile opened;
  GgufHeader header;
};

Result<OpenPart> open_part(const fs::path& path) {
  OpenPart part;
  part.path = path;
  WATRA_ASSIGN(part.opened, open_regular_file(path));
  HeaderBytes bytes(part.opened.file, part.opened.bytes);
  WATRA_ASSIGN(part.header, parse_gguf_header(bytes, path.filename().string()));
  return part;
}

// What a file says about the set of splits it belongs to.
struct SplitKeys {
  uint64_t no = 0;  // from 0
  uint64_t count = 1;
  std::optional<uint64_t> n_tensors;  // in all parts together
};

Result<uint64_t> split_number(const Metadata& metadata, const std::string& file, std::string_view key, uint64_t limit) {
  WATRA_ASSIGN(const uint64_t v, metadata.require_u64(key).map_error([&](Error e) {
    e.message = file + ": " + e.message;
    return e;
  }));
  if (v > limit)
    return fail("checkpoint.split_keys", fmt::format("{}: {} is {}, at most {} is possible", file, key, v, limit),
                "the file is damaged; download or split it again");
  return v;
}

Result<SplitKeys> read_split_keys(const Metadata& metadata, const std::string& file) {
  SplitKeys keys;
  if (!metadata.has("split.count")) return keys;
  WATRA_ASSIGN(keys.count, split_number(metadata, file, "split.count", 65535));
  if (keys.count <= 1) return SplitKeys{};
  WATRA_ASSIGN(keys.no, split_number(metadata, file, "split.no", 65535));
  if (keys.no >= keys.count)
    return fail("checkpoint.split_keys",
                fmt::format("{}: split.no is {} (from 0), but split.count is {}", file, keys.no, keys.count),
                "the file is damaged; download or split it again");
  if (metadata.has("split.tensors.count")) {
    WATRA_ASSIGN(keys.n_tensors,
                 split_number(metadata, file, "split.tensors.count", std::numeric_limits<int32_t>::max()));
  }
  return keys;
}

}  // namespace

class GgufOpener {
 public:
  static Result<Checkpoint> open(const fs::path& path, std::span<const fs::path> folders) {
    WATRA_ASSIGN(OpenPart opened, open_part(path));
    WATRA_ASSIGN(const SplitKeys keys, read_split_keys(opened.header.metadata, path.filename().string()));
    std::vector<OpenPart> parts;
    if (keys.count == 1) {
      parts.push_back(std::move(opened));
    } else {
      WATRA_ASSIGN(parts, open_all(std::move(opened), keys, folders));
    }
    return join(std::move(parts), keys);
  }

 private:
  static Result<std::vector<OpenPart>> open_all(OpenPart opened, const SplitKeys& keys,
                                                std::span<const fs::path> folders) {
    const std::string filename = opened.path.filename().string();
    const auto name = parse_split_name(filename, kExtension);
    if (!name || name->count != keys.count || name->number != keys.no + 1)
      return fail("checkpoint.split_name",
                  fmt::format("{} is part {} of {} of a split model, but its name does not say so, and the other parts "
                              "are found by name",
                              filename, keys.no + 1, keys.count),
                  fmt::format("name the parts {} and so on, or join them into one file",
                              make_split_name(name ? name->prefix : opened.path.stem().string(),
                                              static_cast<uint32_t>(keys.no + 1), static_cast<uint32_t>(keys.count),
                                              kExtension)));
    const auto path_of = [&, folder = opened.path.parent_path()](uint32_t i) {
      const std::string part = make_split_name(name->prefix, i + 1, name->count, kExtension);
      std::error_code ec;
      if (!fs::exists(folder / part, ec))
        for (const fs::path& other : folders)
          if (fs::exists(other / part, ec)) return other / part;
      return folder / part;
    };
    WATRA_TRY(check_all_there(filename, name->count, path_of));

    std::vector<OpenPart> parts;
    for (uint32_t i = 0; i < name->count; ++i) {
      if (i + 1 == name->number) {
        parts.push_back(std::move(opened));
      } else {
        WATRA_ASSIGN(parts.emplace_back(), open_part(path_of(i)));
        WATRA_TRY(check_split_keys(parts.back(), i, keys, filename));
      }
      WATRA_TRY(check_same_model(parts.front(), parts.back()));
    }
    return parts;
  }

  static Status check_split_keys(const OpenPart& part, uint32_t no, const SplitKeys& wanted,
                                 const std::string& opened_name) {
    const std::string part_name = part.path.filename().string();
    WATRA_ASSIGN(const SplitKeys found, read_split_keys(part.header.metadata, part_name));
    if (found.no != no || found.count != wanted.count)
      return fail("checkpoint.split_order",
                  fmt::format("{} should be part {} of {}; inside it says part {} of {}", part_name, no + 1,
                              wanted.count, found.no + 1, found.count),
                  "parts were renamed or mixed up; download this one again");
    if (found.n_tensors != wanted.n_tensors) return mixed(opened_name, part_name, "split.tensors.count");
    return {};
  }

  template <class PathOf>
  static Status check_all_there(const std::string& filename, uint32_t count, const PathOf& path_of) {
    std::string missing;
    uint32_t n_missing = 0;
    for (uint32_t i = 0; i < count; ++i) {
      std::error_code ec;
      if (fs::exists(path_of(i), ec)) continue;
      if (++n_missing <= 4) missing += (missing.empty() ? "" : ", ") + path_of(i).filename().string();
    }
    if (n_missing == 0) return {};
    if (n_missing > 4) missing += fmt::format(" and {} more", n_missing - 4);
    return fail(
        "checkpoint.split_missing",
        fmt::format("{}: {} of the {} parts of this model are missing: {}", filename, n_missing, count, missing),
        "put all parts into one folder, or name the folders of the others with --disk; download the missing ones");
  }

  static tl::unexpected<Error> mixed(const std::string& a, const std::string& b, std::string_view key) {
    return fail("checkpoint.split_mixed",
                fmt::format("{} and {} belong to different models: their {} differs", a, b, shown(key)),
                "parts of two models lie in one folder; download the wrong one again");
  }

  // Later parts mostly carry the split keys alone. Where one repeats a key, it must repeat the value.
  static Status check_same_model(const OpenPart& first, const OpenPart& other) {
    for (const auto& [key, value] : other.header.metadata.entries()) {
      if (key.starts_with("split.") || key == "general.alignment") continue;
      const MetaValue* same = first.header.metadata.find(key);
      if (same && !(*same == value)) return mixed(first.path.filename().string(), other.path.filename().string(), key);
    }
    return {};
  }

  static Result<Checkpoint> join(std::vector<OpenPart> parts, const SplitKeys& keys) {
    Checkpoint c;
    c.version_ = parts.front().header.version;
    c.metadata_ = std::move(parts.front().header.metadata);
    size_t n_tensors = 0;
    for (const OpenPart& p : parts) n_tensors += p.header.tensors.size();
    if (keys.n_tensors && *keys.n_tensors != n_tensors)
      return fail("checkpoint.split_tensors",
                  fmt::format("{}: its {} parts should hold {} tensors together, found {}",
                              parts.front().path.filename().string(), parts.size(), *keys.n_tensors, n_tensors),
                  "parts of two models lie in one folder, or one is damaged; download them again");
    c.tensors_.reserve(n_tensors);
    for (uint32_t i = 0; i < parts.size(); ++i) {
      OpenPart& p = parts[i];
      for (TensorInfo& t : p.header.tensors) {
        t.file_index = i;
        c.tensors_.push_back(std::move(t));
      }
      const auto sum = checked_add(c.file_bytes_, p.opened.bytes);
      if (!sum) return fail("checkpoint.bad_count", "the parts together have more than 2^64 bytes");
      c.file_bytes_ = *sum;
      c.paths_.push_back(std::move(p.path));
      c.files_.push_back(std::move(p.opened.file));
    }
    c.by_name_.reserve(c.tensors_.size());
    for (size_t i = 0; i < c.tensors_.size(); ++i) {
      const TensorInfo& t = c.tensors_[i];
      const auto [it, is_new] = c.by_name_.emplace(t.name, i);
      if (!is_new)
        return fail("checkpoint.duplicate_tensor",
                    fmt::format("tensor {} stands both in {} and in {}", shown(t.name),
                                c.paths_[c.tensors_[it->second].file_index].filename().string(),
                                c.paths_[t.file_index].filename().string()),
                    "parts of two models lie in one folder, or a part was copied over another; download them again");
    }
    return c;
  }
};

Result<Checkpoint> Checkpoint::open(const fs::path& path, std::span<const fs::path> folders) {
  return GgufOpener::open(path, folders);
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

Checkpoint Checkpoint::describe(Metadata metadata, std::vector<TensorInfo> tensors) {
  Checkpoint c;
  c.metadata_ = std::move(metadata);
  c.tensors_ = std::move(tensors);
  for (size_t i = 0; i < c.tensors_.size(); ++i) {
    c.by_name_.emplace(c.tensors_[i].name, i);
    c.file_bytes_ += c.tensors_[i].size_bytes;
  }
  return c;
}

Status Checkpoint::read(const TensorInfo& info, std::span<std::byte> out, uint64_t skip_bytes) const {
  if (files_.empty()) return fail("checkpoint.no_file", fmt::format("{} has no file to be read from", info.name));
  return read_tensor(files_, info, out, skip_bytes);
}

}  // namespace watra::checkpoint
