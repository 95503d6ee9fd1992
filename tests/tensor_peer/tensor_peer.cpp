// The module's row functions as a filter, for comparisons with other implementations (check_peer.py):
//
//   tensor_peer dequantize TYPE IN OUT                raw blocks -> float32
//   tensor_peer quantize TYPE IN OUT [IMPORTANCE]     float32 -> raw blocks; IMPORTANCE: float32, one row's worth
//
// A row has as many elements as IMPORTANCE, or all of IN. Exit status 2 means: this type has no such direction.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tensor/quantize.h"

namespace {

using watra::tensor::DType;

std::vector<char> read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<float> read_floats(const std::string& path) {
  const std::vector<char> bytes = read(path);
  const auto* begin = reinterpret_cast<const float*>(bytes.data());
  return {begin, begin + bytes.size() / sizeof(float)};
}

bool write(const std::string& path, const void* data, size_t bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  return out.good();
}

int dequantize(DType dtype, const std::string& in, const std::string& out) {
  if (!watra::tensor::can_dequantize(dtype)) return 2;
  const std::vector<char> blocks = read(in);
  const watra::tensor::DTypeTraits& t = watra::tensor::traits(dtype);
  const size_t n = blocks.size() / t.block_bytes * t.block_elements;
  std::vector<float> y(n);
  watra::tensor::dequantize_row(dtype, blocks.data(), y.data(), static_cast<int64_t>(n));
  return write(out, y.data(), n * sizeof(float)) ? 0 : 1;
}

int quantize(DType dtype, const std::string& in, const std::string& out, const std::string& importance_path) {
  if (!watra::tensor::can_quantize(dtype)) return 2;
  const std::vector<float> x = read_floats(in);
  const std::vector<float> importance = importance_path.empty() ? std::vector<float>{} : read_floats(importance_path);
  const size_t n_cols = importance.empty() ? x.size() : importance.size();
  const uint64_t row_bytes = watra::tensor::row_bytes(dtype, static_cast<int64_t>(n_cols));
  std::vector<char> blocks(x.size() / n_cols * row_bytes);
  for (size_t r = 0; r < x.size() / n_cols; ++r) {
    watra::tensor::quantize_row(dtype, x.data() + r * n_cols, blocks.data() + r * row_bytes,
                                static_cast<int64_t>(n_cols), importance.empty() ? nullptr : importance.data());
  }
  return write(out, blocks.data(), blocks.size()) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: tensor_peer dequantize|quantize TYPE IN OUT [IMPORTANCE]\n");
    return 1;
  }
  const auto dtype = watra::tensor::dtype_from_name(argv[2]);
  if (!dtype) return 2;
  if (std::string(argv[1]) == "dequantize") return dequantize(*dtype, argv[3], argv[4]);
  return quantize(*dtype, argv[3], argv[4], argc > 5 ? argv[5] : "");
}
