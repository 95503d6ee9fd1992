// watra doctor: what this machine is, and with --measure what it can do.
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "apps/command.h"
#include "apps/loading.h"
#include "apps/machine.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/home.h"
#include "base/memory.h"

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;

// The nearest folder that exists: the home may not have been made yet.
fs::path existing_parent(fs::path p) {
  std::error_code ec;
  while (!p.empty() && !fs::exists(p, ec) && p.has_relative_path()) p = p.parent_path();
  return p;
}

// Why these kernels and no others.
std::string kernels_reason(const Globals& g) {
  if (!g.isa.empty()) return "chosen by --isa";
  const char* forced = std::getenv("WATRA_ISA");
  return forced && *forced ? "chosen by WATRA_ISA" : "the last one listed that this processor can run";
}

Json cpu_report(const Globals& g, const kernels::Kernels& kernels, const std::vector<int>& cpus) {
  const CpuInfo& cpu = cpu_info();
  Json isas = Json::array();
  for (const auto* k : kernels::available())
    if (!kernels::is_truth(*k)) isas.push_back(k->isa);
  const int threads = g.threads ? g.threads : !cpus.empty() ? static_cast<int>(cpus.size()) : default_thread_count();
  return {{"model", cpu.model_name},
          {"isa", isas},
          {"features", cpu.features_text()},
          {"kernels", kernels.isa},
          {"kernels_form", kernels.form},
          {"kernels_reason", kernels_reason(g)},
          {"cores", cpu.n_physical},
          {"logical", cpu.n_logical},
          {"p_cores", count_cores(cpu.performance_cpus)},
          {"e_cores", count_cores(cpu.efficiency_cpus)},
          {"threads", threads},
          {"bound_to", cpus.empty() ? default_affinity(threads).cpus : cpus}};
}

// Whether huge pages are given is seen only by asking for some.
Json huge_page_report() {
  constexpr uint64_t kProbe = 64u << 20;
  const uint64_t before = huge_page_bytes();
  double share = 0;
  if (const auto probe = Buffer::allocate(nullptr, "probe", kProbe)) {
    for (uint64_t at = 0; at < kProbe; at += 4096) probe->data()[at] = std::byte{1};
    const uint64_t now = huge_page_bytes();
    share = now > before ? std::min(1.0, static_cast<double>(now - before) / static_cast<double>(kProbe)) : 0;
  }
  return {{"setting", huge_page_setting()}, {"share_given", share}};
}

// The model shelf's disk and those named by --disk; rates as measured, where they were.
Result<Json> disk_report(const Globals& g, const std::optional<engine::Hardware>& measured) {
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  std::vector<fs::path> places = {home / "models"};
  for (const auto& disk : g.disks) places.emplace_back(disk);
  Json out = Json::array();
  for (const fs::path& place : places) {
    const auto free = free_space_bytes(existing_parent(place));
    if (!free) continue;
    Json disk = {{"path", existing_parent(place).string()}, {"free_bytes", *free}, {"direct_read_gb_s", nullptr}};
    if (measured) {
      const auto at = std::find_if(measured->disks.begin(), measured->disks.end(),
                                   [&](const auto& d) { return d.path == place.string(); });
      if (at != measured->disks.end()) {
        disk["direct_read_gb_s"] = at->gb_s;
        disk["read_bytes"] = at->read_bytes;
        disk["reads_in_flight"] = at->depth;
      } else {
        disk["not_measured"] =
            measured->about.empty() ? "watra doctor --measure has not been told of it" : measured->about;
      }
    }
    out.push_back(std::move(disk));
  }
  return out;
}

void add_measured(const engine::Hardware& hw, Json& report) {
  for (const auto& r : hw.ram.by_threads)
    report["ram"]["read_gb_s"].push_back({{"threads", r.threads}, {"gb_s", r.gb_s}});
  report["ram"]["usable_bytes"] = hw.ram.bytes;
  report["cpu"]["int8_gop_s"] = hw.cpu.int8_gop_s;
  report["cpu"]["fp32_gflop_s"] = hw.cpu.fp32_gflop_s;
  report["cpu"]["layer_overhead_us"] = hw.cpu.layer_overhead_us;
  report["cpu"]["small_op_ns"] = hw.cpu.small_op_ns;
  report["cpu"]["pass_share"] = hw.cpu.pass_share;
  report["cpu"]["kv_gb_s"] = hw.cpu.kv_gb_s;
  report["cpu"]["streamed_gb_s"] = hw.cpu.streamed_gb_s;
  for (const auto& k : hw.kernels)
    report["kernels"].push_back(
        {{"dtype", tensor::dtype_name(k.dtype)}, {"isa", hw.cpu.isa}, {"m", k.m}, {"gb_s", k.gb_s}});
  report["measured_at"] = hw.measured_at;
}

