// The truth: every operation as its definition reads, one number after the other, sums in double. Slow on purpose.
//
// Besides the table (`--isa ref`: whole models in plain arithmetic) the products and attention are here with results in
// double, for tests that need an error bound below float's own.
#pragma once

#include <cstdint>

#include "kernels/ops.h"

namespace watra::kernels::ref {

// y[m * R + r] = sum_i w[r,i] x[m,i]; x: M rows of D floats; w dequantized by tensor/.
void matmul(const TensorView& w, const float* x, int64_t m, double* y);

// out[m,h,e] of all rows and heads; partial is not touched.
void attention(const AttentionArgs& args, double* out);

double activation(GluKind kind, double x);

}  // namespace watra::kernels::ref
