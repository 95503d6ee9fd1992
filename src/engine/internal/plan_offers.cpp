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
    const std::string speed =
        plan->decode_tokens_per_s > 0 ? fmt::format(", {:.2g} tokens a second", plan->decode_tokens_per_s) : "";
    out += fmt::format("{}{}: fits{}", out.empty() ? "" : "; ", what, speed);
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
    const auto fits = [&](uint64_t ram_mib) {
      with.ram_bytes = ram_mib * kMiB;
      return plan_once(o, hw, with).has_value();
    };
    // The least that passes, and a little more: what a process takes differs from run to run.
    uint64_t low = options.ram_bytes / kMiB, high = hw.ram.bytes / kMiB;
    if (high > low && fits(high)) {
      while (high - low > std::max<uint64_t>(8, low / 256)) {
        const uint64_t middle = low + (high - low) / 2;
        (fits(middle) ? high : low) = middle;
      }
      with.ram_bytes = std::min(high + high / 64, hw.ram.bytes / kMiB) * kMiB;
      offer(fmt::format("--ram {}MiB", with.ram_bytes / kMiB), o, with);
    }
    with = options;
  }
  std::erase_if(with.drafts, [](const DraftOffer& d) { return d.method == "self"; });  // copies of this file
  for (const auto& m : model::quant_mixes()) {
    const ModelOutline smaller = model::requantized(o, m.mix);
    if (smaller.weight_bytes() >= o.weight_bytes()) continue;
    if (offer(fmt::format("the file in {}", m.name), smaller, with)) break;
  }
  return out.empty() ? "a smaller model: no quantization of this one fits" : out;
}

}  // namespace watra::engine::internal
