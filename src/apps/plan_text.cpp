#include "apps/plan_text.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/memory.h"
#include "base/terminal.h"

namespace watra::apps {
namespace {

using engine::Part;
using engine::Tier;

constexpr int kBarWidth = 40;
constexpr double kWorthALetter = 0.05;  // of a pass

std::string styled(std::string_view text, const char* code) {
  const char* plain = std::getenv("NO_COLOR");
  if (!stdout_is_terminal() || (plain && *plain)) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}
std::string bold(std::string_view text) { return styled(text, "1"); }
std::string dim(std::string_view text) { return styled(text, "2"); }

// A bar of eighths of a column.
std::string bar(double share, int width) {
  constexpr const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int n = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * width * 8));
  std::string out;
  for (int i = 0; i < n / 8; ++i) out += "█";
  return out + eighths[n % 8];
}
int bar_columns(double share, int width) {
  return (static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * width * 8)) + 7) / 8;
}

std::string gb(double bytes) {
  return bytes >= 1e9   ? fmt::format("{:.1f} GB", bytes / 1e9)
         : bytes >= 1e6 ? fmt::format("{:.0f} MB", bytes / 1e6)
                        : fmt::format("{:.0f} KB", bytes / 1e3);
}

std::string params(int64_t n) {
  return n >= 1'000'000'000 ? fmt::format("{:.1f} billion", static_cast<double>(n) / 1e9)
                            : fmt::format("{:.0f} million", static_cast<double>(n) / 1e6);
}

std::string title(const model::ModelOutline& o) {
  return o.quant.empty() ? o.name : fmt::format("{} {}", o.name, o.quant);
}

// Longer text goes on in the next line, indented.
std::string wrapped(const std::string& text, size_t indent, size_t width) {
  std::string out;
  size_t column = indent;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    if (column + (end - at) > width && column > indent) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (at > 0) {
      out += ' ';
      ++column;
    }
    out += text.substr(at, end - at);
    column += end - at;
    at = end + 1;
  }
  return out;
}

void print_parts(const engine::Plan& p) {
  constexpr std::pair<Part, const char*> names[] = {{Part::vram, "graphics card"}, {Part::ram, "memory"},
                                                    {Part::disk, "disk"},          {Part::kv, "conversation"},
                                                    {Part::pcie, "card bus"},      {Part::overhead, "in between"}};
  double longest = p.draft.seconds;
  for (const auto& part : p.pass.parts) longest = std::max(longest, part.seconds);
  const auto line = [&](const char* name, double seconds, double bytes, bool hidden) {
    const double share = longest > 0 ? seconds / longest : 0;
    fmt::print("  {:<14} {}{:>{}}  {:>8}{}{}\n", name, bar(share, kBarWidth), "",
               kBarWidth - bar_columns(share, kBarWidth), seconds_text(seconds),
               bytes > 0 ? fmt::format("  {:>9}", gb(bytes)) : std::string(11, ' '), hidden ? dim("  meanwhile") : "");
  };
  fmt::print("{}\n", bold("where the time goes"));
  for (const auto& [part, name] : names) {
    const auto& t = p.pass[part];
    if (t.seconds <= 0) continue;
    line(name, t.seconds, part == Part::overhead || part == Part::pcie ? 0 : t.bytes,
         part == Part::disk && t.exposed <= 0);
  }
  if (p.draft.n > 0) line("drafting", p.draft.seconds, 0, false);
  if (p.pass[Part::disk].exposed > 0)
    fmt::print("  {}\n", dim("the disk is the wall: everything else is done while it reads"));
  fmt::print("\n");
}

void print_losses(const engine::Plan& p) {
  fmt::print("{}\n", bold("why not faster"));
  fmt::print("  {:>9}  all bytes over the machine's rates: {} tokens a second, no program is faster without drafts\n",
             seconds_text(p.bound_seconds), rate_text(p.bound_tps));
  for (const auto& loss : p.losses) {
    if (std::abs(loss.seconds) < 0.001 * p.plain_seconds) continue;
    fmt::print("  {}{:>8}  {}\n", loss.seconds < 0 ? '-' : '+', seconds_text(std::abs(loss.seconds)),
               wrapped(loss.reason, 13, 98));
  }
  fmt::print("  {:>9}  {}\n\n", seconds_text(p.plain_seconds), "one token after the other, as predicted");
}

