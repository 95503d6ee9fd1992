#include <algorithm>

#include "engine/internal/plan_once.h"

namespace watra::engine::internal {

using model::ModelOutline;

constexpr uint64_t kMiB = 1u << 20;

std::string plan_offers(const ModelOutline& o, const Hardware& hw, const PlanOptions& options) {
  std::string out;
  const auto offer = [&](const std::string& what, const ModelOutline& outline, const PlanOptions& with) {
    const auto plan = plan_once(outline, hw, with);
    if (!plan) return false;
    out += fmt::format("{}{}: fits, {:.2g} tokens a second", out.empty() ? "" : "; ", what, plan->decode_tokens_per_s);
    return true;
  };
  PlanOptions with = options;
  if (options.kv_types.of(0).k == KvType::f16) {
    with.kv_types = KvTypes(KvType::q8_0, KvType::q8_0);
    offer("--kv-type q8_0", o, with);
    with = options;
  }
  const int64_t n_ctx = options.n_ctx > 0 ? options.n_ctx : std::min<int64_t>(o.n_ctx_train, 4096);
  for (int64_t ctx = n_ctx / 2; ctx >= 512; ctx /= 2) {
    with.n_ctx = ctx;
    if (offer(fmt::format("--ctx {}", ctx), o, with)) break;
  }
  with = options;
  if (options.ram_bytes > 0 && options.ram_bytes < hw.ram.bytes) {
    // The least that passes, to the next 1/64 of what the machine has.
    const uint64_t unit = std::max<uint64_t>(hw.ram.bytes / 64, kMiB);
    for (uint64_t ram = options.ram_bytes / unit * unit + unit; ram <= hw.ram.bytes; ram += unit) {
      with.ram_bytes = (ram + kMiB - 1) / kMiB * kMiB;
      if (offer(fmt::format("--ram {}MiB", with.ram_bytes / kMiB), o, with)) break;
    }
    with = options;
  }
  for (const auto& m : model::quant_mixes()) {
    const ModelOutline smaller = model::requantized(o, m.mix);
    if (smaller.weight_bytes() >= o.weight_bytes()) continue;
    if (offer(fmt::format("the file in {}", m.name), smaller, options)) break;
  }
  return out.empty() ? "a smaller model: no quantization of this one fits" : out;
}

}  // namespace watra::engine::internal
