// What this processor is and can do, asked once.
//
// A feature is true only when the processor has it *and* the operating system saves the registers it needs (XCR0), so a
// true flag means that the instructions may be executed. Thread-safe, no errors: what is unknown reads as false, zero
// or empty.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace watra {

struct CpuFeatures {
  bool avx2 = false;  // with AVX and its registers
  bool fma = false;
  bool f16c = false;
  bool avx_vnni = false;
  bool avx512 = false;  // F, BW, DQ and VL together: what our kernels mean by AVX-512
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool amx_int8 = false;  // tiles and their integer products; this process was given their registers
};

// The largest cache that the processor says it has; 0 where it does not say.
uint64_t largest_cache_bytes();

struct CpuInfo {
  std::string model_name;  // "12th Gen Intel(R) Core(TM) i7-12700KF"
  CpuFeatures features;
  int n_logical = 0;   // online logical processors
  int n_physical = 0;  // cores behind them
  // Logical processors of the fast and of the efficient cores; both empty where all cores are of one kind or the system
  // does not tell.
  std::vector<int> performance_cpus, efficiency_cpus;

  std::string features_text() const;  // "avx2 fma f16c avx_vnni"
};

const CpuInfo& cpu_info();

// Logical processors that this thread, and so by default the whole process, may use; all online ones where the system
// does not say.
std::vector<int> allowed_cpus();

// Physical cores behind these logical processors; each counts as one where the system does not tell.
int count_cores(const std::vector<int>& cpus);

// "0-3,8,10-11" -> {0, 1, 2, 3, 8, 10, 11}; what does not parse is left out.
std::vector<int> parse_cpu_list(std::string_view text);

}  // namespace watra
