// llama.cpp's quantizers as a filter, in the manner of tensor_peer.cpp:
//
//   llama_quantize TYPE IN OUT [IMPORTANCE]     float32 -> raw blocks
//
// Built from its ggml-quants.c alone (CMakeLists.txt); the few functions that this file calls elsewhere are below.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "ggml-quants.h"
#include "tensor/dtype.h"

extern "C" {
void ggml_abort(const char* file, int line, const char* format, ...) {
  std::fprintf(stderr, "%s:%d: ", file, line);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::abort();
}
const char* ggml_type_name(ggml_type) { return "type"; }
size_t ggml_row_size(ggml_type type, int64_t n) {
  return watra::tensor::row_bytes(*watra::tensor::dtype_from_gguf(static_cast<uint32_t>(type)), n);
}
size_t ggml_type_size(ggml_type type) {
  return watra::tensor::traits(*watra::tensor::dtype_from_gguf(static_cast<uint32_t>(type))).block_bytes;
}
}

namespace {

std::vector<float> read_floats(const char* path) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const auto* begin = reinterpret_cast<const float*>(bytes.data());
  return {begin, begin + bytes.size() / sizeof(float)};
}

using QuantizeFn = size_t (*)(const float*, void*, int64_t, int64_t, const float*);
const std::map<std::string, QuantizeFn> kFunctions = {
    {"Q4_0", quantize_q4_0}, {"Q4_1", quantize_q4_1}, {"Q5_0", quantize_q5_0},     {"Q5_1", quantize_q5_1},
    {"Q8_0", quantize_q8_0}, {"Q2_K", quantize_q2_K}, {"Q3_K", quantize_q3_K},     {"Q4_K", quantize_q4_K},
    {"Q5_K", quantize_q5_K}, {"Q6_K", quantize_q6_K}, {"IQ4_NL", quantize_iq4_nl}, {"IQ4_XS", quantize_iq4_xs},
};

}  // namespace

int main(int argc, char** argv) {
  const auto found = argc < 4 ? kFunctions.end() : kFunctions.find(argv[1]);
  if (found == kFunctions.end()) return 2;
  const std::vector<float> x = read_floats(argv[2]);
  const std::vector<float> importance = argc > 4 ? read_floats(argv[4]) : std::vector<float>{};
  const size_t n_cols = importance.empty() ? x.size() : importance.size();
  const size_t n_rows = x.size() / n_cols;
  const auto dtype = *watra::tensor::dtype_from_name(argv[1]);
  std::vector<char> blocks(n_rows * watra::tensor::row_bytes(dtype, static_cast<int64_t>(n_cols)));
  found->second(x.data(), blocks.data(), static_cast<int64_t>(n_rows), static_cast<int64_t>(n_cols),
                importance.empty() ? nullptr : importance.data());
  std::ofstream out(argv[3], std::ios::binary);
  out.write(blocks.data(), static_cast<std::streamsize>(blocks.size()));
  return out.good() ? 0 : 1;
}
