// What the dump programs of this folder share: tensors as JSON, text as hex, the exit.
#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace watra::peer {

inline std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

inline uint64_t fnv1a(std::span<const std::byte> bytes) {
  uint64_t h = 0xcbf29ce484222325;
  for (const std::byte b : bytes) h = (h ^ static_cast<uint64_t>(b)) * 0x100000001b3;
  return h;
}

// Works on a Checkpoint and on a Safetensors.
template <class Model>
Result<nlohmann::json> tensors_json(const Model& model) {
  nlohmann::json out = nlohmann::json::array();
  for (const checkpoint::TensorInfo& t : model.tensors()) {
    std::vector<std::byte> bytes(t.size_bytes);
    WATRA_TRY(model.read(t, bytes));
    nlohmann::json shape = nlohmann::json::array();
    for (int i = 0; i < t.shape.rank(); ++i) shape.push_back(t.shape[i]);
    out.push_back({{"name", t.name},
                   {"dtype", tensor::traits(t.dtype).gguf_name},
                   {"shape", shape},
                   {"file", t.file_index},
                   {"offset", t.offset_bytes},
                   {"bytes", t.size_bytes},
                   {"fnv1a", fmt::format("{:016x}", fnv1a(bytes))}});
  }
  return out;
}

inline int print_result(const Result<nlohmann::json>& result) {
  if (!result) {
    std::puts(nlohmann::json{{"error", result.error().code}, {"message", result.error().message}}.dump().c_str());
    return 1;
  }
  std::puts(result->dump().c_str());
  return 0;
}

}  // namespace watra::peer
