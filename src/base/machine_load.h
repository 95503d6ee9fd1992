// What the system did to this process, as counters that only grow: take two and subtract. For saying afterwards why
// something was slow. Thread-safe, no errors: what the system does not tell is 0.
#pragma once

#include <cstdint>
#include <string>

namespace watra {

struct MachineLoad {
  double wall_s = 0;
  double cpu_s = 0;                   // of all our threads
  uint64_t major_faults = 0;          // pages that had to be read from a disk
  uint64_t involuntary_switches = 0;  // times that one of our threads was put aside for another
  double cpu_pressure_s = 0;          // time in which something on the machine waited for a processor
  double memory_pressure_s = 0;       // and for memory
  uint64_t disk_read_bytes = 0;       // that we had read from disks
};
MachineLoad machine_load();
MachineLoad operator-(const MachineLoad& later, const MachineLoad& earlier);

// Clock of the fastest processor now, and the highest it can have; 0 where the system does not tell.
struct ClockRate {
  double mhz = 0, max_mhz = 0;
};
ClockRate clock_rate();

// Whether two paths lie on the same disk; false when the system does not tell.
bool same_disk(const char* a, const char* b);

// Now, for people: "2026-11-26 00:40 UTC".
std::string utc_now();

}  // namespace watra