void print_memory(const engine::Plan& p) {
  constexpr std::pair<Tier, const char*> tiers[] = {
      {Tier::vram, "graphics card"}, {Tier::ram, "memory"}, {Tier::disk, "disk"}};
  fmt::print("{}\n", bold("what lies where"));
  for (const auto& [tier, name] : tiers) {
    uint64_t sum = 0;
    std::string parts;
    for (const auto& m : p.memory)
      if (m.tier == tier) {
        sum += m.bytes;
        parts += fmt::format("{}{} {}", parts.empty() ? "" : " + ", m.tag == "kv cache" ? "keys and values" : m.tag,
                             format_bytes(m.bytes));
      }
    if (sum == 0) continue;
    const uint64_t limit = tier == Tier::vram ? p.vram_limit_bytes : tier == Tier::ram ? p.ram_limit_bytes : 0;
    fmt::print("  {:<14} {:>9}{}  {}\n", name, format_bytes(sum),
               limit > 0 ? fmt::format(" of {:>9}", format_bytes(limit)) : std::string(13, ' '),
               wrapped(parts, 41, 110));
  }
  fmt::print("\n");
}

}  // namespace

std::string rate_text(double r) {
  if (r <= 0) return "0";
  return r < 0.01    ? fmt::format("{:.4f}", r)
         : r < 0.1   ? fmt::format("{:.3f}", r)
         : r < 1.995 ? fmt::format("{:.2f}", r)
         : r < 9.95  ? fmt::format("{:.1f}", r)
                     : fmt::format("{:.0f}", r);
}

std::string seconds_text(double s) {
  return s < 0.0001    ? fmt::format("{:.0f} us", 1e6 * s)
         : s < 0.00995 ? fmt::format("{:.1f} ms", 1e3 * s)
         : s < 0.9995  ? fmt::format("{:.0f} ms", 1e3 * s)
         : s < 9.95    ? fmt::format("{:.2f} s", s)
         : s < 120     ? fmt::format("{:.1f} s", s)
         : s < 7200    ? fmt::format("{:.0f} min", s / 60)
                       : fmt::format("{:.1f} h", s / 3600);
}

std::string verdict(const PlanReport& r) {
  const engine::Plan& p = r.plan;
  if (r.outline.is_encoder)
    return fmt::format("an encoder: {} tokens a second become vectors, a text of {} tokens in {}; it writes nothing.",
                       rate_text(p.ttft_s > 0 ? static_cast<double>(p.n_prompt) / p.ttft_s : 0), p.n_prompt,
                       seconds_text(p.ttft_s));
  std::string speed = fmt::format("{} {} a second", rate_text(p.decode_tokens_per_s),
                                  p.decode_tokens_per_s > 0.995 && p.decode_tokens_per_s < 1.05 ? "token" : "tokens");
  if (p.draft_costs())
    speed += fmt::format(", and {} without the draft: it takes more than it gives", rate_text(p.undrafted_tps));
  if (r.target_tps <= 0) return speed + ".";
  const std::string wish = fmt::format("{:.6g}", r.target_tps);
  if (p.decode_tokens_per_s >= r.target_tps) return fmt::format("{}; you asked for {}: it gets there.", speed, wish);
  std::string out = fmt::format("{}; you asked for {}.", speed, wish);
  const auto way = std::find_if(r.advice.begin(), r.advice.end(), [](const auto& a) { return a.reaches_target; });
  if (way != r.advice.end())
    return out + fmt::format(" It gets there {}: {}.",
                             way->kind == engine::Advice::Kind::draft ? "with " + way->change : way->change,
                             rate_text(way->decode_tokens_per_s));
  const double needs = r.target_tps * p.plain_seconds;
  out += fmt::format(" Nothing listed below gets there: one pass takes {}, so each would have to yield {:.{}f} tokens",
                     seconds_text(p.plain_seconds), needs, needs < 20 ? 1 : 0);
  double best = 1;
  for (const auto& a : r.advice)
    if (a.kind == engine::Advice::Kind::draft) best = std::max(best, a.decode_tokens_per_s * p.plain_seconds);
  if (best > 1) return out + fmt::format(", and the best draft known is worth {:.1f}.", best);
  return out + ".";
}

