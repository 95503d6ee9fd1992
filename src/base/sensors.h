// What the machine does at this moment, for a gauge: how busy its processors are and how warm. Thread-safe, no errors:
// what the system does not tell is absent.
#pragma once

#include <cstdint>
#include <optional>

namespace watra {

// Counters that only grow, of all processors and all programs: take two and divide the differences.
struct ProcessorTimes {
  uint64_t busy = 0, all = 0;
};
ProcessorTimes processor_times();
// 0..1; 0 where nothing was counted in between.
double busy_share(const ProcessorTimes& earlier, const ProcessorTimes& later);

std::optional<double> processor_celsius();

}  // namespace watra
