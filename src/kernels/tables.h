// The tables that exist, one per ISA; dispatch.cpp alone decides which of them this machine may use.
//
// A new ISA: a folder cpu/<isa>/ with its own compile flags (CMakeLists.txt), a table here, a line in dispatch.cpp.
// Where two ISAs differ in one kernel only, the second's table starts as a copy of the first's.
#pragma once

#include "kernels/ops.h"

namespace watra::kernels {

const Kernels& ref_table();      // scalar, sums in double: the truth
const Kernels& generic_table();  // portable C++
#if defined(__x86_64__)
const Kernels& avx2_table();  // AVX2, FMA, F16C
#endif

}  // namespace watra::kernels