void print_report(const Json& report, bool measured) {
  const Json& cpu = report["cpu"];
  const auto text = [](const Json& j) { return j.get<std::string>(); };
  fmt::print("processor   {}\n", text(cpu["model"]));
  const std::string kinds =
      cpu["e_cores"].get<int>() == 0
          ? ""
          : fmt::format(" ({} fast, {} efficient)", cpu["p_cores"].get<int>(), cpu["e_cores"].get<int>());
  fmt::print("            {} cores{}, {}\n", cpu["cores"].get<int>(), kinds,
             text(cpu["features"]).empty() ? "no vector extensions we use" : text(cpu["features"]));
  const std::string form = text(cpu["kernels_form"]);
  fmt::print("            kernels: {}{} of {}, {}\n", text(cpu["kernels"]), form.empty() ? "" : " (" + form + ")",
             fmt::join(cpu["isa"].get<std::vector<std::string>>(), ", "), text(cpu["kernels_reason"]));
  const auto bound = cpu["bound_to"].get<std::vector<int>>();
  fmt::print("            {} threads{}\n", cpu["threads"].get<int>(),
             bound.empty() ? "" : fmt::format(" on processors {}", fmt::join(bound, ",")));
  const Json &ram = report["ram"], &huge = ram["huge_pages"];
  fmt::print("memory      {}, {} free\n", format_bytes(ram["bytes"].get<uint64_t>()),
             format_bytes(ram["available_bytes"].get<uint64_t>()));
  fmt::print("            huge pages: {:.0f} % given when asked for (system setting: {})\n",
             100 * huge["share_given"].get<double>(),
             text(huge["setting"]).empty() ? "unknown" : text(huge["setting"]));
  if (ram["nodes"].get<int>() > 1)
    fmt::print("            {} nodes: weights lie on all in turn\n", ram["nodes"].get<int>());
  for (const auto& r : ram["read_gb_s"])
    fmt::print("            {:>2} threads read {:.1f} GB/s\n", r["threads"].get<int>(), r["gb_s"].get<double>());
  if (measured) fmt::print("            8-bit operations: {:.0f} billion a second\n", cpu["int8_gop_s"].get<double>());
  fmt::print("graphics    none that Watra uses yet\n");
  for (const auto& d : report["disks"])
    fmt::print("disk        {}: {} free{}\n", text(d["path"]), format_bytes(d["free_bytes"].get<uint64_t>()),
               d["direct_read_gb_s"].is_number()
                   ? fmt::format(", direct reads {:.2f} GB/s", d["direct_read_gb_s"].get<double>())
               : d.contains("not_measured") ? "; not measured: " + text(d["not_measured"])
                                            : "");
  // One line a format: GB/s of weights by rows of activations.
  std::string dtype, line;
  bool first = true;
  const auto flush = [&] {
    if (!line.empty())
      fmt::print("{}{:<6} {}\n", std::exchange(first, false) ? "products    " : "            ", dtype, line);
    line.clear();
  };
  for (const auto& k : report["kernels"]) {
    if (text(k["dtype"]) != dtype) flush();
    dtype = text(k["dtype"]);
    const double gb_s = k["gb_s"].get<double>();
    line += fmt::format("{:>8}", fmt::format("{}: {:.{}f}", k["m"].get<int>(), gb_s, gb_s < 9.95 ? 1 : 0)) + "  ";
  }
  flush();
  if (!first) fmt::print("            (GB/s of weights by tokens in the pass)\n");
  if (measured)
    fmt::print("\nrates as measured {}; `watra doctor --measure` takes them anew\n", text(report["measured_at"]));
  else
    fmt::print(
        "\n`watra doctor --measure` takes up to a minute and says how fast all this is;\n`watra plan MODEL` then says "
        "what that means for a model.\n");
}

Status doctor(const Globals& g, bool measure) {
  WATRA_ASSIGN(const kernels::Kernels* kernels, kernels::select(g.isa));
  WATRA_ASSIGN(const std::vector<int> cpus, chosen_cpus(g));
  Json report = {{"cpu", cpu_report(g, *kernels, cpus)},
                 {"ram",
                  {{"bytes", total_memory_bytes()},
                   {"available_bytes", available_memory_bytes()},
                   {"nodes", memory_nodes().size()},
                   {"huge_pages", huge_page_report()},
                   {"read_gb_s", Json::array()}}},
                 {"gpus", Json::array()}};
  std::optional<engine::Hardware> measured = measure ? std::nullopt : cached_machine(g);
  if (measure) {
    WATRA_ASSIGN(measured, this_machine(g, true));
  }
  report["measured_at"] = nullptr;
  WATRA_ASSIGN(report["disks"], disk_report(g, measured));
  report["kernels"] = Json::array();
  if (measured) add_measured(*measured, report);
  if (g.json)
    print_json(report);
  else
    print_report(report, measured.has_value());
  return {};
}

}  // namespace

void add_doctor(CLI::App& app, Globals& g, Handler& chosen) {
  auto measure = std::make_shared<bool>(false);
  auto* c = app.add_subcommand("doctor", "Say what this machine is and can do");
  c->add_flag("--measure", *measure, "Measure memory, disks, arithmetic and products");
  c->callback([&g, &chosen, measure] { chosen = [&g, measure] { return doctor(g, *measure); }; });
}

}  // namespace watra::apps
