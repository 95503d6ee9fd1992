#include "engine/pass_time.h"

#include <algorithm>
#include <cmath>

namespace watra::engine {
namespace {

using model::OutlineTensor;
using tensor::DType;

// Reading by products on processors, against a plain read beside it: 0.82 to 1.0 on two cores, 0.68 to 0.85 on eight
// threads of a virtual machine (docs/measurements.md); 0.9 is what the kernels are held to.
constexpr double kCpuRead = 0.9;
// Direct reads with a deep queue during decode against the same reads alone.
constexpr double kDiskRead = 0.95;
// Products on a graphics card for one token, of the card's rate: what kernels for it will be held to, as those for
// processors are to 0.9. Published decode speeds of whole models, all losses included (llama.cpp, May 2024, by
// XiongjieDai/GPU-Benchmarks-on-LLM-Inference; t/s x bytes a token reads / data sheet): 70B F16 over several cards in
// turn 87 % (RTX 3090) and 89 % (RTX 4090), 70B Q4_K_M over two 74 and 80 %. Small quantized models reach 55 to 62 %,
// because starting work weighs more there: that is kGpuLayerSeconds.
constexpr double kGpuRead = 0.9;
// Attention over cached keys and values against a plain read: 12 to 14 of 22.5 GB/s a thread (docs/measurements.md).
constexpr double kKvRead = 0.55;
// Multiply-accumulates against the instruction's peak: 256-bit kernels with 2 to 16 rows, and with many rows.
constexpr double kInt8Few = 0.45, kInt8Many = 0.55;
constexpr int64_t kManyRows = 64;
constexpr double kGpuProducts = 0.85;
// A card whose rate of products nobody wrote down: as many FLOP for a byte of bandwidth as cards of recent years have.
constexpr double kGpuFlopPerByte = 60;
// Starting a layer's work on the card, about ten kernels of a graph at 2 us; barriers, norms and residual sums of a
// layer on the processor.
constexpr double kGpuLayerSeconds = 20e-6, kCpuLayerSeconds = 30e-6;
// More rows take longer between products, too; one more row costs about so much of the first.
constexpr double kRowOverhead = 0.08;
// One hand-over of activations between processor and card: a copy and a wait.
constexpr double kHandOverSeconds = 25e-6;
constexpr double kPcieDefault = 12;
// Floating-point attention in a prompt, of the peak; a peak nobody wrote down: a quarter of 8-bit operations.
constexpr double kAttentionFlops = 0.5;

// Weights a second (1e9) that one core looks up in codebooks, by eight (IQ1, IQ2) or four (IQ3): 12 and 8.5 in 256 bits
// at 3.7 GHz (docs/measurements.md), at the 4.7 GHz of a desktop's core. 0 = not such a format.
double codebook_gweights_s_per_core(DType dtype) {
  switch (dtype) {
    case DType::iq1_s:
    case DType::iq1_m:
    case DType::iq2_xxs:
    case DType::iq2_xs:
    case DType::iq2_s:
      return 15;
    case DType::iq3_xxs:
    case DType::iq3_s:
      return 10.5;
    default:
      return 0;
  }
}
bool has_codebook(DType dtype) { return codebook_gweights_s_per_core(dtype) > 0; }

double bits(DType dtype) {
  const auto& t = tensor::traits(dtype);
  return 8.0 * t.block_bytes / t.block_elements;
}

// Seconds a byte (1e-9) of weights of one format with m rows: between measured rows in proportion, beyond the last as
// arithmetic grows. 0 = never measured.
double measured_seconds_per_gb(const Hardware& hw, DType dtype, int64_t m) {
  const Hardware::KernelRate *below = nullptr, *above = nullptr;
  for (const auto& k : hw.kernels) {
    if (k.dtype != dtype) continue;
    if (k.m <= m && (!below || k.m > below->m)) below = &k;
    if (k.m >= m && (!above || k.m < above->m)) above = &k;
  }
  if (!below && !above) return 0;
  if (!below) return 1 / above->gb_s;
  if (above) {
    if (above->m == below->m) return 1 / below->gb_s;
    const double share = static_cast<double>(m - below->m) / static_cast<double>(above->m - below->m);
    return 1 / below->gb_s + share * (1 / above->gb_s - 1 / below->gb_s);
  }
  // Beyond the last: with many rows a pass costs as much more as it has more rows; with few, part of it was reading.
  constexpr double kArithmeticShare = 0.8;
  const double more = static_cast<double>(m) / static_cast<double>(below->m) / below->gb_s;
  return below->m >= kManyRows ? more : std::max(1 / below->gb_s, kArithmeticShare * more);
}

// The measured format whose weights are most alike: formats that were not measured cost about as much a weight. One
// with a codebook is like another with one.
DType nearest_measured(const Hardware& hw, DType dtype) {
  DType best = dtype;
  double distance = 1e9;
  for (const auto& k : hw.kernels) {
    const double other_kind = has_codebook(k.dtype) == has_codebook(dtype) ? 0 : 100;
    const double d = k.dtype == dtype ? -1 : other_kind + std::abs(bits(k.dtype) - bits(dtype));
    if (d < distance) distance = d, best = k.dtype;
  }
  return best;
}

// Seconds a byte (1e-9) that weights from the disk take of the processor beyond those in RAM: rows lie there as in the
// file and are put in order on the way.
double streaming_seconds_per_gb(const Hardware& hw, int threads, const Efficiency& e) {
  const double one = measured_seconds_per_gb(hw, DType::q8_0, 1);
  if (!e.overheads || hw.cpu.streamed_gb_s <= 0 || one <= 0) return 1 / (hw.ram_gb_s(threads) * e.cpu_read);
  const int measured_threads = hw.compute_threads(), n = threads > 0 ? threads : measured_threads;
  return std::max(0.0, 1 / hw.cpu.streamed_gb_s - one) / std::min(1.0, static_cast<double>(n) / measured_threads);
}

double gpu_flop_s(const Hardware& hw) {
  return hw.vram.fp16_tflop_s > 0 ? hw.vram.fp16_tflop_s * 1e12 : hw.vram.gb_s * 1e9 * kGpuFlopPerByte;
}

}  // namespace

Efficiency Efficiency::expected() {
  return {.gpu_read = kGpuRead,
          .cpu_read = kCpuRead,
          .disk_read = kDiskRead,
          .kv_read = kKvRead,
          .cpu_int8_few = kInt8Few,
          .cpu_int8_many = kInt8Many,
          .gpu_products = kGpuProducts,
          .overheads = true,
          .codebooks = true};
}

Efficiency Efficiency::ideal() { return {1, 1, 1, 1, 1, 1, 1, false, false}; }

std::string_view part_name(Part part) {
  constexpr std::string_view names[kParts] = {"vram", "ram", "disk", "pcie", "kv", "overhead"};
  return names[static_cast<size_t>(part)];
}

void TierLoad::add(const OutlineTensor& t, int64_t rows) {
  if (rows <= 0) return;
  auto at = std::find_if(entries.begin(), entries.end(),
                         [&](const Entry& e) { return e.dtype == t.dtype && e.read == t.read; });
  if (at == entries.end()) at = entries.insert(at, {.dtype = t.dtype, .read = t.read});
  at->bytes += static_cast<double>(t.row_bytes()) * static_cast<double>(rows);
  if (t.rank >= 2) at->elements += static_cast<double>(t.cols) * static_cast<double>(rows);
}

uint64_t TierLoad::bytes() const {
  double n = 0;
  for (const Entry& e : entries) n += e.bytes;
  return static_cast<uint64_t>(n);
}

double PassLoad::share(OutlineTensor::Read read, int64_t m) const {
  switch (read) {
    case OutlineTensor::Read::whole:
      return 1;
    case OutlineTensor::Read::gathered:
      return 0;  // some rows
    case OutlineTensor::Read::experts:
      return n_experts > 0 ? 1 - std::pow(1 - static_cast<double>(n_experts_used) / n_experts, m) : 1;
    case OutlineTensor::Read::never:
      return 0;
  }
  return 1;
}

double row_elements(int64_t d_model, const model::LayerHParams& l) {
  return static_cast<double>(4 * d_model + int64_t{l.n_heads} * l.d_head + l.d_ff);
}

double cpu_seconds(const Hardware& hw, DType dtype, double bytes, double macs, int64_t m, int threads,
                   const Efficiency& e) {
  if (bytes <= 0) return 0;
  const int measured_threads = hw.compute_threads(), n = threads > 0 ? threads : measured_threads;
  const double ram_gb_s = hw.ram_gb_s(threads);
  // Arithmetic grows with threads up to the fast cores; more of them (hyper-threads, efficient cores) add little.
  const double compute = std::min(1.0, static_cast<double>(n) / measured_threads);
  const double look_up =
      e.codebooks && has_codebook(dtype)
          ? 8 * bytes / bits(dtype) / (codebook_gweights_s_per_core(dtype) * 1e9 * std::min(n, measured_threads))
          : 0;
  if (e.overheads && !hw.kernels.empty()) {  // measured: includes all losses
    const DType like = nearest_measured(hw, dtype);
    const double one = measured_seconds_per_gb(hw, like, 1), many = measured_seconds_per_gb(hw, like, m);
    const double share = hw.cpu.pass_share > 0 ? hw.cpu.pass_share : 1;
    // What m rows cost beyond one is arithmetic: as much a weight, whatever a weight's bytes. So is looking up.
    const double weight_ratio = bits(like) / bits(dtype);
    const double memory = std::min(1.0, ram_gb_s / hw.ram.gb_s);  // of what all threads read
    double read = bytes / 1e9 * one / share / memory;
    if (has_codebook(like))
      read *= weight_ratio * memory / std::min(compute, memory);
    else if (has_codebook(dtype))
      read = std::max(read, look_up);
    return read + bytes / 1e9 * std::max(0.0, many - one) * weight_ratio / compute;
  }
  double seconds = std::max(bytes / (ram_gb_s * 1e9 * e.cpu_read), look_up);
  if (m > 1 && hw.cpu.int8_gop_s > 0 && e.overheads) {
    const double share = m >= kManyRows ? e.cpu_int8_many : e.cpu_int8_few;
    seconds = std::max(seconds, 2 * macs * static_cast<double>(m) / (hw.cpu.int8_gop_s * 1e9 * share * compute));
  }
  return seconds;
}

PassTime pass_time(const PassLoad& load, const Hardware& hw, int64_t m, int threads, const Efficiency& e) {
  PassTime t;
  double vram_macs = 0;
  for (const auto& x : load.vram.entries) {
    t[Part::vram].bytes += x.bytes * load.share(x.read, m);
    vram_macs += x.elements * load.share(x.read, 1);
  }
  if (t[Part::vram].bytes > 0)
    t[Part::vram].seconds = std::max(
        t[Part::vram].bytes / (hw.vram.gb_s * 1e9 * e.gpu_read),
        m > 1 && e.overheads ? 2 * vram_macs * static_cast<double>(m) / (gpu_flop_s(hw) * e.gpu_products) : 0.0);
  for (const auto* tier : {&load.ram, &load.disk})
    for (const auto& x : tier->entries) {
      const double bytes = x.bytes * load.share(x.read, m);
      t[Part::ram].bytes += bytes;
      t[Part::ram].seconds += cpu_seconds(hw, x.dtype, bytes, x.elements * load.share(x.read, 1), m, threads, e);
    }
  double all_disk_bytes = 0;  // a share of experts streams only what is chosen
  for (const auto& x : load.disk.entries) all_disk_bytes += x.bytes;
  double read_disk_bytes = 0;
  for (const auto& x : load.disk.entries) read_disk_bytes += x.bytes * load.share(x.read, m);
  const double read_of_disk = all_disk_bytes > 0 ? read_disk_bytes / all_disk_bytes : 0;
  for (size_t i = 0; i < load.disk_bytes.size(); ++i) {
    const double bytes = load.disk_bytes[i] * read_of_disk;
    t[Part::disk].bytes += bytes;
    t[Part::disk].seconds = std::max(t[Part::disk].seconds, bytes / (load.disk_rates[i] * 1e9 * e.disk_read));
  }
  t[Part::ram].seconds += t[Part::disk].bytes / 1e9 * streaming_seconds_per_gb(hw, threads, e);

  t[Part::kv].bytes = load.kv_ram_bytes + load.kv_vram_bytes;
  if (load.kv_ram_bytes > 0) {
    const double rate = e.overheads && hw.cpu.kv_gb_s > 0
                            ? hw.cpu.kv_gb_s * std::min(1.0, hw.ram_gb_s(threads) / hw.ram.gb_s)
                            : hw.ram_gb_s(threads) * e.kv_read;
    t[Part::kv].seconds += load.kv_ram_bytes / (rate * 1e9);
  }
  if (load.kv_vram_bytes > 0) t[Part::kv].seconds += load.kv_vram_bytes / (hw.vram.gb_s * 1e9 * e.kv_read);

  if (e.overheads) {
    const double rows = 1 + kRowOverhead * static_cast<double>(std::min<int64_t>(m, 4096) - 1);
    const double cpu_layer = hw.cpu.layer_overhead_us > 0 ? hw.cpu.layer_overhead_us * 1e-6 : kCpuLayerSeconds;
    t[Part::overhead].seconds = load.n_gpu_layers * kGpuLayerSeconds;
    if (hw.cpu.small_op_ns > 0) {  // one row is one thread's, more are shared
      const double at_a_time = std::max(1.0, static_cast<double>(m) / (threads > 0 ? threads : hw.compute_threads()));
      t[Part::overhead].seconds +=
          load.n_cpu_layers * cpu_layer + load.cpu_row_elements * hw.cpu.small_op_ns * 1e-9 * at_a_time;
    } else {
      t[Part::overhead].seconds += load.n_cpu_layers * cpu_layer * rows;
    }
    if (load.n_gpu_layers > 0 && load.n_cpu_layers > 0) {
      constexpr double kHandOvers = 2;  // to the card and back
      t[Part::pcie].bytes = kHandOvers * static_cast<double>(m * load.d_model) * 4;
      t[Part::pcie].seconds = kHandOvers * kHandOverSeconds +
                              t[Part::pcie].bytes / ((hw.pcie_gb_s > 0 ? hw.pcie_gb_s : kPcieDefault) * 1e9);
    }
  }
  double without_disk = 0;
  for (Part p : {Part::vram, Part::ram, Part::pcie, Part::kv, Part::overhead}) {
    t[p].exposed = t[p].seconds;
    without_disk += t[p].seconds;
  }
  t.seconds = std::max(without_disk, t[Part::disk].seconds);
  t[Part::disk].exposed = t.seconds - without_disk;
  return t;
}

double prefill_seconds(const PassLoad& load, const model::ModelOutline& outline, const Hardware& hw, int64_t n,
                       int64_t micro_batch, int threads, const Efficiency& e) {
  PassLoad without_kv = load;
  without_kv.kv_ram_bytes = without_kv.kv_vram_bytes = 0;
  double flops_of_pair = 0;  // attention: a query and a key that meet, all layers
  for (const auto& l : outline.layers) flops_of_pair += 4.0 * l.n_heads * l.d_head;
  const double cpu_flop_s =
      (hw.cpu.fp32_gflop_s > 0 ? hw.cpu.fp32_gflop_s : hw.cpu.int8_gop_s / 4) * 1e9 * kAttentionFlops;
  const double n_layers = std::max(1.0, load.n_gpu_layers + load.n_cpu_layers);
  const double gpu_share = load.n_gpu_layers / n_layers;
  double seconds = 0;
  for (int64_t done = 0; done < n;) {
    const int64_t m = std::min(n - done, micro_batch);
    PassTime t = pass_time(without_kv, hw, m, threads, e);
    const double others = t.seconds - t[Part::ram].seconds - t[Part::disk].exposed;
    double ram = t[Part::ram].seconds;
    if (hw.has_vram() && load.n_gpu_layers > 0) {
      double macs = 0;
      for (const auto* tier : {&load.ram, &load.disk})
        for (const auto& x : tier->entries)
          if (x.read != OutlineTensor::Read::gathered) macs += x.elements * load.share(x.read, 1);
      const double over_pcie = t[Part::ram].bytes / ((hw.pcie_gb_s > 0 ? hw.pcie_gb_s : kPcieDefault) * 1e9);
      const double on_card = 2 * macs * static_cast<double>(m) / (gpu_flop_s(hw) * e.gpu_products);
      ram = std::min(ram, std::max(over_pcie, on_card));
    }
    const double pairs = static_cast<double>(m) * (static_cast<double>(done) + static_cast<double>(m) / 2);
    const double attention =
        flops_of_pair * pairs * ((1 - gpu_share) / cpu_flop_s + (hw.has_vram() ? gpu_share / gpu_flop_s(hw) : 0.0));
    seconds += std::max(others + ram + attention, t[Part::disk].seconds);
    done += m;
  }
  return seconds;
}

}  // namespace watra::engine
