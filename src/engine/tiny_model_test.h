// A tiny model file for tests: right in every shape, random weights, no vocabulary.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "tensor/dtype.h"

namespace watra::engine {

struct TinyModel {
  std::string architecture = "llama";  // or "phi3": q, k, v in one matrix, gate and up in one
  tensor::DType dtype = tensor::DType::q4_k;
  int64_t n_layers = 2, d_model = 256, d_ff = 512, n_heads = 4, n_kv_heads = 2, d_head = 64, n_vocab = 100;
  bool tied = true;
  uint64_t max_split_bytes = 0;  // 0 = one file
};

// Writes FOLDER/tiny.gguf, or its splits; returns the path to open. Fails the running test when it cannot.
fs::path write_tiny_model(const fs::path& folder, const TinyModel& m);

// A folder of its own for a test, removed at the end.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace watra::engine
