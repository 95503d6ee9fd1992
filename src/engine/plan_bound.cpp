// The bound that every plan is held against: bytes over rates (plan.h).
#include <algorithm>

#include "engine/plan.h"

namespace watra::engine {

using model::ModelOutline;
using model::OutlineTensor;

double bound_seconds(const ModelOutline& o, const Hardware& hw, const PlanOptions& options) {
  const auto bytes = static_cast<double>(o.weight_bytes());
  double token_bytes = 0;  // of mixtures only the chosen experts; a file is counted whole otherwise
  for (const OutlineTensor& t : o.tensors)
    token_bytes += static_cast<double>(t.bytes()) * (t.read == OutlineTensor::Read::experts ? o.read_share(t) : 1);
  const auto limit = [](uint64_t own, uint64_t machine) {
    return static_cast<double>(own > 0 ? std::min(own, machine) : machine);
  };
  const double vram =
      options.use_gpu ? limit(options.vram_bytes, hw.vram.bytes - std::min(hw.vram.bytes, hw.vram.work_bytes)) : 0;
  const double ram = static_cast<double>(options.ram_bytes > 0 ? options.ram_bytes : hw.ram.bytes);
  double disk_rate = 0;
  for (const auto& d : hw.disks)
    if (options.disks.empty())
      disk_rate = std::max(disk_rate, d.gb_s);
    else if (std::find(options.disks.begin(), options.disks.end(), d.path) != options.disks.end())
      disk_rate += d.gb_s;
  // Dense parts go to the fastest tier first: of a mixture each token reads all of them, but few of its experts.
  const double v_file = std::min(bytes, vram), r_file = std::min(bytes - v_file, ram), d_file = bytes - v_file - r_file;
  double expert_bytes = 0;
  for (const OutlineTensor& t : o.tensors)
    if (t.read == OutlineTensor::Read::experts) expert_bytes += static_cast<double>(t.bytes());
  const double dense = bytes - expert_bytes;
  const double chosen = expert_bytes > 0 ? (token_bytes - dense) / expert_bytes : 1;
  const auto read = [&](double from, double size) {  // of the file's bytes [from, from + size), dense ones first
    const double of_dense = std::clamp(dense - from, 0.0, size);
    return of_dense + (size - of_dense) * chosen;
  };
  const double v = read(0, v_file), r = read(v_file, r_file), d = read(v_file + r_file, d_file);
  const double computing =
      (vram > 0 ? v / (hw.vram.gb_s * 1e9) : 0) + (r + 2 * d) / (hw.ram_gb_s(options.threads) * 1e9);
  return d > 0 && disk_rate > 0 ? std::max(computing, d / (disk_rate * 1e9)) : computing;
}

}  // namespace watra::engine
