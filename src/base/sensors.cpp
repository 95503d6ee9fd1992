#include "base/sensors.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "base/file.h"

namespace watra {
namespace {

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// A processor's own sensor; the first one that says something sensible.
std::optional<double> celsius_of(const fs::path& folder) {
  std::error_code ec;
  std::optional<double> warmest;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("temp") || !name.ends_with("_input")) continue;
    const double celsius = std::atof(first_line(entry.path()).c_str()) / 1000;
    if (celsius > 1 && celsius < 150) warmest = std::max(warmest.value_or(celsius), celsius);
  }
  return warmest;
}

}  // namespace

ProcessorTimes processor_times() {
  // cpu user nice system idle iowait irq softirq steal
  std::ifstream in("/proc/stat");
  std::string word;
  ProcessorTimes t;
  if (!(in >> word) || word != "cpu") return t;
  uint64_t value = 0;
  for (int i = 0; i < 8 && in >> value; ++i) {
    t.all += value;
    if (i != 3 && i != 4) t.busy += value;
  }
  return t;
}

double busy_share(const ProcessorTimes& earlier, const ProcessorTimes& later) {
  if (later.all <= earlier.all || later.busy < earlier.busy) return 0;
  return std::min(1.0, static_cast<double>(later.busy - earlier.busy) / static_cast<double>(later.all - earlier.all));
}

std::optional<double> processor_celsius() {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator("/sys/class/hwmon", ec)) {
    const std::string name = first_line(entry.path() / "name");
    if (name == "coretemp" || name == "k10temp" || name == "zenpower" || name == "cpu_thermal")
      if (const auto celsius = celsius_of(entry.path())) return celsius;
  }
  return std::nullopt;
}

}  // namespace watra
