#include "base/cpu.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <set>
#include <thread>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace watra {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream f(path);
  std::string line;
  std::getline(f, line);
  return line;
}

#if defined(__x86_64__)

struct Registers {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};
Registers cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r;
  if (!__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d)) return {};
  return r;
}
bool bit(uint32_t word, int i) { return (word >> i) & 1; }

// Which register files the operating system saves and restores.
uint64_t enabled_state() {
  if (!bit(cpuid(1, 0).c, 27)) return 0;  // OSXSAVE
  uint32_t lo = 0, hi = 0;
  asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return uint64_t{hi} << 32 | lo;
}

// Linux gives 8 KiB of tile registers to processes that ask for them: for all their threads, from then on.
bool may_use_tiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr int kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return ::syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
  return false;
#endif
}

CpuFeatures read_features() {
  CpuFeatures f;
  const uint64_t state = enabled_state();
  const bool ymm = (state & 0x06) == 0x06;  // SSE and AVX halves
  const bool zmm = (state & 0xe6) == 0xe6;  // and masks, upper halves, registers 16-31
  const Registers leaf1 = cpuid(1, 0), leaf7 = cpuid(7, 0), leaf7_1 = cpuid(7, 1);
  const bool avx = ymm && bit(leaf1.c, 28);
  f.avx2 = avx && bit(leaf7.b, 5);
  f.fma = avx && bit(leaf1.c, 12);
  f.f16c = avx && bit(leaf1.c, 29);
  f.avx_vnni = f.avx2 && bit(leaf7_1.a, 4);
  f.avx512 = zmm && bit(leaf7.b, 16) && bit(leaf7.b, 17) && bit(leaf7.b, 30) && bit(leaf7.b, 31);
  f.avx512_vnni = f.avx512 && bit(leaf7.c, 11);
  f.avx512_bf16 = f.avx512 && bit(leaf7_1.a, 5);
  const bool tiles = (state & 0x60000) == 0x60000;  // their configuration and their data
  f.amx_int8 = tiles && bit(leaf7.d, 24) && bit(leaf7.d, 25) && may_use_tiles();
  return f;
}

std::string read_model_name() {
  if (__get_cpuid_max(0x80000000u, nullptr) < 0x80000004u) return {};
  char text[49] = {};
  for (uint32_t i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002u + i, 0);
    std::memcpy(text + 16 * i, &r, 16);
  }
  std::string name(text);
  while (!name.empty() && name.back() == ' ') name.pop_back();
  return name.substr(std::min(name.size(), name.find_first_not_of(' ')));
}

#else

CpuFeatures read_features() { return {}; }

std::string read_model_name() {
  std::ifstream f("/proc/cpuinfo");
  for (std::string line; std::getline(f, line);)
    if (line.starts_with("model name") || line.starts_with("Model"))
      if (const auto colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  return {};
}

#endif

CpuInfo read_info() {
  CpuInfo info;
  info.model_name = read_model_name();
  info.features = read_features();
  std::vector<int> online = parse_cpu_list(first_line("/sys/devices/system/cpu/online"));
  if (online.empty())
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
      online.push_back(static_cast<int>(i));
  info.n_logical = static_cast<int>(online.size());
  info.n_physical = count_cores(online);
  // Linux lists the two kinds of hybrid Intel processors as two event sources.
  info.performance_cpus = parse_cpu_list(first_line("/sys/devices/cpu_core/cpus"));
  info.efficiency_cpus = parse_cpu_list(first_line("/sys/devices/cpu_atom/cpus"));
  if (info.efficiency_cpus.empty()) info.performance_cpus.clear();
  return info;
}

}  // namespace

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> out;
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) out.push_back(cpu);
  if (out.empty())
    for (int cpu = 0; cpu < cpu_info().n_logical; ++cpu) out.push_back(cpu);
  return out;
}

int count_cores(const std::vector<int>& cpus) {
  std::set<std::string> cores;  // one list of siblings per core
  for (int cpu : cpus) {
    std::string siblings =
        first_line("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
    cores.insert(siblings.empty() ? "cpu" + std::to_string(cpu) : siblings);
  }
  return static_cast<int>(cores.size());
}

std::string CpuInfo::features_text() const {
  std::string out;
  for (const auto& [has, name] : {std::pair<bool, const char*>{features.avx2, "avx2"},
                                  {features.fma, "fma"},
                                  {features.f16c, "f16c"},
                                  {features.avx_vnni, "avx_vnni"},
                                  {features.avx512, "avx512"},
                                  {features.avx512_vnni, "avx512_vnni"},
                                  {features.avx512_bf16, "avx512_bf16"},
                                  {features.amx_int8, "amx_int8"}})
    if (has) out += (out.empty() ? "" : " ") + std::string(name);
  return out;
}

std::vector<int> parse_cpu_list(std::string_view text) {
  std::vector<int> out;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    int first = 0, last = 0;
    const char* const end = part.data() + part.size();
    auto [at, ec] = std::from_chars(part.data(), end, first);
    if (ec != std::errc() || first < 0) continue;
    last = first;
    if (at != end && *at == '-' && std::from_chars(at + 1, end, last).ec != std::errc()) continue;
    if (last - first > 65535) continue;
    for (int i = first; i <= last; ++i) out.push_back(i);
  }
  return out;
}

const CpuInfo& cpu_info() {
  static const CpuInfo info = read_info();
  return info;
}

uint64_t largest_cache_bytes() {
  uint64_t largest = 0;
  for (int index = 0; index < 8; ++index) {
    const std::string text =
        first_line("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/size");  // "32768K"
    uint64_t kib = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), kib).ec == std::errc())
      largest = std::max(largest, kib);
  }
  return largest << 10;
}

}  // namespace watra
