// Checkpoint: an open model file (GGUF, all its splits): metadata and tensor directory, every number checked against
// the bytes that are there; no weights loaded yet.
//
// Opening reads the header only, so a 250 GB file opens in milliseconds. Read-only after open; read() may be called
// from several threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "tensor/tensor.h"

namespace watra::checkpoint {

// GGUF's metadata types; the numbers are the file's.
enum class MetaType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };
std::string_view meta_type_name(MetaType type);  // "u32", "bool", "array"

struct MetaArray;

// One metadata value. Integers keep their width in `type`; read them through the typed getters of Metadata.
struct MetaValue {
  MetaType type = MetaType::u32;
  std::variant<uint64_t, int64_t, double, bool, std::string, std::shared_ptr<const MetaArray>> value;

  bool operator==(const MetaValue& other) const;  // same type and same content; arrays by content, floats by bits

  static MetaValue of_u8(uint8_t v) { return {MetaType::u8, uint64_t{v}}; }
  static MetaValue of_u16(uint16_t v) { return {MetaType::u16, uint64_t{v}}; }
  static MetaValue of_u32(uint32_t v) { return {MetaType::u32, uint64_t{v}}; }
  static MetaValue of_u64(uint64_t v) { return {MetaType::u64, v}; }
  static MetaValue of_i8(int8_t v) { return {MetaType::i8, int64_t{v}}; }
  static MetaValue of_i16(int16_t v) { return {MetaType::i16, int64_t{v}}; }
  static MetaValue of_i32(int32_t v) { return {MetaType::i32, int64_t{v}}; }
  static MetaValue of_i64(int64_t v) { return {MetaType::i64, v}; }
  static MetaValue of_f32(float v) { return {MetaType::f32, double{v}}; }
  static MetaValue of_f64(double v) { return {MetaType::f64, v}; }
  static MetaValue of_bool(bool v) { return {MetaType::boolean, v}; }
  static MetaValue of_string(std::string v) { return {MetaType::string, std::move(v)}; }
  static MetaValue of_array(MetaArray v);
};

struct MetaArray {
  MetaType element_type = MetaType::u32;
  // Exactly one is filled: unsigned and bool as u64, signed as i64, floats as f64, strings, or arrays of arrays.
  std::vector<uint64_t> u64;
  std::vector<int64_t> i64;
  std::vector<double> f64;
  std::vector<std::string> strings;
  std::vector<MetaValue> nested;
  size_t size() const;
  bool operator==(const MetaArray& other) const;
};

// Ordered key/value pairs. Getters convert between integer widths when the value fits and give nullopt when the key is
// missing or of another kind; require_* give an Error that names key, wanted and found.
class Metadata {
 public:
  const MetaValue* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  std::optional<uint64_t> get_u64(std::string_view key) const;
  std::optional<int64_t> get_i64(std::string_view key) const;
  std::optional<double> get_f64(std::string_view key) const;  // any number
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::string> get_string(std::string_view key) const;
  const MetaArray* get_array(std::string_view key) const;
  Result<uint64_t> require_u64(std::string_view key) const;
  Result<std::string> require_string(std::string_view key) const;

  void set(std::string key, MetaValue value);  // replaces or appends
  void erase(std::string_view key);
  const std::vector<std::pair<std::string, MetaValue>>& entries() const { return entries_; }

 private:
  std::vector<std::pair<std::string, MetaValue>> entries_;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  // from key to position, so that 100,000 keys stay linear
  std::unordered_map<std::string, size_t, Hash, std::equal_to<>> index_;
};

struct TensorInfo {
  std::string name;
  tensor::DType dtype;
  tensor::Shape shape;    // numpy order: last dimension contiguous
  uint32_t file_index;    // which split
  uint64_t offset_bytes;  // absolute, in that file
  uint64_t size_bytes;
};

class Checkpoint {
 public:
  // Opens PATH and, when it is one part of a split ("-00001-of-00003.gguf", any part), all the others beside it, or
  // where they are not there, in the first of the folders that has them (parts on several disks).
  // Errors: "checkpoint.*" for what is wrong inside a file (README.md lists them), "file.*" for what the system
  // refused.
  static Result<Checkpoint> open(const fs::path& path, std::span<const fs::path> folders = {});
  // A directory without files behind it, for models that are made in memory: read() fails.
  static Checkpoint describe(Metadata metadata, std::vector<TensorInfo> tensors);

  bool has_files() const { return !files_.empty(); }
  const Metadata& metadata() const { return metadata_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const TensorInfo* find(std::string_view name) const;
  const std::vector<fs::path>& paths() const { return paths_; }
  uint64_t file_bytes() const { return file_bytes_; }  // all splits
  uint32_t gguf_version() const { return version_; }

  // Reads a tensor's bytes (out.size() == info.size_bytes), or `out.size()` bytes of it from `skip_bytes` on.
  Status read(const TensorInfo& info, std::span<std::byte> out, uint64_t skip_bytes = 0) const;
  const File& file(uint32_t file_index) const { return files_[file_index]; }

 private:
  friend class GgufOpener;
  uint32_t version_ = 3;
  uint64_t file_bytes_ = 0;
  Metadata metadata_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, size_t> by_name_;  // keys point into tensors_
  std::vector<fs::path> paths_;
  std::vector<File> files_;
};

}  // namespace watra::checkpoint
