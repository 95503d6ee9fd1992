// The AVX2 table: AVX2, FMA and F16C. The kernels of lanes/ over 256-bit registers, and products of 8-bit integers.
#define WATRA_KERNELS_ISA avx2
#define WATRA_KERNELS_F8 "kernels/cpu/avx2/f8.h"
#include "kernels/act_format.h"
#include "kernels/cpu/avx2/products.h"
#include "kernels/lanes/attention.h"
#include "kernels/lanes/burst.h"
#include "kernels/lanes/small_ops.h"
#include "kernels/tables.h"
#include "tensor/quantize.h"

namespace watra::kernels {
namespace {

// vpmaddubsw, vpmaddwd, vpaddd: products of any two bytes, summed in 32 bits.
int64_t int8_burst(int64_t iterations) {
  constexpr int kChains = 8;
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums[kChains], a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-5);
  for (auto& s : sums) s = _mm256_setzero_si256();
  for (int64_t n = 0; n < iterations; ++n) {
    for (auto& s : sums) {
      asm volatile("" : "+x"(a), "+x"(b));  // a new product each time
      s = _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
    }
  }
  for (auto& s : sums) asm volatile("" : : "x"(s));
  return iterations * kChains * 32;
}

}  // namespace

const Kernels& avx2_table() {
  static const Kernels table = {
      .isa = "avx2",
      .act_format = avx2::act_format,
      .act_row_bytes = act_row_bytes,
      .convert_act_row = avx2::convert_row,
      .supports = tensor::can_dequantize,
      .matmul = avx2::matmul,
      .matmul_scratch_bytes = avx2::matmul_scratch_bytes,
      .attention_scratch_bytes = avx2::attention_scratch_bytes,
      .attention_whole = avx2::attention_whole,
      .attention_partial = avx2::attention_partial,
      .attention_merge = avx2::attention_merge,
      .store_kv = avx2::store_kv,
      .rms_norm = avx2::rms_norm,
      .rope = avx2::rope,
      .glu = avx2::glu,
      .add = avx2::add,
      .scale = avx2::scale,
      .softcap = avx2::softcap,
      .int8_burst = int8_burst,
      .fma_burst = avx2::fma_burst,
  };
  return table;
}

}  // namespace watra::kernels
