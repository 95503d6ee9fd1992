// Opening safetensors: one file, or a folder of shards with its index.
#include "checkpoint/safetensors.h"

#include <algorithm>
#include <map>

#include "checkpoint/internal/open_file.h"
#include "checkpoint/internal/safetensors_header.h"
#include "checkpoint/internal/untrusted_text.h"

namespace watra::checkpoint {
namespace {

constexpr const char* kIndexName = "model.safetensors.index.json";
constexpr uint64_t kMaxIndexBytes = uint64_t{64} << 20;

// What PATH stands for: a file or an index.
Result<fs::path> resolve(const fs::path& path) {
  std::error_code ec;
  if (!fs::is_directory(path, ec)) return path;
  if (fs::exists(path / kIndexName, ec)) return path / kIndexName;
  if (fs::exists(path / "model.safetensors", ec)) return path / "model.safetensors";
  std::vector<fs::path> found;
  for (auto it = fs::directory_iterator(path, ec); !ec && it != fs::directory_iterator(); it.increment(ec))
    if (it->path().extension() == ".safetensors") found.push_back(it->path());
  if (found.size() == 1) return found[0];
  return fail(found.empty() ? "checkpoint.no_model" : "checkpoint.no_index",
              fmt::format("{}: needed {} or model.safetensors, found {} .safetensors files", path.string(), kIndexName,
                          found.size()),
              found.empty() ? "check the folder; `watra convert` takes a model as Hugging Face stores it"
                            : "download the index too, or name one of the files");
}

}  // namespace

class SafetensorsOpener {
 public:
  static Result<Safetensors> open(const fs::path& given) {
    WATRA_ASSIGN(const fs::path path, resolve(given));
    Safetensors model;
    if (path.extension() == ".json") {
      WATRA_TRY(open_sharded(path, model));
    } else {
      WATRA_TRY(add_file(path, model));
    }
    WATRA_TRY(build_index(model));
    return model;
  }

 private:
  static Status add_file(const fs::path& path, Safetensors& model) {
    WATRA_ASSIGN(OpenFile opened, open_regular_file(path));
    HeaderBytes bytes(opened.file, opened.bytes);
    WATRA_ASSIGN(SafetensorsHeader header, parse_safetensors_header(bytes, path.filename().string()));
    for (TensorInfo& t : header.tensors) {
      t.file_index = static_cast<uint32_t>(model.files_.size());
      model.tensors_.push_back(std::move(t));
    }
    std::move(header.foreign.begin(), header.foreign.end(), std::back_inserter(model.foreign_));
    for (auto& pair : header.metadata) {
      const auto same = [&](const auto& m) { return m.first == pair.first; };
      if (std::none_of(model.metadata_.begin(), model.metadata_.end(), same))
        model.metadata_.push_back(std::move(pair));
    }
    model.files_.push_back(std::move(opened.file));
    return {};
  }

  static Status open_sharded(const fs::path& index, Safetensors& model) {
    WATRA_ASSIGN(const std::string json, read_text_file(index, kMaxIndexBytes));
    const std::string index_name = index.filename().string();
    WATRA_ASSIGN(const auto entries, parse_safetensors_index(json, index_name));
    std::map<std::string, std::vector<std::string_view>> by_file;
    for (const IndexedTensor& e : entries) by_file[e.file].push_back(e.tensor);
    for (const auto& [file, tensors] : by_file) {
      const fs::path path = index.parent_path() / file;
      std::error_code ec;
      if (!fs::exists(path, ec))
        return fail("checkpoint.split_missing",
                    fmt::format("{}: {} of its {} files is missing", index_name, shown(file), by_file.size()),
                    "put all files of the model into one folder; download the missing ones");
      const size_t first = model.tensors_.size(), first_foreign = model.foreign_.size();
      WATRA_TRY(add_file(path, model));
      std::unordered_map<std::string_view, bool> there;
      for (size_t i = first; i < model.tensors_.size(); ++i) there.emplace(model.tensors_[i].name, true);
      for (size_t i = first_foreign; i < model.foreign_.size(); ++i) there.emplace(model.foreign_[i].name, true);
      for (const std::string_view t : tensors)
        if (!there.contains(t))
          return fail("checkpoint.bad_index",
                      fmt::format("{} says that tensor {} is in {}; it is not", index_name, shown(t), shown(file)),
                      "index and files belong to different versions of the model; download both again");
    }
    return {};
  }

  static Status build_index(Safetensors& model) {
    model.by_name_.reserve(model.tensors_.size());
    for (size_t i = 0; i < model.tensors_.size(); ++i) {
      const TensorInfo& t = model.tensors_[i];
      const auto [it, is_new] = model.by_name_.emplace(t.name, i);
      if (!is_new)
        return fail("checkpoint.duplicate_tensor",
                    fmt::format("tensor {} stands both in {} and in {}", shown(t.name),
                                model.files_[model.tensors_[it->second].file_index].path().filename().string(),
                                model.files_[t.file_index].path().filename().string()),
                    "files of two models lie in one folder; download them again");
    }
    return {};
  }
};

Result<Safetensors> Safetensors::open(const fs::path& path) { return SafetensorsOpener::open(path); }

const TensorInfo* Safetensors::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

Status Safetensors::read(const TensorInfo& info, std::span<std::byte> out, uint64_t skip_bytes) const {
  return read_tensor(files_, info, out, skip_bytes);
}

}  // namespace watra::checkpoint
