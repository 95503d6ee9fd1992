#include "engine/hardware_profile.h"

#include <algorithm>

namespace watra::engine {
namespace {

// What one core reads, where nobody measured: 18 to 33 GB/s on the desktop and server cores of docs/measurements.md.
constexpr double kCoreReadGbS = 20;

}  // namespace

int Hardware::compute_threads() const {
  if (cpu.threads > 0) return cpu.threads;
  return std::max(1, cpu.p_cores > 0 ? cpu.p_cores : cpu.cores);
}

double Hardware::ram_gb_s(int threads) const {
  if (threads <= 0) return ram.gb_s;
  if (ram.by_threads.empty()) return std::min(ram.gb_s, threads * kCoreReadGbS);
  const Ram::ByThreads* below = nullptr;
  for (const auto& at : ram.by_threads) {
    if (at.threads == threads) return at.gb_s;
    if (at.threads > threads) {
      if (!below) return at.gb_s * threads / at.threads;
      const double share = static_cast<double>(threads - below->threads) / (at.threads - below->threads);
      return below->gb_s + share * (at.gb_s - below->gb_s);
    }
    below = &at;
  }
  return std::min(ram.gb_s, below->gb_s * threads / below->threads);
}

}  // namespace watra::engine
