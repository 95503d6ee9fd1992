// The truth: every operation as its definition reads, sums in double. Slow on purpose.
//
// Besides the tables (`--isa ref`: whole models in plain arithmetic; `--isa ref_int8`: the same, with activations
// rounded to 8 bits where the integer kernels round them) the products and attention are here with results in double,
// for tests that need an error bound below float's own.
#pragma once

#include <cstdint>

#include "kernels/ops.h"

namespace watra::kernels::ref {

// y[m * R + r] = sum_i w[r,i] x[m,i]; x: M rows of D floats; w dequantized by tensor/.
void matmul(const TensorView& w, const float* x, int64_t m, double* y);

// out[h,e] of row m, all heads; needs no blocks and no partial.
void attention(const AttentionArgs& args, int64_t m, double* out);

// The table's entries (attention.cpp).
void attention_whole(const AttentionArgs& args, int64_t unit_begin, int64_t unit_end, std::byte* scratch);
void attention_partial(const AttentionArgs& args, int64_t unit_begin, int64_t unit_end, std::byte* scratch);
void attention_merge(const AttentionArgs& args, int64_t unit_begin, int64_t unit_end);
void store_kv(KvType type, const float* src, std::byte* dst, int64_t n);
void store_recent(KvType type, const float* src, std::byte* dst, int64_t n);

double activation(GluKind kind, double x);

}  // namespace watra::kernels::ref
