#include "engine/hardware_measure.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/cpu.h"
#include "base/machine_load.h"
#include "base/memory.h"
#include "engine/hardware.h"
#include "engine/loaded_model.h"

namespace watra::engine {
namespace {

using tensor::DType;
using Clock = std::chrono::steady_clock;

// Those that models come in most. Others cost what their nearest neighbour costs (pass_time.cpp).
constexpr DType kTypes[] = {DType::q8_0, DType::q6_k, DType::q5_k, DType::q4_k, DType::q4_0,
                            DType::q4_1, DType::q3_k, DType::q2_k, DType::f16};
constexpr int64_t kRows[] = {1, 2, 4, 8, 16, 512};
// Left for the system and other programs where nothing is said: a twentieth, at least this.
constexpr uint64_t kLeastSpare = 512u << 20;

int thread_count(const MeasureHardwareOptions& o) {
  return o.threads > 0 ? o.threads : !o.cpus.empty() ? static_cast<int>(o.cpus.size()) : default_thread_count();
}

uint64_t usable_ram() {
  const uint64_t available = available_memory_bytes(), spare = std::max(kLeastSpare, total_memory_bytes() / 20);
  return available > 2 * spare ? available - spare : available / 2;
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

// What a layer costs besides its products: a small model decodes, the time its weights take by the measured rate is
// taken off.
Result<double> layer_overhead_us(const MeasureHardwareOptions& o, std::string_view isa, double q8_gb_s) {
  WATRA_ASSIGN(
      const LoadedModel m,
      load_model("synthetic:smollm2-135m:q8_0",
                 {.threads = thread_count(o), .cpus = o.cpus, .n_ctx = 128, .max_rows = 16, .isa = std::string(isa)}));
  const SequenceId s = m.forward->kv().add();
  Batch batch;
  std::vector<double> seconds;
  for (int i = 0; i < 40; ++i) {
    batch.clear();
    batch.rows.push_back({.token = i, .sequence = s, .wants_logits = true});
    const auto t = Clock::now();
    WATRA_TRY(m.forward->run(batch));
    seconds.push_back(std::chrono::duration<double>(Clock::now() - t).count());
  }
  const double weights = static_cast<double>(m.model->pass_bytes()) / (q8_gb_s * 1e9);
  return std::clamp(1e6 * (median(seconds) - weights) / m.model->hparams().n_layers, 1.0, 1000.0);
}

}  // namespace

std::string machine_id(const kernels::Kernels& kernels, const MeasureHardwareOptions& o) {
  const CpuInfo& cpu = cpu_info();
  std::string disks;
  for (const fs::path& d : o.disks) disks += "|" + d.string();
  // Memory to the next GiB: what the system reports moves with its kernel.
  return fmt::format("{}|{} cores|{} GiB|{}|{} threads {}|{}{}", cpu.model_name, cpu.n_physical,
                     (total_memory_bytes() + (1u << 29)) >> 30, kernels.isa, thread_count(o), fmt::join(o.cpus, ","),
                     o.version, disks);
}

Result<Hardware> measure_hardware(const kernels::Kernels& kernels, const MeasureHardwareOptions& o) {
  const CpuInfo& cpu = cpu_info();
  const int n_threads = thread_count(o);
  Hardware hw;
  hw.name = "this machine";
  hw.measured_at = utc_now();
  hw.machine_id = machine_id(kernels, o);
  hw.cpu = {.model = cpu.model_name,
            .isa = std::string(kernels.isa),
            .cores = cpu.n_physical,
            .p_cores = count_cores(cpu.performance_cpus),
            .e_cores = count_cores(cpu.efficiency_cpus),
            .threads = n_threads,
            .source = "measured here"};
  hw.ram = {.bytes = usable_ram(), .source = "measured here; what can be had less what others need"};

  std::vector<DType> types;
  for (DType t : kTypes)
    if (kernels.supports(t)) types.push_back(t);
  const int n_steps = 3 + static_cast<int>(types.size() + o.disks.size());
  int step = 0;
  const auto now = [&](std::string_view what) {
    if (o.now) o.now(what, step++, n_steps);
  };

  now("memory");
  MeasureOptions read;
  read.buffer_bytes =
      std::min<uint64_t>(read.buffer_bytes, std::max<uint64_t>(32u << 20, available_memory_bytes() / 4));
  for (int n = 1;; n = std::min(n * 2, n_threads)) {
    ThreadTeam team(n, o.cpus.empty() ? default_affinity(n) : Affinity{.cpus = o.cpus});
    WATRA_ASSIGN(const double gb_s, measure_read_gb_s(team, read));
    hw.ram.by_threads.push_back({n, gb_s});
    hw.ram.gb_s = std::max(hw.ram.gb_s, gb_s);
    if (n == n_threads) break;
  }
  now("arithmetic");
  ThreadTeam team(n_threads, o.cpus.empty() ? default_affinity(n_threads) : Affinity{.cpus = o.cpus});
  hw.cpu.int8_gop_s = measure_int8_gop_s(team, kernels);
  hw.cpu.fp32_gflop_s = measure_fp32_gflop_s(team, kernels);
  double q8_gb_s = hw.ram.gb_s;
  for (DType type : types) {
    now(fmt::format("products {}", tensor::dtype_name(type)));
    for (int64_t m : kRows) {
      // Many rows are arithmetic alone: a small matrix tells as much as a large one.
      const MeasureOptions options{.seconds = m == 1 ? 0.2 : 0.08,
                                   .buffer_bytes = m > 16 ? 8u << 20 : beyond_caches(128u << 20, 2)};
      WATRA_ASSIGN(const double gb_s, measure_kernel_gb_s(team, kernels, type, m, options));
      hw.kernels.push_back({type, m, gb_s});
      if (type == DType::q8_0 && m == 1) q8_gb_s = gb_s;
    }
  }
  now("a small model");
  WATRA_ASSIGN(hw.cpu.layer_overhead_us, layer_overhead_us(o, kernels.isa, q8_gb_s));
  for (const fs::path& folder : o.disks) {
    now(fmt::format("disk {}", folder.string()));
    const auto rates = sweep_direct_reads(folder);
    if (!rates) {
      hw.about += fmt::format("{}{}: {}", hw.about.empty() ? "" : "; ", folder.string(), rates.error().message);
      continue;
    }
    const auto best =
        std::max_element(rates->begin(), rates->end(), [](const auto& a, const auto& b) { return a.gb_s < b.gb_s; });
    Hardware::Disk disk{.path = folder.string(), .gb_s = best->gb_s};
    disk.free_bytes = free_space_bytes(folder).value_or(0);
    disk.read_bytes = best->read_bytes;
    disk.depth = best->depth;
    disk.source = "measured here";
    hw.disks.push_back(std::move(disk));
  }
  return hw;
}

fs::path hardware_cache_path(const fs::path& home) { return home / "hardware.json"; }

Status save_hardware(const fs::path& home, const Hardware& hardware) {
  WATRA_TRY(make_folders(home));
  return write_file_atomic(hardware_cache_path(home), hardware_json(hardware));
}

std::optional<Hardware> cached_hardware(const fs::path& home, const std::string& id) {
  const auto text = read_text_file(hardware_cache_path(home), 1u << 20);
  if (!text) return std::nullopt;
  auto hw = parse_hardware(*text);
  if (!hw || hw->machine_id != id || hw->kernels.empty()) return std::nullopt;
  hw->ram.bytes = usable_ram();
  for (auto& d : hw->disks) d.free_bytes = free_space_bytes(d.path).value_or(0);
  return *hw;
}

}  // namespace watra::engine
