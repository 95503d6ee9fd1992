// AVX-512 with VNNI: products in 512 bits, the rest in 256. One name whether or not the processor multiplies pairs of
// bfloat16 as well (cpu/avx512_bf16).
#define WATRA_KERNELS_ISA avx512
#define WATRA_KERNELS_F8 "kernels/cpu/avx2/f8.h"
#define WATRA_KERNELS_WIDE "kernels/cpu/avx512/wide.h"
#define WATRA_KERNELS_I8 "kernels/cpu/avx512/i8.h"
#include "kernels/q8/table.h"

#include "kernels/tables.h"

namespace watra::kernels {

const Kernels& avx512_table() {
  static const Kernels table = avx512::make_table("avx512");
  return table;
}

}  // namespace watra::kernels
