#include "base/memory.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/fault.h"

namespace watra {
namespace {

constexpr uint64_t kHugePage = 2u << 20;

// The value in bytes of a "Key:  N kB" line.
uint64_t kib_line_bytes(const char* path, const char* key) {
  std::ifstream f(path);
  for (std::string line; std::getline(f, line);)
    if (line.starts_with(key)) return std::strtoull(line.c_str() + std::strlen(key), nullptr, 10) * 1024;
  return 0;
}

// The C library has no wrapper for these; numbers from linux/mempolicy.h.
constexpr int kInterleavePolicy = 3;
constexpr unsigned long kAllowedNodes = 4;
constexpr int kMostNodes = 1024;
constexpr int kWordBits = 8 * sizeof(unsigned long);
using NodeMask = std::array<unsigned long, kMostNodes / kWordBits>;

void spread_over_nodes(void* p, uint64_t bytes) {
  const std::vector<int> nodes = memory_nodes();
  if (nodes.size() < 2) return;
  NodeMask mask{};
  for (int n : nodes) mask[static_cast<size_t>(n / kWordBits)] |= 1ul << (n % kWordBits);
  // Refused in some sandboxes: then pages lie where they are first touched.
  ::syscall(SYS_mbind, p, bytes, kInterleavePolicy, mask.data(), kMostNodes + 1, 0);
}

void* small_block(uint64_t bytes) {
  const uint64_t whole = (bytes + 63) / 64 * 64;
  void* p = std::aligned_alloc(64, whole);
  if (p) std::memset(p, 0, whole);
  return p;
}

// Pages straight from the system: zero when first touched (by the thread that will use them), huge where it can.
void* big_block(uint64_t bytes) {
  const uint64_t whole = bytes + kHugePage;  // room to align
  if (whole < bytes) return nullptr;
  void* p = ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<uintptr_t>(p);
  const uintptr_t aligned = (begin + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t end = aligned + (bytes + 4095) / 4096 * 4096;
  if (aligned > begin) ::munmap(p, aligned - begin);
  if (end < begin + whole) ::munmap(reinterpret_cast<void*>(end), begin + whole - end);
  ::madvise(reinterpret_cast<void*>(aligned), end - aligned, MADV_HUGEPAGE);
  return reinterpret_cast<void*>(aligned);
}

void release_block(void* p, uint64_t bytes) {
  if (!p) return;
  if (bytes < kHugePage)
    std::free(p);
  else
    ::munmap(p, (bytes + 4095) / 4096 * 4096);
}

}  // namespace

uint64_t MemoryBudget::limit_bytes() const {
  std::lock_guard lock(mutex_);
  return limit_bytes_;
}

Status MemoryBudget::set_limit(uint64_t limit_bytes) {
  std::lock_guard lock(mutex_);
  limit_bytes_ = limit_bytes;
  if (limit_bytes == 0 || used_ <= limit_bytes) return {};
  return fail("memory.over_budget",
              fmt::format("{} are in use, {} allowed", format_bytes(used_), format_bytes(limit_bytes)), "raise --ram");
}

Status MemoryBudget::take(const std::string& tag, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (fault::hit("memory.take") || (limit_bytes_ && bytes > limit_bytes_ - std::min(used_, limit_bytes_)))
    return fail("memory.over_budget",
                fmt::format("{} for {} does not fit: {} allowed, {} already in use", format_bytes(bytes), tag,
                            format_bytes(limit_bytes_), format_bytes(used_)),
                "raise --ram, or lower --ctx");
  used_ += bytes;
  peak_ = std::max(peak_, used_);
  by_tag_[tag] += bytes;
  return {};
}

void MemoryBudget::give(const std::string& tag, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  used_ -= bytes;
  auto it = by_tag_.find(tag);
  if (it != by_tag_.end() && (it->second -= bytes) == 0) by_tag_.erase(it);
}

std::vector<MemoryBudget::Use> MemoryBudget::uses() const {
  std::lock_guard lock(mutex_);
  std::vector<Use> out;
  for (const auto& [tag, bytes] : by_tag_) out.push_back({tag, bytes});
  std::sort(out.begin(), out.end(), [](const Use& a, const Use& b) { return a.bytes > b.bytes; });
  return out;
}
uint64_t MemoryBudget::used_bytes() const {
  std::lock_guard lock(mutex_);
  return used_;
}
uint64_t MemoryBudget::peak_bytes() const {
  std::lock_guard lock(mutex_);
  return peak_;
}

Result<Buffer> Buffer::allocate(MemoryBudget* budget, std::string tag, uint64_t bytes, Nodes nodes) {
  if (budget) WATRA_TRY(budget->take(tag, bytes));
  void* p = bytes == 0 ? nullptr : bytes < kHugePage ? small_block(bytes) : big_block(bytes);
  if (!p && bytes) {
    if (budget) budget->give(tag, bytes);
    return fail("memory.refused",
                fmt::format("the system refused {} for {}; {} of {} are free", format_bytes(bytes), tag,
                            format_bytes(available_memory_bytes()), format_bytes(total_memory_bytes())),
                "close other programs, or choose a smaller model or --ctx");
  }
  if (nodes == Nodes::spread && bytes >= kHugePage) spread_over_nodes(p, bytes);
  Buffer b;
  b.data_ = static_cast<std::byte*>(p);
  b.bytes_ = bytes;
  b.budget_ = budget;
  b.tag_ = std::move(tag);
  return b;
}

Buffer::~Buffer() {
  if (budget_ && data_) budget_->give(tag_, bytes_);
  release_block(data_, bytes_);
}
Buffer::Buffer(Buffer&& o) noexcept
    : data_(std::exchange(o.data_, nullptr)),
      bytes_(std::exchange(o.bytes_, 0)),
      budget_(o.budget_),
      tag_(std::move(o.tag_)) {}
Buffer& Buffer::operator=(Buffer&& o) noexcept {
  if (this != &o) {
    this->~Buffer();
    new (this) Buffer(std::move(o));
  }
  return *this;
}

uint64_t peak_resident_bytes() {
  rusage u{};
  ::getrusage(RUSAGE_SELF, &u);
  return static_cast<uint64_t>(u.ru_maxrss) * 1024;
}
uint64_t resident_bytes() {
  std::ifstream f("/proc/self/statm");
  uint64_t all_pages = 0, resident_pages = 0;
  f >> all_pages >> resident_pages;
  return resident_pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}
std::string huge_page_setting() {
  std::ifstream f("/sys/kernel/mm/transparent_hugepage/enabled");  // "always [madvise] never"
  std::string text;
  std::getline(f, text);
  const size_t begin = text.find('[') + 1, end = text.find(']');
  return begin > 0 && end != std::string::npos && begin < end ? text.substr(begin, end - begin) : "";
}
uint64_t huge_page_bytes() { return kib_line_bytes("/proc/self/smaps_rollup", "AnonHugePages:"); }

std::vector<int> memory_nodes() {
  NodeMask mask{};
  std::vector<int> nodes;
  if (::syscall(SYS_get_mempolicy, nullptr, mask.data(), kMostNodes, nullptr, kAllowedNodes) == 0)
    for (int n = 0; n < kMostNodes; ++n)
      if (mask[static_cast<size_t>(n / kWordBits)] >> (n % kWordBits) & 1) nodes.push_back(n);
  return nodes.empty() ? std::vector<int>{0} : nodes;
}

// Where there is no /proc the system still tells how much memory it has, and how much is free; not what it would give
// up.
uint64_t available_memory_bytes() {
  if (const uint64_t bytes = kib_line_bytes("/proc/meminfo", "MemAvailable:")) return bytes;
  struct sysinfo info {};
  return ::sysinfo(&info) == 0 ? (uint64_t{info.freeram} + info.bufferram) * info.mem_unit : 0;
}
uint64_t total_memory_bytes() {
  if (const uint64_t bytes = kib_line_bytes("/proc/meminfo", "MemTotal:")) return bytes;
  struct sysinfo info {};
  return ::sysinfo(&info) == 0 ? uint64_t{info.totalram} * info.mem_unit : 0;
}

std::string format_bytes(uint64_t bytes) {
  static const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double v = static_cast<double>(bytes);
  int u = 0;
  while (v >= 1024 && u < 6) v /= 1024, ++u;
  return u == 0      ? fmt::format("{} B", bytes)
         : v < 99.95 ? fmt::format("{:.1f} {}", v, units[u])
                     : fmt::format("{:.0f} {}", v, units[u]);
}

Result<uint64_t> parse_bytes(std::string_view text) {
  const auto wrong = [&] {
    return fail("usage.size", fmt::format("'{}' is not a size", text),
                "write a number with a unit, like 48GiB, 512MiB or 2GB");
  };
  double value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || !(value >= 0)) return wrong();
  std::string unit(end, text.data() + text.size());
  unit.erase(0, unit.find_first_not_of(' '));
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return std::tolower(c); });
  static const std::pair<const char*, double> factors[] = {
      {"", 1},           {"b", 1},           {"k", 1024.},         {"kib", 1024.},        {"m", 1048576.},
      {"mib", 1048576.}, {"g", 1073741824.}, {"gib", 1073741824.}, {"t", 1099511627776.}, {"tib", 1099511627776.},
      {"kb", 1e3},       {"mb", 1e6},        {"gb", 1e9},          {"tb", 1e12}};
  for (const auto& [name, factor] : factors)
    if (unit == name && value * factor < 1.8e19) return static_cast<uint64_t>(value * factor);
  return wrong();
}

}  // namespace watra
