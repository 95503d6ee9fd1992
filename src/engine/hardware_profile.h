// Hardware: what a machine can do, as plain data: tiers with capacity and rate, kernels' rates, cores. The planner's
// one view of a machine (plan.h).
//
// Either measured here (hardware_measure.h) or written by hand for another machine; the JSON is the same:
//
//   {"name": "my PC",
//    "vram": {"bytes": 25e9, "work_bytes": 3.5e9, "gb_s": 936, "source": "data sheet"},      no card: leave it out
//    "ram":  {"bytes": 118e9, "gb_s": 75, "by_threads": [{"threads": 1, "gb_s": 40}]},
//    "pcie_gb_s": 25,
//    "disks": [{"path": "/", "gb_s": 6.5}],
//    "cpu":  {"cores": 8, "int8_gop_s": 4800, "fp32_gflop_s": 1200},
//    "kernels": [{"dtype": "q8_0", "m": 1, "gb_s": 70}]}                     measured machines only
//
// Capacities are what weights, keys and values, and buffers may use: what the system and other programs need is taken
// off. Rates are in 1e9 a second. A `source` stands beside each rate, for people. Pure data, no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"

namespace watra::engine {

struct Hardware {
  struct Vram {
    uint64_t bytes = 0;  // 0 = no graphics card
    // Of `bytes`: kept for keys, values and buffers, so that the bound of a model (bytes over rates) counts weights in
    // the rest alone. What they need beyond it is taken from the weights' share.
    uint64_t work_bytes = 0;
    double gb_s = 0;
    double fp16_tflop_s = 0;  // practical rate of large products; 0 = not known
    std::string source;
  };
  struct Ram {
    uint64_t bytes = 0;
    double gb_s = 0;  // all threads together, reading
    struct ByThreads {
      int threads;
      double gb_s;
    };
    std::vector<ByThreads> by_threads;  // ascending; empty = not known
    std::string source;
  };
  struct Disk {
    std::string path;
    double gb_s = 0;          // direct reads as the disk tier has them
    uint64_t free_bytes = 0;  // 0 = not known
    // Of the best way to read it: bytes a read, reads in flight.
    uint64_t read_bytes = 0;
    int depth = 0;
    std::string source;
  };
  struct Cpu {
    std::string model, isa;
    int cores = 0, p_cores = 0, e_cores = 0;  // p and e: 0 = all of one kind
    int threads = 0;                          // that the rates below were measured with; 0 = cores
    double int8_gop_s = 0;                    // a multiply-accumulate is two operations; of the fast cores
    double fp32_gflop_s = 0;
    // Of whole passes, measured; 0 = usual values (pass_time.cpp).
    double layer_overhead_us = 0;  // a layer's barriers and waiting
    double small_op_ns = 0;        // an element of a row in what one thread does between products: norms, conversions
    double pass_share = 0;         // what products reach within a pass, of the rates in `kernels`
    double kv_gb_s = 0;            // cached keys and values, as attention reads them; all threads
    double streamed_gb_s = 0;      // products with q8_0 as files have it, put in order on the way; one row, all threads
    std::string source;
  };
  struct KernelRate {
    tensor::DType dtype;
    int64_t m;    // rows of activations
    double gb_s;  // of weights
  };

  std::string name, about;
  Vram vram;
  Ram ram;
  double pcie_gb_s = 0;
  std::string pcie_source;
  std::vector<Disk> disks;
  Cpu cpu;
  std::vector<KernelRate> kernels;
  std::string measured_at;  // "2026-11-26 00:40 UTC"; empty = written by hand
  std::string machine_id;   // of what was measured: another value means another machine or program

  bool has_vram() const { return vram.bytes > 0; }
  // Threads that compute: those of the measurement, else the fast cores.
  int compute_threads() const;
  // Read rate of so many threads; between and beyond measured counts in proportion, never above gb_s of all; where no
  // counts were measured, as much a thread as a usual core reads. 0 = all.
  double ram_gb_s(int threads = 0) const;
};

// JSON <-> Hardware. Errors: "hardware.bad_json" (where), "hardware.bad_value" (which field, wanted, found),
// "hardware.missing" (which field). Unknown fields are allowed, so that files may say more.
Result<Hardware> parse_hardware(std::string_view json);
std::string hardware_json(const Hardware& hardware);

// Machines that Watra knows by name (the repository's hardware/*.json, built in): "reference-pc", ...
std::vector<std::string> known_hardware_names();
// A name of those, or nullopt.
std::optional<std::string_view> known_hardware_json(std::string_view name);

}  // namespace watra::engine
