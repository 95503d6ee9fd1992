#include "engine/plan_advice.h"

#include <algorithm>
#include <optional>

#include "base/memory.h"

namespace watra::engine {
namespace {

using model::ModelOutline;
using model::QuantMix;

constexpr double kWorthSaying = 1.02;
constexpr QuantMix kOffered[] = {QuantMix::q8_0,   QuantMix::q6_k,   QuantMix::q5_k_m, QuantMix::q4_k_m,
                                 QuantMix::iq4_xs, QuantMix::q3_k_m, QuantMix::q2_k};

std::string draft_text(const DraftPlan& d) {
  const std::string who = d.method == "model"  ? d.model
                          : d.method == "self" ? fmt::format("a copy of itself in {}", d.model)
                                               : "words said before";
  return fmt::format("drafts by {}, {} a pass, tau {:.1f}{}", who, d.n, d.tau,
                     d.first.empty() ? "" : "; first: " + d.first);
}

// Of a model in another quantization no copy was made.
PlanOptions without_copies(PlanOptions options) {
  std::erase_if(options.drafts, [](const DraftOffer& d) { return d.method == "self"; });
  if (options.draft.starts_with("self")) options.draft = "self";
  return options;
}

class Adviser {
 public:
  Adviser(const ModelOutline& o, const Hardware& hw, const PlanOptions& options, const Plan& plan, double target)
      : o_(o), hw_(hw), options_(options), plan_(plan), target_(target) {}

  std::vector<Advice> run() {
    drafts();
    quants();
    kv_type();
    disks();
    ram();
    threads();
    // Those that reach the target come first, and of them what changes least: the slowest that is fast enough.
    std::stable_sort(out_.begin(), out_.end(), [](const Advice& a, const Advice& b) {
      if (a.reaches_target != b.reaches_target) return a.reaches_target;
      return a.reaches_target ? a.decode_tokens_per_s < b.decode_tokens_per_s
                              : a.decode_tokens_per_s > b.decode_tokens_per_s;
    });
    return std::move(out_);
  }

 private:
  std::optional<Plan> consider(Advice::Kind kind, const ModelOutline& o, const Hardware& hw, const PlanOptions& options,
                               std::string change, std::string option) {
    const auto p = make_plan(o, hw, options);
    if (!p || p->decode_tokens_per_s < kWorthSaying * plan_.decode_tokens_per_s) return std::nullopt;
    if (!change.empty())
      out_.push_back({kind, std::move(change), std::move(option), p->decode_tokens_per_s,
                      target_ > 0 && p->decode_tokens_per_s >= target_});
    return *p;
  }

  void drafts() {
    if (plan_.draft.bytes > 0 && plan_.undrafted_tps >= kWorthSaying * plan_.decode_tokens_per_s)
      out_.push_back({Advice::Kind::draft, "without a draft: its memory is worth more as the model's own",
                      "--draft none", plan_.undrafted_tps, target_ > 0 && plan_.undrafted_tps >= target_});
    PlanOptions with = options_;
    for (const char* method : {"model", "self", "ngram"}) {
      if (options_.draft == method) continue;
      with.draft = method;
      const auto p = consider(Advice::Kind::draft, o_, hw_, with, "", "");
      if (!p || p->draft.n == 0) continue;
      out_.push_back({Advice::Kind::draft, draft_text(p->draft), "--draft " + p->draft.word, p->decode_tokens_per_s,
                      target_ > 0 && p->decode_tokens_per_s >= target_});
    }
  }

  void quants() {
    double best = plan_.decode_tokens_per_s;
    bool reached = target_ <= 0, reached_with_draft = target_ <= 0;
    int offered = 0;
    const PlanOptions as_asked = without_copies(options_);
    PlanOptions with = as_asked;
    with.draft = "best";
    for (QuantMix mix : kOffered) {
      const ModelOutline smaller = model::requantized(o_, mix);
      if (static_cast<double>(smaller.weight_bytes()) > 0.97 * static_cast<double>(o_.weight_bytes())) continue;
      const std::string name(model::quant_mix_info(mix).name);
      const auto p = make_plan(smaller, hw_, as_asked);
      if (!p || p->decode_tokens_per_s < kWorthSaying * best) continue;
      // The next ones, and the first that reaches the target.
      const bool reaches = target_ > 0 && p->decode_tokens_per_s >= target_;
      if (offered < 3 || (reaches && !reached)) {
        ++offered;
        best = p->decode_tokens_per_s;
        out_.push_back({Advice::Kind::quant,
                        fmt::format("quantized to {} ({})", name, format_bytes(smaller.weight_bytes())),
                        "--quant " + name, p->decode_tokens_per_s, reaches});
        reached = reached || reaches;
      }
      if (reached_with_draft || options_.draft != "none") continue;
      const auto drafted = make_plan(smaller, hw_, with);
      if (!drafted || drafted->decode_tokens_per_s < target_ || drafted->draft.n == 0) continue;
      reached_with_draft = true;
      out_.push_back(
          {Advice::Kind::quant_and_draft, fmt::format("quantized to {}, with {}", name, draft_text(drafted->draft)),
           fmt::format("--quant {} --draft {}", name, drafted->draft.word), drafted->decode_tokens_per_s, true});
    }
  }

  void kv_type() {
    if (options_.kv_types.of(0).k != KvType::f16) return;
    PlanOptions with = options_;
    with.kv_types = KvTypes(KvType::q8_0, KvType::q8_0);
    consider(Advice::Kind::kv_type, o_, hw_, with, "keys and values in 8 bits", "--kv-type q8_0");
  }

