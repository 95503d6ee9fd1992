// An ISA's table: integer products where a dtype has one, float lanes for the rest and for everything else.
#pragma once

#include "kernels/lanes/attention.h"
#include "kernels/lanes/burst.h"
#include "kernels/lanes/dot_blocks.h"
#include "kernels/lanes/small_ops.h"
#include "kernels/ops.h"
#include "kernels/q8/convert.h"
#include "kernels/q8/product.h"
#include "tensor/quantize.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

inline void matmul(const MatmulArgs& a, int64_t row_begin, int64_t row_end, std::byte* scratch) {
  if (a.x_format != ActFormat::f32)
    product_for(a.w.dtype).run(a, row_begin, row_end, *reinterpret_cast<ProductScratch*>(scratch));
  else
    matmul_float(a, row_begin, row_end, scratch);
}

inline int64_t matmul_scratch_bytes(int64_t d) {
  const int64_t floats = dot_scratch_bytes(d), integers = sizeof(ProductScratch);
  return floats > integers ? floats : integers;
}

// Twelve chains: more than the latency of a dot product (four or five cycles) times two a cycle.
inline int64_t int8_burst(int64_t iterations) {
  I a = set_bytes(3), b = set_bytes(-5);
  I s0 = zero_words(), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0, s8 = s0, s9 = s0, s10 = s0,
    s11 = s0;
  for (int64_t n = 0; n < iterations; ++n) {
    for (I* s : {&s0, &s1, &s2, &s3, &s4, &s5, &s6, &s7, &s8, &s9, &s10, &s11}) {
      asm volatile("" : "+x"(a.v), "+x"(b.v));  // a new product each time
      *s = burst_step(*s, a, b);
    }
    asm volatile(""
                 : "+x"(s0.v), "+x"(s1.v), "+x"(s2.v), "+x"(s3.v), "+x"(s4.v), "+x"(s5.v), "+x"(s6.v), "+x"(s7.v),
                   "+x"(s8.v), "+x"(s9.v), "+x"(s10.v), "+x"(s11.v));
  }
  return iterations * 12 * kLanes * 4;
}

inline Kernels make_table(std::string_view isa, std::string_view form = "") {
  return {
      .isa = isa,
      .form = form,
      .act_format = [](DType w) { return product_for(w).acts; },
      .layout = [](DType w) { return product_for(w).run ? tensor::Layout::interleaved_16 : tensor::Layout::rows; },
      .act_bytes = act_bytes,
      .convert_act_row = convert_row,
      .supports = tensor::can_dequantize,
      .matmul = matmul,
      .matmul_scratch_bytes = matmul_scratch_bytes,
      .attention_scratch_bytes = attention_scratch_bytes,
      .attention_whole = attention_whole,
      .attention_partial = attention_partial,
      .attention_merge = attention_merge,
      .store_kv = store_kv,
      .store_recent = store_recent,
      .rms_norm = rms_norm,
      .layer_norm = layer_norm,
      .rope = rope,
      .glu = glu,
      .add = add,
      .scale = scale,
      .softcap = softcap,
      .int8_burst = int8_burst,
      .fma_burst = fma_burst,
      .read_burst = read_burst,
  };
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
