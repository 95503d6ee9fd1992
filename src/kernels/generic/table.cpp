// The generic table: the kernels of lanes/ over portable vectors of the compiler (SSE2 on x86-64). Activations stay
// float.
#define WATRA_KERNELS_ISA generic
#define WATRA_KERNELS_F8 "kernels/lanes/f8_portable.h"
#include "kernels/act_format.h"
#include "kernels/lanes/attention.h"
#include "kernels/lanes/burst.h"
#include "kernels/lanes/dot_blocks.h"
#include "kernels/lanes/small_ops.h"
#include "kernels/tables.h"

namespace watra::kernels {
namespace {

int64_t int8_burst(int64_t iterations) {
  constexpr int kElements = 1024;
  alignas(64) int8_t a[kElements], b[kElements];
  for (int i = 0; i < kElements; ++i) a[i] = static_cast<int8_t>(i), b[i] = static_cast<int8_t>(3 * i);
  for (int64_t n = 0; n < iterations; ++n) {
    int32_t sum = 0;
    for (int i = 0; i < kElements; ++i) sum += static_cast<int16_t>(a[i]) * static_cast<int16_t>(b[i]);
    asm volatile("" : : "r"(sum), "r"(a), "r"(b) : "memory");
  }
  return iterations * kElements;
}

}  // namespace

const Kernels& generic_table() {
  static const Kernels table = {
      .isa = "generic",
      .act_format = [](DType) { return ActFormat::f32; },
      .layout = [](DType) { return tensor::Layout::rows; },
      .act_bytes = act_bytes,
      .convert_act_row = convert_act_row,
      .supports = tensor::can_dequantize,
      .matmul = generic::matmul_float,
      .matmul_scratch_bytes = generic::dot_scratch_bytes,
      .attention_scratch_bytes = generic::attention_scratch_bytes,
      .attention_whole = generic::attention_whole,
      .attention_partial = generic::attention_partial,
      .attention_merge = generic::attention_merge,
      .store_kv = generic::store_kv,
      .store_recent = generic::store_recent,
      .rms_norm = generic::rms_norm,
      .layer_norm = generic::layer_norm,
      .rope = generic::rope,
      .glu = generic::glu,
      .add = generic::add,
      .scale = generic::scale,
      .softcap = generic::softcap,
      .int8_burst = int8_burst,
      .fma_burst = generic::fma_burst,
      .read_burst = generic::read_burst,
  };
  return table;
}

}  // namespace watra::kernels