  void disks() {
    if (plan_.placed.disk_bytes == 0 || hw_.disks.empty() || options_.disks.size() > 1) return;
    Hardware more = hw_;
    PlanOptions with = options_;
    const auto first = std::find_if(hw_.disks.begin(), hw_.disks.end(),
                                    [&](const auto& d) { return !plan_.disks.empty() && d.path == plan_.disks[0]; });
    Hardware::Disk second = first == hw_.disks.end() ? hw_.disks[0] : *first;
    with.disks = {second.path, second.path + " (second)"};
    second.path += " (second)";
    more.disks.push_back(second);
    consider(Advice::Kind::second_disk, o_, more, with,
             fmt::format("a second disk of {:.1f} GB/s, the model on both", second.gb_s), "--disk A --disk B");
  }

  void ram() {
    if (plan_.placed.disk_bytes == 0) return;
    Hardware more = hw_;
    PlanOptions with = options_;
    more.ram.bytes *= 2;
    if (with.ram_bytes > 0) with.ram_bytes *= 2;
    const uint64_t bytes = with.ram_bytes > 0 ? std::min(with.ram_bytes, more.ram.bytes) : more.ram.bytes;
    consider(Advice::Kind::more_ram, o_, more, with, fmt::format("{} of memory for it", format_bytes(bytes)),
             "twice the memory");
  }

  void threads() {
    if (options_.threads == 0) return;
    PlanOptions with = options_;
    with.threads = 0;
    consider(Advice::Kind::threads, o_, hw_, with, fmt::format("{} threads", hw_.compute_threads()),
             fmt::format("--threads {}", hw_.compute_threads()));
  }

  const ModelOutline& o_;
  const Hardware& hw_;
  const PlanOptions& options_;
  const Plan& plan_;
  const double target_;
  std::vector<Advice> out_;
};

}  // namespace

std::vector<Advice> advise(const ModelOutline& outline, const Hardware& hardware, const PlanOptions& options,
                           const Plan& plan, double target_tps) {
  return Adviser(outline, hardware, options, plan, target_tps).run();
}

std::span<const std::string_view> table_shapes() {
  static constexpr std::string_view names[] = {"llama-3.3-70b", "qwen2.5-72b", "mistral-large-123b", "glm-130b",
                                               "falcon-180b",   "grok-2",      "llama-3.1-405b"};
  return names;
}

std::span<const QuantMix> table_quants() {
  static constexpr QuantMix mixes[] = {
      QuantMix::bf16,   QuantMix::q8_0,   QuantMix::q6_k,    QuantMix::q5_k_m,  QuantMix::q4_k_m, QuantMix::q4_k_s,
      QuantMix::iq4_xs, QuantMix::q3_k_m, QuantMix::q3_k_s,  QuantMix::iq3_xxs, QuantMix::q2_k,   QuantMix::iq2_m,
      QuantMix::iq2_s,  QuantMix::iq2_xs, QuantMix::iq2_xxs, QuantMix::iq1_m,   QuantMix::iq1_s};
  return mixes;
}

std::vector<PlanRow> plan_table(std::span<const Hardware> machines, const PlanOptions& options, double target_tps) {
  std::vector<PlanRow> rows;
  for (std::string_view name : table_shapes()) {
    const auto shape = model::find_shape(name);
    if (!shape) continue;
    for (QuantMix mix : table_quants()) {
      const ModelOutline o = model::outline_of(**shape, mix);
      for (size_t i = 0; i < machines.size(); ++i) {
        PlanRow row{.shape = *shape,
                    .quant = model::quant_mix_info(mix).name,
                    .machine = i,
                    .bytes = o.weight_bytes(),
                    .n_params = o.n_params(),
                    .n_active_params = o.n_active_params()};
        row.bound_tps = 1 / bound_seconds(o, machines[i], options);
        PlanOptions with = options;
        with.draft = "none";
        if (const auto plain = make_plan(o, machines[i], with)) {
          row.fits = true;
          row.bound_tps = plain->bound_tps;
          row.seconds_per_pass = plain->plain_seconds;
          row.no_speculation_tps = row.lossless_tps = plain->no_speculation_tps;
          row.needs_tau = target_tps * plain->plain_seconds;
          for (const Loss& l : plain->losses)
            if (l.seconds > row.main_loss.seconds) row.main_loss = l;
          with.draft = "best";
          with.drafts = draft_candidates(o);
          if (const auto best = make_plan(o, machines[i], with)) {
            row.lossless_tps = best->decode_tokens_per_s;
            row.draft = best->draft;
          }
        }
        rows.push_back(std::move(row));
      }
      // One way of counting for all machines of a line: without the embedding table where one plan is faster than the
      // whole file (Plan::bound_seconds).
      const std::span line = std::span(rows).last(machines.size());
      if (std::ranges::any_of(line, [&](const PlanRow& r) {
            return r.no_speculation_tps > 1 / bound_seconds(o, machines[r.machine], options);
          })) {
        ModelOutline read = o;
        std::erase_if(read.tensors, [](const auto& t) { return t.read == model::OutlineTensor::Read::gathered; });
        for (PlanRow& r : line) r.bound_tps = 1 / bound_seconds(read, machines[r.machine], options);
      }
    }
  }
  return rows;
}

}  // namespace watra::engine