namespace {

std::string threads_text(int n) { return fmt::format("{} {}", n, n == 1 ? "thread" : "threads"); }

void print_rates(const engine::Hardware& hw, int threads) {
  if (!hw.measured_at.empty())
    fmt::print("\n{}\n", dim(fmt::format("rates of this machine as measured {}: memory {:.1f} GB/s{}", hw.measured_at,
                                         hw.ram_gb_s(threads),
                                         hw.disks.empty() ? "" : fmt::format(", disk {:.2f}", hw.disks[0].gb_s))));
  else
    fmt::print("\n{}\n",
               dim(fmt::format("rates as published, not measured: {}memory {:g} GB/s{}",
                               hw.has_vram() ? fmt::format("card {:g} GB/s, ", hw.vram.gb_s) : "", hw.ram.gb_s,
                               hw.disks.empty() ? "" : fmt::format(", disk {:g}", hw.disks[0].gb_s))));
}

void print_encoder_plan(const PlanReport& r) {
  const engine::Plan& p = r.plan;
  fmt::print("{} on {}\n\n", bold(title(r.outline)), r.hardware.name);
  fmt::print("  {}\n", bold(wrapped(verdict(r), 2, 98)));
  fmt::print("  {}\n", dim(fmt::format("{} parameters, {}; texts of at most {} tokens, {} of them a pass; {}",
                                       params(r.outline.n_params()), gb(static_cast<double>(r.outline.weight_bytes())),
                                       p.n_ctx, p.micro_batch, threads_text(p.threads))));
  if (p.load_s > 0) fmt::print("  {}\n", dim(fmt::format("loading takes {}", seconds_text(p.load_s))));
  fmt::print("\n");
  print_memory(p);
  print_rates(r.hardware, p.threads);
}

}  // namespace

void print_plan(const PlanReport& r) {
  if (r.outline.is_encoder) return print_encoder_plan(r);
  const engine::Plan& p = r.plan;
  const auto& hw = r.hardware;
  fmt::print("{} on {}\n\n", bold(title(r.outline)), hw.name);
  fmt::print("  {}\n", bold(wrapped(verdict(r), 2, 98)));
  const int64_t active = r.outline.n_active_params();
  fmt::print("  {}\n",
             dim(fmt::format("{} parameters{}, {}; conversation of {} of at most {} tokens, keys and values in {}; {}",
                             params(r.outline.n_params()),
                             r.outline.n_experts > 0 ? fmt::format(" ({} a token)", params(active)) : "",
                             gb(static_cast<double>(r.outline.weight_bytes())), p.depth, p.n_ctx, p.kv_types.text(),
                             threads_text(p.threads))));
  fmt::print("  {}\n", dim(fmt::format("a prompt of {} tokens is read in {}{}", p.n_prompt, seconds_text(p.ttft_s),
                                       p.load_s > 0 ? fmt::format("; loading takes {}", seconds_text(p.load_s)) : "")));
  const std::string who = p.draft.method == "model"  ? p.draft.model
                          : p.draft.method == "self" ? fmt::format("a copy of the model in {}", p.draft.model)
                                                     : "what was said before";
  if (p.draft.n > 0 && p.draft.acceptance.measured)
    fmt::print("  {}\n", dim(wrapped(fmt::format("drafts by {} made it {:.2f} times as fast, a pass yielded {:.2f} "
                                                 "tokens ({})",
                                                 who, p.draft.acceptance.measured->speed_up, p.draft.tau,
                                                 p.draft.acceptance.source),
                                     2, 98)));
  else if (p.draft.n > 0)
    fmt::print("  {}\n", dim(wrapped(fmt::format("each pass checks {} tokens drafted by {} and yields {:.1f} ({})",
                                                 p.draft.n, who, p.draft.tau, p.draft.acceptance.source),
                                     2, 98)));
  else if (p.draft.method != "none")
    fmt::print("  {}\n", dim(wrapped(fmt::format("drafting by {} does not pay here ({}) and is left out", who,
                                                 p.draft.acceptance.source),
                                     2, 98)));
  if (p.draft.bytes > 0 && p.draft.n > 0 && !p.draft_costs())
    fmt::print("  {}\n", dim(fmt::format("without a draft, and with its memory for weights: {} tokens a second",
                                         rate_text(p.undrafted_tps))));
  if (!p.draft.first.empty()) fmt::print("  {}\n", dim(wrapped("before: " + p.draft.first, 2, 98)));
  if (p.placed.vram_bytes > 0)
    fmt::print("  {}\n", dim("the card's share comes with a later version of Watra; --vram 0 plans without it"));
  fmt::print("\n");
  print_parts(p);
  print_losses(p);
  print_memory(p);
  fmt::print("{}\n", bold("what would change it"));
  if (r.advice.empty()) fmt::print("  nothing Watra knows of\n");
  for (const auto& a : r.advice)
    fmt::print("  {:>6} t/s {} {}  {}\n", rate_text(a.decode_tokens_per_s),
               r.target_tps > 0 ? (a.reaches_target ? "✓" : " ") : " ", wrapped(a.change, 15, 70),
               dim("[" + a.option + "]"));
  print_rates(hw, p.threads);
}

