// Which product kernel a dtype has on AVX2: 8-bit activations where there is one, float lanes for the rest.
#pragma once

#include "kernels/ops.h"

namespace watra::kernels::avx2 {

ActFormat act_format(DType dtype, ActPrecision precision);
void convert_row(ActFormat format, const float* x, std::byte* out, int64_t d);
void matmul(const MatmulArgs& args, int64_t row_begin, int64_t row_end, std::byte* scratch);
int64_t matmul_scratch_bytes(int64_t d);

}  // namespace watra::kernels::avx2
