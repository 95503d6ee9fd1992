// The kernels of cpu/avxvnni where the processor has their dot product in EVEX form only (AVX-512 VNNI). All else is
// compiled as cpu/avxvnni is: with its registers, and without the masks and three-way logic that EVEX would bring.
#define WATRA_KERNELS_EVEX_DOT
#define WATRA_KERNELS_ISA avxvnni_evex
#define WATRA_KERNELS_F8 "kernels/cpu/avx2/f8.h"
#define WATRA_KERNELS_I8 "kernels/cpu/avx2/i8.h"
#include "kernels/q8/table.h"

#include "kernels/tables.h"

namespace watra::kernels {

const Kernels& avxvnni_evex_table() {
  static const Kernels table = avxvnni_evex::make_table("avxvnni", "dot products in EVEX form");
  return table;
}

}  // namespace watra::kernels
