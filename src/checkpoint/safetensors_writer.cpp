// Writing safetensors: one file, or shards with their index.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_set>

#include "base/checked.h"
#include "checkpoint/internal/new_files.h"
#include "checkpoint/internal/safetensors_header.h"
#include "checkpoint/internal/split_name.h"
#include "checkpoint/internal/untrusted_text.h"
#include "checkpoint/safetensors.h"

namespace watra::checkpoint {
namespace {

using nlohmann::ordered_json;
using Pairs = std::span<const std::pair<std::string, std::string>>;

// Which entries go into one file, in the order of their bytes.
using Shard = std::vector<const SafetensorsEntry*>;

Status check(const SafetensorsEntry& e) {
  const auto refuse = [&](const char* code, const std::string& why) {
    return fail(code, fmt::format("tensor {}: {}", shown(e.name), why));
  };
  if (!is_printable_name(e.name) || e.name == "__metadata__")
    return refuse("checkpoint.bad_name", "needed a name of UTF-8 without control characters, and not __metadata__");
  if (safetensors_dtype(e.dtype).empty())
    return refuse("checkpoint.unknown_dtype",
                  fmt::format("safetensors has no word for {}; GGUF has", tensor::dtype_name(e.dtype)));
  uint64_t bytes = tensor::traits(e.dtype).block_bytes;
  for (int i = 0; i < e.shape.rank(); ++i) {
    const auto product = e.shape[i] < 0 ? std::nullopt : checked_mul(bytes, static_cast<uint64_t>(e.shape[i]));
    if (!product) return refuse("checkpoint.bad_shape", fmt::format("shape {} is no shape", e.shape.to_string()));
    bytes = *product;
  }
  if (bytes != e.data.size())
    return refuse("checkpoint.bad_shape",
                  fmt::format("{} {} needs {} bytes, {} were given", tensor::dtype_name(e.dtype), e.shape.to_string(),
                              bytes, e.data.size()));
  return {};
}

std::string header_json(const Shard& shard, Pairs metadata) {
  ordered_json header = ordered_json::object();
  for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  uint64_t offset = 0;
  for (const SafetensorsEntry* e : shard) {
    ordered_json shape = ordered_json::array();
    for (int i = 0; i < e->shape.rank(); ++i) shape.push_back(e->shape[i]);
    header[e->name] = {
        {"dtype", safetensors_dtype(e->dtype)}, {"shape", shape}, {"data_offsets", {offset, offset + e->data.size()}}};
    offset += e->data.size();
  }
  std::string json = header.dump();
  json.resize((json.size() + 7) / 8 * 8, ' ');  // so that the data begins at a multiple of 8
  return json;
}

Status write_file(NewFiles& files, const fs::path& path, const Shard& shard, Pairs metadata) {
  const std::string json = header_json(shard, metadata);
  if (json.size() > kMaxSafetensorsHeaderBytes)
    return fail("checkpoint.header_too_large",
                fmt::format("{}: a header of {} bytes; {} are possible", path.string(), json.size(),
                            kMaxSafetensorsHeaderBytes),
                "write more shards");
  WATRA_ASSIGN(File f, files.create(path));
  const uint64_t n = json.size();
  WATRA_TRY(f.append(std::as_bytes(std::span(&n, 1))));
  WATRA_TRY(f.append(json));
  for (const SafetensorsEntry* e : shard) WATRA_TRY(f.append(e->data));
  return {};
}

Status write_shards(NewFiles& files, const fs::path& folder, const std::vector<Shard>& shards, Pairs metadata) {
  ordered_json map = ordered_json::object();
  uint64_t total_bytes = 0;
  const auto name = [&](size_t i) {
    return make_split_name("model", static_cast<uint32_t>(i + 1), static_cast<uint32_t>(shards.size()), ".safetensors");
  };
  for (size_t i = 0; i < shards.size(); ++i)
    for (const SafetensorsEntry* e : shards[i]) {
      map[e->name] = name(i);
      total_bytes += e->data.size();
    }
  // First, so that it is renamed last: the index never names a file that is not there.
  WATRA_ASSIGN(File index, files.create(folder / "model.safetensors.index.json"));
  const ordered_json content = {{"metadata", {{"total_size", total_bytes}}}, {"weight_map", std::move(map)}};
  WATRA_TRY(index.append(content.dump(2) + "\n"));
  for (size_t i = 0; i < shards.size(); ++i) WATRA_TRY(write_file(files, folder / name(i), shards[i], metadata));
  return {};
}

}  // namespace

Status write_safetensors(const fs::path& path, std::span<const SafetensorsEntry> entries, Pairs metadata,
                         uint64_t max_shard_bytes) {
  std::unordered_set<std::string_view> names;
  for (const SafetensorsEntry& e : entries) {
    WATRA_TRY(check(e));
    if (!names.insert(e.name).second)
      return fail("checkpoint.duplicate_tensor", fmt::format("tensor {} is given twice", shown(e.name)));
  }
  for (const auto& [key, value] : metadata)
    if (!is_utf8(key) || !is_utf8(value))
      return fail("checkpoint.bad_key", fmt::format("metadata {} is not UTF-8", shown(key)));

  std::vector<Shard> shards(1);
  uint64_t shard_bytes = 0;
  for (const SafetensorsEntry& e : entries) {
    if (max_shard_bytes > 0 && !shards.back().empty() &&
        e.data.size() > max_shard_bytes - std::min(shard_bytes, max_shard_bytes)) {
      shards.emplace_back();
      shard_bytes = 0;
    }
    shards.back().push_back(&e);
    shard_bytes += e.data.size();
  }
  // Wide elements first: then each tensor is aligned to its own element size.
  for (Shard& s : shards)
    std::stable_sort(s.begin(), s.end(), [](const SafetensorsEntry* a, const SafetensorsEntry* b) {
      return tensor::traits(a->dtype).block_bytes > tensor::traits(b->dtype).block_bytes;
    });

  NewFiles files;
  if (max_shard_bytes > 0) WATRA_TRY(make_folders(path));
  if (shards.size() > 1) {
    WATRA_TRY(write_shards(files, path, shards, metadata));
  } else {
    WATRA_TRY(write_file(files, max_shard_bytes > 0 ? path / "model.safetensors" : path, shards[0], metadata));
  }
  WATRA_TRY(files.commit());
  return {};
}

}  // namespace watra::checkpoint
