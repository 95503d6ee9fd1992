// AVX2 with AVX-VNNI (VEX form): the reference machine's table.
#define WATRA_KERNELS_ISA avxvnni
#define WATRA_KERNELS_F8 "kernels/cpu/avx2/f8.h"
#define WATRA_KERNELS_I8 "kernels/cpu/avx2/i8.h"
#include "kernels/q8/table.h"

#include "kernels/tables.h"

namespace watra::kernels {

const Kernels& avxvnni_table() {
  static const Kernels table = avxvnni::make_table("avxvnni");
  return table;
}

}  // namespace watra::kernels
