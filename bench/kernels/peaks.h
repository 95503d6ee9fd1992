// What the machine can do at most, measured beside the kernels in the same run: a rate means little without it.
#pragma once

#include "base/thread_team.h"
#include "kernels/ops.h"

namespace watra::bench {

// Teams by size, made once. Benchmarks run one after the other.
ThreadTeam& team(int n_threads);

struct Peaks {
  double read_gb_s;         // from memory, all threads
  double cached_gb_s;       // from 16 KiB in each thread's first-level cache, all threads
  double int8_gmac_s;       // 8-bit multiply-accumulates by the ISA's own instruction, all threads
  double fp32_fma_gflop_s;  // two operations each, by the ISA's own instruction, all threads
};

// Machines change their speed by the minute: measured anew when the last measurement for the same team and ISA is older
// than ten seconds.
const Peaks& peaks(int n_threads, const kernels::Kernels& kernels);

}  // namespace watra::bench
