// convert: a Hugging Face model folder becomes one GGUF file.
//
// Reads config.json, the tokenizer files and the safetensors (one file or shards; F32, F16, BF16) of the dense families
// Llama, Mistral, Qwen2, Qwen3, Gemma 2, Gemma 3 (its text part) and Phi-3, and writes what llama.cpp's converter would
// write: the same tensor names, metadata keys, row orders. Tensors go through a few megabytes of memory one after
// another. The file appears under its name only when it is whole; it is then reopened and compared with what it should
// hold. A folder that would not be converted exactly is refused with the reason. convert/ holds the parts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace watra::workshop {

// The dtype of matrices. Vectors, norms and generated tensors are always F32; with q8_0, matrices whose rows are not
// whole blocks of 32 become F16. `automatic` keeps 16 bits: BF16 if the first matrix of the source is BF16, otherwise
// F16.
enum class OutType : uint8_t { automatic, f32, f16, bf16, q8_0 };

std::optional<OutType> out_type_from_name(std::string_view name);  // "auto", "f32", "f16", "bf16", "q8_0"
std::string_view out_type_name(OutType type);

struct ConvertProgress {
  uint64_t done_bytes;  // of the file to be written
  uint64_t total_bytes;
};

struct ConvertOptions {
  fs::path source;  // folder with config.json
  fs::path target;  // .gguf; replaced if it exists
  OutType out_type = OutType::automatic;
  std::string name;                                      // general.name; empty = from the folder's name
  std::string pre_tokenizer;                             // tokenizer.ggml.pre; empty = recognized from tokenizer.json
  int threads = 0;                                       // that convert values; 0 = one per physical core
  std::function<void(const ConvertProgress&)> progress;  // called from the calling thread; may be empty
};

struct ConvertReport {
  fs::path path;
  std::string architecture;               // as GGUF calls it
  OutType out_type = OutType::automatic;  // what was written, never automatic
  uint64_t bytes = 0;
  uint64_t n_tensors = 0;
  uint64_t n_params = 0;
  uint64_t n_rows_checked = 0;  // rows read back and compared bit by bit
  double seconds = 0;
  std::vector<std::string> warnings;
};

// Blocking; thread-safe for different targets.
Result<ConvertReport> convert(const ConvertOptions& options);

}  // namespace watra::workshop
