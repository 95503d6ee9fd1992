// What this machine can do, measured: the peaks that speeds are held against.
#pragma once

#include "base/thread_team.h"
#include "kernels/ops.h"

namespace watra::engine {

struct MeasureOptions {
  double seconds = 0.3;                // of measuring; the best of several short rounds counts
  uint64_t buffer_bytes = 512u << 20;  // far larger than any cache
};

// Bytes per second (in 1e9) that the team reads from memory, in one pass over a buffer after the other.
Result<double> measure_read_gb_s(ThreadTeam& team, const MeasureOptions& options = {});

// 8-bit multiply-accumulates per second (in 1e9) of all threads, by the ISA's own instruction.
double measure_int8_gop_s(ThreadTeam& team, const kernels::Kernels& kernels, double seconds = 0.2);

}  // namespace watra::engine
