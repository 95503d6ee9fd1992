#define WATRA_KERNELS_ISA avx2
#define WATRA_KERNELS_F8 "kernels/cpu/avx2/f8.h"
#include "kernels/cpu/avx2/products.h"

#include "kernels/act_format.h"
#include "kernels/cpu/avx2/matmul_q8.h"
#include "kernels/lanes/dot.h"

namespace watra::kernels::avx2 {
namespace {

using MatmulQ8 = void (*)(const MatmulArgs&, int64_t d, int64_t row_begin, int64_t row_end, MatmulScratch&);

// Null: no integer kernel, activations stay float.
MatmulQ8 matmul_q8_for(DType dtype) {
  switch (dtype) {
    case DType::q4_0:
      return matmul_q8<UnpackQ4_0>;
    case DType::q4_1:
      return matmul_q8<UnpackQ4_1>;
    case DType::q5_0:
      return matmul_q8<UnpackQ5_0>;
    case DType::q5_1:
      return matmul_q8<UnpackQ5_1>;
    case DType::q8_0:
      return matmul_q8<UnpackQ8_0>;
    case DType::q2_k:
      return matmul_q8<UnpackQ2K>;
    case DType::q3_k:
      return matmul_q8<UnpackQ3K>;
    case DType::q4_k:
      return matmul_q8<UnpackQ4K>;
    case DType::q5_k:
      return matmul_q8<UnpackQ5K>;
    case DType::q6_k:
      return matmul_q8<UnpackQ6K>;
    case DType::iq4_nl:
      return matmul_q8<UnpackIQ4NL>;
    case DType::iq4_xs:
      return matmul_q8<UnpackIQ4XS>;
    default:
      return nullptr;
  }
}

}  // namespace

ActFormat act_format(DType dtype, ActPrecision precision) {
  if (!matmul_q8_for(dtype)) return ActFormat::f32;
  return precision == ActPrecision::fast ? ActFormat::q8_b32 : ActFormat::q8x2_b32;
}

void convert_row(ActFormat format, const float* x, std::byte* out, int64_t d) {
  if (format == ActFormat::q8_b32)
    convert_act_row_q8(x, reinterpret_cast<ActBlock*>(out), nullptr, d);
  else if (format == ActFormat::q8x2_b32)
    convert_act_row_q8(x, reinterpret_cast<ActBlock*>(out), reinterpret_cast<ActBlock*>(out) + d / 32, d);
  else
    convert_act_row(format, x, out, d);
}

void matmul(const MatmulArgs& a, int64_t row_begin, int64_t row_end, std::byte* scratch) {
  if (a.x_format == ActFormat::q8_b32 || a.x_format == ActFormat::q8x2_b32)
    matmul_q8_for(a.w.dtype)(a, a.w.shape.cols(), row_begin, row_end, *reinterpret_cast<MatmulScratch*>(scratch));
  else
    matmul_float(a, row_begin, row_end, scratch);
}

int64_t matmul_scratch_bytes(int64_t d) {
  const int64_t floats = dot_scratch_bytes(d), integers = sizeof(MatmulScratch);
  return floats > integers ? floats : integers;
}

}  // namespace watra::kernels::avx2
