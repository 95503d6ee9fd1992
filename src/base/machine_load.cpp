#include "base/machine_load.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include "base/cpu.h"

namespace watra {
namespace {

// Linux: "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345" in microseconds.
double pressure_seconds(const char* path) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const size_t at = line.find("total=");
    if (line.starts_with("some") && at != std::string::npos) return std::atof(line.c_str() + at + 6) * 1e-6;
  }
  return 0;
}

uint64_t disk_read_bytes() {
  std::ifstream file("/proc/self/io");
  std::string key;
  uint64_t value = 0;
  while (file >> key >> value)
    if (key == "read_bytes:") return value;
  return 0;
}

double number_in(const std::string& path) {
  std::ifstream file(path);
  double value = 0;
  file >> value;
  return file ? value : 0;
}

double seconds(const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); }

}  // namespace

MachineLoad machine_load() {
  MachineLoad load;
  load.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    load.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    load.major_faults = static_cast<uint64_t>(usage.ru_majflt);
    load.involuntary_switches = static_cast<uint64_t>(usage.ru_nivcsw);
  }
  load.cpu_pressure_s = pressure_seconds("/proc/pressure/cpu");
  load.memory_pressure_s = pressure_seconds("/proc/pressure/memory");
  load.disk_read_bytes = disk_read_bytes();
  return load;
}

MachineLoad operator-(const MachineLoad& later, const MachineLoad& earlier) {
  const auto grown = [](auto a, auto b) { return a > b ? a - b : decltype(a - b){}; };
  return {.wall_s = grown(later.wall_s, earlier.wall_s),
          .cpu_s = grown(later.cpu_s, earlier.cpu_s),
          .major_faults = grown(later.major_faults, earlier.major_faults),
          .involuntary_switches = grown(later.involuntary_switches, earlier.involuntary_switches),
          .cpu_pressure_s = grown(later.cpu_pressure_s, earlier.cpu_pressure_s),
          .memory_pressure_s = grown(later.memory_pressure_s, earlier.memory_pressure_s),
          .disk_read_bytes = grown(later.disk_read_bytes, earlier.disk_read_bytes)};
}

ClockRate clock_rate() {
  ClockRate rate;
  for (int cpu : allowed_cpus()) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/cpufreq/";
    rate.mhz = std::max(rate.mhz, number_in(folder + "scaling_cur_freq") / 1000);
    rate.max_mhz = std::max(rate.max_mhz, number_in(folder + "cpuinfo_max_freq") / 1000);
  }
  return rate;
}

bool same_disk(const char* a, const char* b) {
  struct stat x {
  }, y{};
  return ::stat(a, &x) == 0 && ::stat(b, &y) == 0 && x.st_dev == y.st_dev;
}

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc));
}

}  // namespace watra