void print_table(std::span<const engine::PlanRow> rows, std::span<const engine::Hardware> machines, double target_tps) {
  const size_t n = machines.size();
  // Why a prediction stays below its bound: a letter for each reason.
  std::vector<std::string> reasons;
  const auto letter = [&](const engine::PlanRow& r) -> std::string {
    if (!r.fits || r.main_loss.seconds < kWorthALetter * r.seconds_per_pass) return " ";
    auto at = std::find(reasons.begin(), reasons.end(), r.main_loss.reason);
    if (at == reasons.end()) at = reasons.insert(at, r.main_loss.reason);
    return std::string(1, static_cast<char>('a' + (at - reasons.begin())));
  };
  // "1.36  1.26  4.8  4.0" for each machine.
  constexpr int kColumns = 4, kWidth = 8, kBehind = 10;
  fmt::print("{:<19}", "");
  for (const auto& m : machines)
    fmt::print("│ {:<{}}", fmt::format("{}, {:g} GB/s", m.name, m.ram.gb_s).substr(0, 44),
               kColumns * kWidth + kBehind - 1);
  fmt::print("\n{:<9}{:>9} ", "", "GB");
  for (size_t i = 0; i < n; ++i)
    fmt::print("│{:>{}}{:>{}}{:>{}}{:>{}}{:>7}   ", "bound", kWidth, "plain", kWidth, "lossless", kWidth + 1, "needs",
               kWidth - 1, "s/pass");
  fmt::print("\n");
  const model::KnownShape* shape = nullptr;
  std::string rule;
  for (int i = 0; i < 19; ++i) rule += "─";
  for (size_t m = 0; m < n; ++m) {
    rule += "┼";
    for (int i = 0; i < kColumns * kWidth + kBehind; ++i) rule += "─";
  }
  for (size_t at = 0; at + n <= rows.size(); at += n) {
    const engine::PlanRow& first = rows[at];
    if (first.shape != shape) {
      shape = first.shape;
      fmt::print(
          "{}\n{}\n", dim(rule),
          bold(fmt::format(
              "{}: {} parameters{}", shape->label, params(first.n_params),
              shape->n_experts > 0 ? fmt::format(", {} take part in a token", params(first.n_active_params)) : "")));
    }
    fmt::print("  {:<8}{:>8.1f} ", first.quant, static_cast<double>(first.bytes) / 1e9);
    for (size_t m = 0; m < n; ++m) {
      const engine::PlanRow& r = rows[at + m];
      if (!r.fits) {
        fmt::print("│{:>{}}{:<{}}", rate_text(r.bound_tps), kWidth, "   does not fit",
                   kColumns * kWidth + kBehind - kWidth);
        continue;
      }
      const auto precise = [](double v) { return v < 9.995 && v >= 0.1 ? fmt::format("{:.2f}", v) : rate_text(v); };
      fmt::print("│{:>{}}{:>{}}{:>{}}{:>{}}{:>7} {} ", precise(r.bound_tps), kWidth, precise(r.no_speculation_tps),
                 kWidth, precise(r.lossless_tps), kWidth + 1,
                 r.needs_tau <= 1 ? "-" : fmt::format("{:.{}f}", r.needs_tau, r.needs_tau < 20 ? 1 : 0), kWidth - 1,
                 fmt::format("{:.{}f}", r.seconds_per_pass, r.seconds_per_pass < 9.995 ? 2 : 0), letter(r));
    }
    fmt::print("\n");
  }
  if (!reasons.empty()) fmt::print("\nMost of what is lost between bound and plain (5 % of a pass and more):\n");
  for (size_t i = 0; i < reasons.size(); ++i)
    fmt::print("  {}  {}\n", static_cast<char>('a' + i), wrapped(reasons[i], 5, 98));
  fmt::print(
      "\nTokens a second. bound: all bytes over the machine's rates, no program is faster without drafts; of mixtures\n"
      "only the experts a token chooses. plain: predicted, one token after the other. lossless: with the best draft\n"
      "known, whether it is here or not, the same words. needs: tokens each pass would have to yield for {:g} a\n"
      "second. s/pass: predicted. Rates are published ones (hardware/*.json has the source of each). The yield of\n"
      "drafts is that of free conversation: of models of 1B and more as published for pairs of this size, of copies\n"
      "in 2 and 3 bits and of words said before as we measured it, on other machines. The card's share comes with a\n"
      "later version of Watra.\n",
      target_tps);
}

