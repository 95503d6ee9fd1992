// For tests: GGUF files put together byte by byte, right or wrong, and temporary folders to lay them in.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace watra::checkpoint::test {

// Appends whatever it is told; knows nothing about what makes sense.
class RawGguf {
 public:
  template <class T>
  RawGguf& num(T v) {
    bytes.append(reinterpret_cast<const char*>(&v), sizeof v);
    return *this;
  }
  RawGguf& u32(uint32_t v) { return num(v); }
  RawGguf& u64(uint64_t v) { return num(v); }
  RawGguf& raw(std::string_view s) {
    bytes += s;
    return *this;
  }
  RawGguf& text(std::string_view s) { return u64(s.size()).raw(s); }

  RawGguf& preamble(uint64_t n_tensors, uint64_t n_keys, uint32_t version = 3) {
    return raw("GGUF").u32(version).u64(n_tensors).u64(n_keys);
  }
  RawGguf& key_u32(std::string_view key, uint32_t v) { return text(key).u32(4).u32(v); }
  RawGguf& key_u16(std::string_view key, uint16_t v) { return text(key).u32(2).num(v); }
  RawGguf& key_i32(std::string_view key, int32_t v) { return text(key).u32(5).num(v); }
  RawGguf& key_text(std::string_view key, std::string_view v) { return text(key).u32(8).text(v); }
  // dims as the file has them: contiguous one first.
  RawGguf& tensor(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset) {
    text(name).u32(static_cast<uint32_t>(dims.size()));
    for (const uint64_t d : dims) u64(d);
    return u32(type).u64(offset);
  }
  RawGguf& pad(size_t alignment = 32) {
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
  RawGguf& zeros(size_t n) {
    bytes.append(n, '\0');
    return *this;
  }

  std::string bytes;
};

// A fresh folder that goes away with the object.
class TempFolder {
 public:
  TempFolder() {
    std::random_device random;
    do {
      path_ = fs::temp_directory_path() / ("watra-checkpoint-" + std::to_string(random()));
    } while (!fs::create_directory(path_));
  }
  ~TempFolder() {
    std::error_code ec;
    fs::remove_all(path_, ec);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  fs::path operator/(std::string_view name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

  fs::path put(std::string_view name, std::string_view bytes) const {
    File f = std::move(*File::open(path_ / name, File::Mode::write));
    if (!f.append(bytes)) std::abort();
    return path_ / name;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& e : fs::directory_iterator(path_)) out.push_back(e.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
  }

 private:
  fs::path path_;
};

}  // namespace watra::checkpoint::test
