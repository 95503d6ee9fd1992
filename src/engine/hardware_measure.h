// Measures this machine into a Hardware (hardware_profile.h) and keeps the result.
//
// Takes 10 to 50 seconds by number of cores, formats and disks; uses all compute threads and up to 640 MiB. Nothing
// else should run beside it. The cached file is $WATRA_HOME/hardware.json; its machine_id names what was measured
// (processor, cores, memory, disks, kernels, program version), so that another machine or program measures anew.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "engine/hardware_profile.h"
#include "kernels/ops.h"

namespace watra::engine {

struct MeasureHardwareOptions {
  int threads = 0;        // 0 = as many as cpus, or default_thread_count()
  std::vector<int> cpus;  // each thread bound to one of these
  std::vector<fs::path> disks;
  std::string version;                                  // of the program
  std::function<void(std::string_view, int, int)> now;  // what is measured, step, of how many
  std::function<bool()> cancelled;                      // asked about every second
};

// Errors: "memory.refused"; "hardware.cancelled". A disk that cannot be measured is left out, the reason stands in
// `about`.
Result<Hardware> measure_hardware(const kernels::Kernels& kernels, const MeasureHardwareOptions& options);

// The disk behind one folder. Errors: "file.*", "hardware.no_direct_reads".
Result<Hardware::Disk> measure_disk(const fs::path& folder);

// What the machine is called, without measuring anything.
std::string machine_id(const kernels::Kernels& kernels, const MeasureHardwareOptions& options);

fs::path hardware_cache_path(const fs::path& home);
Status save_hardware(const fs::path& home, const Hardware& hardware);
// The cached measurement if it is of this machine and program; RAM is what can be had now. Nothing otherwise.
std::optional<Hardware> cached_hardware(const fs::path& home, const std::string& machine_id);

}  // namespace watra::engine