void print_why(const engine::RunRecord& run, std::span<const engine::Cause> causes) {
  fmt::print("{}, {}\n\n", bold(run.model), run.when);
  const auto line = [&](const char* what, double tps, double most) {
    fmt::print("  {:<10} {}{:>{}}  {:>6} tokens a second\n", what, bar(tps / most, kBarWidth), "",
               kBarWidth - bar_columns(tps / most, kBarWidth), rate_text(tps));
  };
  const double most = std::max({run.predicted_tps, run.measured_tps, run.planned_tps, 1e-9});
  const bool drafts_differ = run.planned_tps > 0 && std::abs(run.planned_tps / run.predicted_tps - 1) > 0.02;
  if (drafts_differ) line("planned", run.planned_tps, most);
  if (run.predicted_tps > 0) line("predicted", run.predicted_tps, most);
  line("measured", run.measured_tps, most);
  fmt::print("\n");
  if (drafts_differ)
    fmt::print(
        "  Planned before the answer; predicted with what drafts did in it: {:.2f} tokens a pass, {:.0f} % of the\n"
        "  drafted ones came true.\n",
        run.tau, 100 * run.accept_rate);
  if (run.predicted_tps <= 0)
    fmt::print("  Nothing was predicted: this machine had not been measured. `watra doctor --measure` does it.\n");
  else if (!engine::is_slower(run))
    fmt::print("  As predicted: {:.0f} % of it.\n", 100 * run.measured_tps / run.predicted_tps);
  else if (causes.empty())
    fmt::print(
        "  Slower than predicted, and nothing that was watched explains it: no other program, no paging, no\n"
        "  long conversation, no lowered clock. Memory may be slower now than when it was measured:\n"
        "  `watra plan MODEL --measure` takes the rates anew.\n");
  else
    fmt::print("{}\n", bold("why it was slower"));
  for (const auto& c : causes) {
    fmt::print("  {}{}\n      {}\n", wrapped(c.what, 4, 98),
               c.slows_by >= 0.01 ? fmt::format(" (about {:.0f} % of the speed)", 100 * c.slows_by) : "",
               wrapped(c.figure, 6, 98));
    if (!c.advice.empty()) fmt::print("      {}\n", dim(wrapped("try: " + c.advice, 6, 98)));
  }
  fmt::print("\n  {}\n",
             dim(fmt::format("{} tokens after a prompt of {}; {}; weights read at {:.1f} GB/s; processor {:.0f} % busy "
                             "with it;",
                             run.n_gen, run.n_prompt, threads_text(run.threads), run.weight_gb_s,
                             100 * run.load.cpu_s / std::max(1e-9, run.load.wall_s) / std::max(1, run.threads))));
  fmt::print("  {}\n", dim(fmt::format(
                           "{} page faults from disk; {} read from disks; waiting for a processor {:.0f} % of the time",
                           run.load.major_faults, format_bytes(run.load.disk_read_bytes),
                           100 * std::min(1.0, run.load.cpu_pressure_s / std::max(1e-9, run.load.wall_s)))));
}

}  // namespace watra::apps
