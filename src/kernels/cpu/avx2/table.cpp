// The AVX2 table: AVX2, FMA and F16C.
#define WATRA_KERNELS_ISA avx2
#define WATRA_KERNELS_F8 "kernels/cpu/avx2/f8.h"
#define WATRA_KERNELS_I8 "kernels/cpu/avx2/i8.h"
#include "kernels/q8/table.h"

#include "kernels/tables.h"

namespace watra::kernels {

const Kernels& avx2_table() {
  static const Kernels table = avx2::make_table("avx2");
  return table;
}

}  // namespace watra::kernels
