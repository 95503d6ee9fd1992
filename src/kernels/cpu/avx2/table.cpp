// The AVX2 table: AVX2, FMA and F16C. The kernels of lanes/ over 256-bit registers, and products of 8-bit integers.
#define WATRA_KERNELS_ISA avx2
#define WATRA_KERNELS_F8 "kernels/cpu/avx2/f8.h"
#include "kernels/act_format.h"
#include "kernels/cpu/avx2/f8.h"
#include "kernels/cpu/avx2/matmul_q8.h"
#include "kernels/lanes/attention.h"
#include "kernels/lanes/dot.h"
#include "kernels/lanes/small_ops.h"
#include "kernels/tables.h"

namespace watra::kernels {
namespace {

using MatmulQ8 = void (*)(const MatmulArgs&, int64_t d, int64_t row_begin, int64_t row_end, avx2::MatmulScratch&);

// Null: no integer kernel, activations stay float.
MatmulQ8 matmul_q8_for(DType dtype) {
  switch (dtype) {
    case DType::q4_0:
      return avx2::matmul_q8<avx2::UnpackQ4_0>;
    case DType::q4_1:
      return avx2::matmul_q8<avx2::UnpackQ4_1>;
    case DType::q5_0:
      return avx2::matmul_q8<avx2::UnpackQ5_0>;
    case DType::q5_1:
      return avx2::matmul_q8<avx2::UnpackQ5_1>;
    case DType::q8_0:
      return avx2::matmul_q8<avx2::UnpackQ8_0>;
    case DType::q2_k:
      return avx2::matmul_q8<avx2::UnpackQ2K>;
    case DType::q3_k:
      return avx2::matmul_q8<avx2::UnpackQ3K>;
    case DType::q4_k:
      return avx2::matmul_q8<avx2::UnpackQ4K>;
    case DType::q5_k:
      return avx2::matmul_q8<avx2::UnpackQ5K>;
    case DType::q6_k:
      return avx2::matmul_q8<avx2::UnpackQ6K>;
    case DType::iq4_nl:
      return avx2::matmul_q8<avx2::UnpackIQ4NL>;
    case DType::iq4_xs:
      return avx2::matmul_q8<avx2::UnpackIQ4XS>;
    default:
      return nullptr;
  }
}

ActFormat act_format(DType dtype) { return matmul_q8_for(dtype) ? ActFormat::q8_b32 : ActFormat::f32; }

void convert_row(ActFormat format, const float* x, std::byte* out, int64_t d) {
  if (format == ActFormat::q8_b32)
    avx2::convert_act_row_q8(x, reinterpret_cast<ActBlock*>(out), d);
  else
    convert_act_row(format, x, out, d);
}

void matmul(const MatmulArgs& a, int64_t row_begin, int64_t row_end, std::byte* scratch) {
  if (const MatmulQ8 q8 = matmul_q8_for(a.w.dtype))
    q8(a, a.w.shape.cols(), row_begin, row_end, *reinterpret_cast<avx2::MatmulScratch*>(scratch));
  else
    avx2::matmul_float(a, row_begin, row_end, scratch);
}

int64_t matmul_scratch_bytes(int64_t d) {
  const int64_t floats = avx2::dot_scratch_bytes(d), integers = sizeof(avx2::MatmulScratch);
  return floats > integers ? floats : integers;
}

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
      .act_format = act_format,
      .act_row_bytes = act_row_bytes,
      .convert_act_row = convert_row,
      .supports = tensor::can_dequantize,
      .matmul = matmul,
      .matmul_scratch_bytes = matmul_scratch_bytes,
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
  };
  return table;
}

}  // namespace watra::kernels
