// What this machine can do, measured: the peaks that speeds are held against.
#pragma once

#include <vector>

#include "base/file.h"
#include "base/thread_team.h"
#include "kernels/ops.h"

namespace watra::engine {

// Memory that can be had now, less what the system and other programs will want: a twentieth of all, at least 512 MiB.
uint64_t usable_memory_bytes();

// At least so many bytes, and so many times what the processor's largest cache holds: what is read from them comes from
// memory (some servers have caches of hundreds of megabytes).
uint64_t beyond_caches(uint64_t least_bytes, uint64_t times);

struct MeasureOptions {
  double seconds = 0.3;  // of measuring, in several short rounds
  // What counts of them: the best, a peak; or the median, what is usual here and now.
  bool usual = false;
  uint64_t buffer_bytes = beyond_caches(512u << 20, 4);
  bool as_in_file = false;  // of products: rows as a file has them, which kernels may want to put in order on the way
};

// Bytes per second (in 1e9) that the team reads from memory, in one pass over a buffer after the other.
Result<double> measure_read_gb_s(ThreadTeam& team, const MeasureOptions& options = {});

// 8-bit operations per second (in 1e9) of all threads, by the ISA's own instruction. A multiply-accumulate is two
// operations, as processors' data sheets count.
double measure_int8_gop_s(ThreadTeam& team, const kernels::Kernels& kernels, double seconds = 0.2);

// Bytes of weights per second (in 1e9) that the team multiplies with m rows of activations: one large random matrix in
// the layout that these kernels like best, or as_in_file. Errors: "memory.refused", "kernels.unsupported_dtype".
Result<double> measure_kernel_gb_s(ThreadTeam& team, const kernels::Kernels& kernels, tensor::DType dtype, int64_t m,
                                   const MeasureOptions& options = {.seconds = 0.1,
                                                                    .buffer_bytes = beyond_caches(128u << 20, 2)});

// Floating-point operations per second (in 1e9) of all threads; a multiply-add is two.
double measure_fp32_gflop_s(ThreadTeam& team, const kernels::Kernels& kernels, double seconds = 0.1);

// Bytes per second (in 1e9) that direct reads get from the disk behind a folder: of 1 MiB each, 32 in flight. Reads the
// largest file of at least 64 MiB in it, or else a temporary one of 256 MiB that it writes there and removes.
// Errors: "file.*"; "hardware.no_direct_reads" where the file system has none.
Result<double> measure_direct_read_gb_s(const fs::path& folder, double seconds = 1);

// The same as the disk tier has it (WeightStream): fewer in flight, the processor reads what has arrived and, where the
// disk is virtual, lets go of it (base/cache_lines.h).
Result<double> measure_streamed_read_gb_s(const fs::path& folder, double seconds = 1);

struct DirectReadRate {
  double gb_s = 0;
  uint64_t read_bytes = 0;  // bytes of each read
  int depth = 0;            // reads in flight
};
// The same by size of a read and reads in flight, in the order measured; `seconds` for each combination.
Result<std::vector<DirectReadRate>> sweep_direct_reads(const fs::path& folder, double seconds = 0.25);

}  // namespace watra::engine
