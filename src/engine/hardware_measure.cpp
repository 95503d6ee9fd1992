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
#include "engine/pass_time.h"
#include "model/outline.h"

namespace watra::engine {
namespace {

using tensor::DType;
using Clock = std::chrono::steady_clock;

// Those that models come in most. Others cost what their nearest neighbour costs (pass_time.cpp).
constexpr DType kTypes[] = {DType::q8_0,  DType::q6_k,  DType::q5_k,   DType::q4_k,   DType::q4_0, DType::q4_1,
                            DType::q5_0,  DType::q5_1,  DType::iq4_nl, DType::iq4_xs, DType::q3_k, DType::q2_k,
                            DType::iq3_s, DType::iq2_s, DType::f16,    DType::bf16,   DType::f32};
constexpr int64_t kRows[] = {1, 2, 4, 8, 16, 512};
int thread_count(const MeasureHardwareOptions& o) {
  return o.threads > 0 ? o.threads : !o.cpus.empty() ? static_cast<int>(o.cpus.size()) : default_thread_count();
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

constexpr int64_t kPassDepth = 1024;

// A synthetic network that decodes.
class Decoder {
 public:
  static Result<std::unique_ptr<Decoder>> create(const char* spec, const MeasureHardwareOptions& o,
                                                 std::string_view isa) {
    WATRA_ASSIGN(auto model, load_model(spec, {.threads = thread_count(o),
                                               .cpus = o.cpus,
                                               .n_ctx = kPassDepth + 128,
                                               .max_rows = 256,
                                               .isa = std::string(isa)}));
    return std::make_unique<Decoder>(std::move(model));
  }
  explicit Decoder(LoadedModel model) : model_(std::move(model)), sequence_(model_.forward->kv().add()) {}

  // Median of n passes over one token each; cached are as many positions as before.
  Result<double> pass_seconds(int n) {
    const int64_t depth = model_.forward->kv().length(sequence_);
    std::vector<double> seconds;
    for (int i = 0; i < n; ++i) {
      WATRA_ASSIGN(const double s, run(1));
      seconds.push_back(s);
    }
    model_.forward->kv().truncate(sequence_, depth);
    return median(std::move(seconds));
  }
  Status read(int64_t n_tokens) {
    for (int64_t done = 0; done < n_tokens; done += 256) {
      WATRA_ASSIGN([[maybe_unused]] const double s, run(std::min<int64_t>(256, n_tokens - done)));
    }
    return {};
  }

  double pass_bytes() const { return static_cast<double>(model_.model->pass_bytes()); }
  double n_layers() const { return model_.model->hparams().n_layers; }
  double elements() const {  // of a row, in one layer
    const auto& hp = model_.model->hparams();
    return row_elements(hp.d_model, hp.layers[0]);
  }
  double kv_bytes(int64_t depth) const {
    const auto outline = model::outline_of(*model_.model);
    return static_cast<double>(outline.kv_bytes_per_position(KvType::f16, KvType::f16)) * static_cast<double>(depth);
  }

 private:
  Result<double> run(int64_t n) {
    batch_.clear();
    for (int64_t i = 0; i < n; ++i)
      batch_.rows.push_back(
          {.token = static_cast<text::TokenId>(i), .sequence = sequence_, .wants_logits = i + 1 == n});
    const auto t = Clock::now();
    WATRA_TRY(model_.forward->run(batch_));
    return seconds_since(t);
  }

  LoadedModel model_;
  SequenceId sequence_;
  Batch batch_;
};

// Nanoseconds an element (row_elements()) of the small ops of a layer, on one thread.
double small_op_ns(const kernels::Kernels& k) {
  constexpr int64_t kModel = 4096, kHeads = 4096, kFf = 14336;
  constexpr auto kFormat = kernels::ActFormat::f32;
  kernels::ActFormat format = kFormat;
  for (DType t : kTypes)
    if (k.supports(t) && format == kFormat) format = k.act_format(t);
  std::vector<float> x(kFf, 0.25f), y(kFf, 0.5f), weight(kModel, 1.0f);
  std::vector<std::byte> acts(static_cast<size_t>(format == kFormat ? 64 : k.act_bytes(format, 1, kFf)) + 64);
  const auto convert = [&](int64_t n) {
    if (format != kFormat) k.convert_act_row(format, y.data(), acts.data(), 0, 1, n);
  };
  std::vector<double> rounds;
  for (int i = 0; i < 50; ++i) {
    const auto t = Clock::now();
    for (int norm = 0; norm < 2; ++norm) {
      k.add(x.data(), y.data(), kModel);
      k.rms_norm(x.data(), weight.data(), y.data(), kModel, 1e-5f);
      convert(kModel);
    }
    convert(kHeads);
    convert(kFf);
    rounds.push_back(1e9 * seconds_since(t) / (4 * kModel + kHeads + kFf));
  }
  return median(std::move(rounds));
}

Status go_on(const MeasureHardwareOptions& o) {
  if (!o.cancelled || !o.cancelled()) return {};
  return fail("hardware.cancelled", "measuring this machine was stopped");
}

// What whole passes cost beyond their products alone. Two networks of one format, x = 1 / pass_share, a = seconds of a
// layer's barriers:  seconds = x * bytes / rate + layers * (a + small_op_ns * elements).  `rate` is measured beside
// each, over as many bytes as it has, so that the small one, which may lie in a large cache, is held against products
// there.
Status measure_passes(const MeasureHardwareOptions& o, const kernels::Kernels& kernels, ThreadTeam& team,
                      Hardware& hw) {
  constexpr double kLeastShare = 0.5, kMostShare = 1.1;
  hw.cpu.small_op_ns = small_op_ns(kernels);
  const double b = hw.cpu.small_op_ns * 1e-9;
  // Rate and passes in turn: memory that becomes faster or slower does so for both.
  struct Seconds {
    double pass = 0, products = 0;
  };
  const auto measure = [&](Decoder& d, int passes) -> Result<Seconds> {
    std::vector<double> pass, products;
    for (int round = 0; round < 5; ++round) {
      WATRA_TRY(go_on(o));
      WATRA_ASSIGN(const double rate,
                   measure_kernel_gb_s(team, kernels, DType::q8_0, 1,
                                       {.seconds = 0.05,
                                        .usual = true,
                                        .buffer_bytes = std::min<uint64_t>(static_cast<uint64_t>(d.pass_bytes()),
                                                                           beyond_caches(128u << 20, 2))}));
      products.push_back(d.pass_bytes() / (rate * 1e9));
      WATRA_ASSIGN(const double s, d.pass_seconds(passes));
      pass.push_back(s);
    }
    return Seconds{median(std::move(pass)), median(std::move(products))};
  };
  WATRA_ASSIGN(auto small, Decoder::create("synthetic:smollm2-135m:q8_0", o, kernels.isa));
  WATRA_ASSIGN(const Seconds at_small, measure(*small, 30));
  double x = 1;
  if (constexpr uint64_t kEnough = uint64_t{4} << 30; usable_memory_bytes() > kEnough) {
    WATRA_ASSIGN(auto large, Decoder::create("synthetic:llama-1b:q8_0", o, kernels.isa));
    WATRA_ASSIGN(const Seconds at_large, measure(*large, 5));
    const double ratio = large->n_layers() / small->n_layers();
    const double without_layers =
        at_large.pass - ratio * at_small.pass - large->n_layers() * b * (large->elements() - small->elements());
    x = std::clamp(without_layers / (at_large.products - ratio * at_small.products), 1 / kMostShare, 1 / kLeastShare);
  }
  hw.cpu.pass_share = 1 / x;
  const double a = (at_small.pass - x * at_small.products) / small->n_layers() - b * small->elements();
  hw.cpu.layer_overhead_us = std::clamp(1e6 * a, 1.0, 1000.0);
  // Attention: the same pass with and without a conversation before it.
  WATRA_TRY(small->read(kPassDepth));
  WATRA_ASSIGN(const double deep, small->pass_seconds(30));
  if (deep > at_small.pass) hw.cpu.kv_gb_s = small->kv_bytes(kPassDepth) / (deep - at_small.pass) / 1e9;
  return {};
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

Result<Hardware::Disk> measure_disk(const fs::path& folder) {
  WATRA_ASSIGN(const auto rates, sweep_direct_reads(folder));
  const auto best =
      std::max_element(rates.begin(), rates.end(), [](const auto& a, const auto& b) { return a.gb_s < b.gb_s; });
  // The best of many short looks is luck in part: what counts is a whole second in the way the disk tier reads.
  const double usual = measure_streamed_read_gb_s(folder).value_or(best->gb_s);
  return Hardware::Disk{.path = folder.string(),
                        .gb_s = std::min(best->gb_s, usual),
                        .free_bytes = free_space_bytes(folder).value_or(0),
                        .read_bytes = best->read_bytes,
                        .depth = best->depth,
                        .source = "measured here"};
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
  hw.ram = {.bytes = usable_memory_bytes(), .source = "measured here; what can be had less what others need"};

  std::vector<DType> types;
  for (DType t : kTypes)
    if (kernels.supports(t)) types.push_back(t);
  const int n_steps = 3 + static_cast<int>(types.size() + o.disks.size());
  int step = 0;
  const auto now = [&](std::string_view what) {
    if (o.now) o.now(what, step++, n_steps);
    return go_on(o);
  };

  WATRA_TRY(now("memory"));
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
  WATRA_TRY(now("arithmetic"));
  ThreadTeam team(n_threads, o.cpus.empty() ? default_affinity(n_threads) : Affinity{.cpus = o.cpus});
  hw.cpu.int8_gop_s = measure_int8_gop_s(team, kernels);
  hw.cpu.fp32_gflop_s = measure_fp32_gflop_s(team, kernels);
  for (DType type : types) {
    WATRA_TRY(now(fmt::format("products {}", tensor::dtype_name(type))));
    for (int64_t m : kRows) {
      WATRA_TRY(go_on(o));
      // Many rows are arithmetic alone: a small matrix tells as much as a large one.
      const MeasureOptions options{.seconds = m == 1 ? 0.2 : 0.08,
                                   .usual = true,
                                   .buffer_bytes = m > 16 ? 8u << 20 : beyond_caches(128u << 20, 2)};
      WATRA_ASSIGN(const double gb_s, measure_kernel_gb_s(team, kernels, type, m, options));
      hw.kernels.push_back({type, m, gb_s});
    }
  }
  {
    const MeasureOptions options{
        .seconds = 0.2, .usual = true, .buffer_bytes = beyond_caches(128u << 20, 2), .as_in_file = true};
    WATRA_ASSIGN(hw.cpu.streamed_gb_s, measure_kernel_gb_s(team, kernels, DType::q8_0, 1, options));
  }
  WATRA_TRY(now("whole passes"));
  WATRA_TRY(measure_passes(o, kernels, team, hw));
  for (const fs::path& folder : o.disks) {
    WATRA_TRY(now(fmt::format("disk {}", folder.string())));
    auto disk = measure_disk(folder);
    if (!disk) {
      hw.about += fmt::format("{}{}: {}", hw.about.empty() ? "" : "; ", folder.string(), disk.error().message);
      continue;
    }
    hw.disks.push_back(std::move(*disk));
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
  hw->ram.bytes = usable_memory_bytes();
  for (auto& d : hw->disks) d.free_bytes = free_space_bytes(d.path).value_or(0);
  return *hw;
}

}  // namespace watra::engine
