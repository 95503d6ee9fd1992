// The tables that exist, one per ISA; dispatch.cpp alone decides which of them this machine may use.
//
// A new ISA: a folder cpu/<isa>/ with its own compile flags (CMakeLists.txt), a table here, a line in dispatch.cpp.
// The text of the kernels is shared: lanes/ over F8, q8/ over I and F, made into a table by q8/table.h.
#pragma once

#include "kernels/ops.h"

namespace watra::kernels {

const Kernels& ref_table();       // scalar, sums in double: the truth
const Kernels& ref_int8_table();  // the same of activations rounded as the integer kernels round them
const Kernels& generic_table();   // portable C++
#if defined(__x86_64__)
const Kernels& avx2_table();          // AVX2, FMA, F16C
const Kernels& avxvnni_table();       // and AVX-VNNI: 256-bit dot products of bytes, VEX form
const Kernels& avxvnni_evex_table();  // the same kernels in EVEX form, for processors with AVX-512 VNNI only
const Kernels& avx512_table();        // AVX-512 F, BW, DQ, VL and VNNI
const Kernels& avx512_bf16_table();   // and BF16: the same but for the products of bfloat16 weights
const Kernels& amx_table();           // and AMX: the same but for products of quantized weights with many tokens
#endif

}  // namespace watra::kernels
