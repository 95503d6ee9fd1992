// PassTime: how long one pass of a model takes on a machine, part by part. The arithmetic of the planner; pure.
//
//   seconds = max( vram + ram + kv + pcie + overhead , disk )
//
// The processor and the graphics card take turns; the disk reads ahead all the time, across layers and tokens. What
// comes from the disk passes through memory twice (written, then read):  ram = (R + 2 D) / rate  for bytes R in RAM and
// D on disk; where it was measured what such rows cost beyond others, that counts instead. A pass over m tokens reads
// the weights once and multiplies m times: each format's time is the larger of reading and multiplying, or what was
// measured of it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/hardware_profile.h"
#include "engine/placement.h"
#include "model/outline.h"

namespace watra::engine {

// What reaches the rates of a Hardware, as shares of them. Each constant has its reason in pass_time.cpp.
struct Efficiency {
  double gpu_read, cpu_read, disk_read, kv_read;
  double cpu_int8_few, cpu_int8_many;  // products with few rows, with 64 and more
  double gpu_products;
  bool overheads, codebooks;  // time between products; formats that decode slower than memory reads
  static Efficiency expected();
  static Efficiency ideal();  // bytes over rates
};

// A model on the tiers: what each holds, by format.
struct TierLoad {
  struct Entry {
    tensor::DType dtype;
    model::OutlineTensor::Read read;
    double bytes = 0, elements = 0;
  };
  std::vector<Entry> entries;
  void add(const model::OutlineTensor& t, int64_t rows);
  uint64_t bytes() const;
};

struct PassLoad {
  TierLoad vram, ram, disk;                    // disk: of all disks
  std::vector<double> disk_bytes;              // by disk, of every pass
  std::vector<double> disk_rates;              // GB/s of each
  double kv_vram_bytes = 0, kv_ram_bytes = 0;  // that a token reads
  double n_gpu_layers = 0, n_cpu_layers = 0;
  double cpu_row_elements = 0;  // of a row, in all layers of the processor: row_elements()
  int64_t d_model = 0;
  int32_t n_experts = 0, n_experts_used = 0;

  double share(model::OutlineTensor::Read read, int64_t m) const;
};

enum class Part : uint8_t { vram, ram, disk, pcie, kv, overhead };
inline constexpr int kParts = 6;
std::string_view part_name(Part part);

// What one thread does with a row between a layer's products, in elements: two norms with their sums and conversions
// (each counts as two), conversions of heads and of the MLP's width.
double row_elements(int64_t d_model, const model::LayerHParams& layer);

struct PassTime {
  struct OfPart {
    double seconds = 0;  // the part is busy
    double exposed = 0;  // of them not hidden behind others: these add up to the whole
    double bytes = 0;
  };
  std::array<OfPart, kParts> parts;
  double seconds = 0;
  OfPart& operator[](Part p) { return parts[static_cast<size_t>(p)]; }
  const OfPart& operator[](Part p) const { return parts[static_cast<size_t>(p)]; }
};

// One pass over m tokens that all see the same conversation. threads 0 = as measured.
PassTime pass_time(const PassLoad& load, const Hardware& hardware, int64_t m, int threads,
                   const Efficiency& efficiency);

// Seconds that the processor takes for `bytes` of a format with `macs` multiply-accumulates a token, m tokens.
double cpu_seconds(const Hardware& hardware, tensor::DType dtype, double bytes, double macs, int64_t m, int threads,
                   const Efficiency& efficiency);

// The same for reading a prompt: n tokens after `depth` others, in micro-batches. On a machine with a card, weights in
// RAM are multiplied where it is faster: by the processor, or by the card after a trip over PCIe.
double prefill_seconds(const PassLoad& load, const model::ModelOutline& outline, const Hardware& hardware, int64_t n,
                       int64_t micro_batch, int threads, const Efficiency& efficiency);

}  // namespace watra::engine
