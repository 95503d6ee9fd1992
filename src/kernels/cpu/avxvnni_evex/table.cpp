// The kernels of cpu/avxvnni where the processor has the instructions in EVEX form only (AVX-512 VNNI).
#define WATRA_KERNELS_ISA avxvnni_evex
#define WATRA_KERNELS_F8 "kernels/cpu/avx2/f8.h"
#define WATRA_KERNELS_I8 "kernels/cpu/avx2/i8.h"
#include "kernels/q8/table.h"

#include "kernels/tables.h"

namespace watra::kernels {

const Kernels& avxvnni_evex_table() {
  static const Kernels table = avxvnni_evex::make_table("avxvnni");
  return table;
}

}  // namespace watra::kernels
