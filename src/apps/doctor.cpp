// watra doctor: what this machine is, and with --measure what it can do.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/home.h"
#include "base/memory.h"
#include "engine/hardware.h"

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;

// The nearest folder that exists: the home may not have been made yet.
fs::path existing_parent(fs::path p) {
  std::error_code ec;
  while (!p.empty() && !fs::exists(p, ec) && p.has_relative_path()) p = p.parent_path();
  return p;
}

Status doctor(const Globals& g, bool measure) {
  const CpuInfo& cpu = cpu_info();
  WATRA_ASSIGN(const kernels::Kernels* kernels, kernels::select(g.isa));
  Json isas = Json::array();
  for (const auto* k : kernels::available())
    if (k->isa != "ref") isas.push_back(k->isa);
  Json report = {
      {"cpu",
       {{"model", cpu.model_name},
        {"isa", isas},
        {"features", cpu.features_text()},
        {"kernels", kernels->isa},
        {"cores", cpu.n_physical},
        {"p_cores", cpu.performance_cpus.size()},
        {"e_cores", cpu.efficiency_cpus.size()}}},
      {"ram",
       {{"bytes", total_memory_bytes()}, {"available_bytes", available_memory_bytes()}, {"read_gb_s", Json::array()}}},
      {"gpus", Json::array()},
      {"disks", Json::array()},
      {"kernels", Json::array()}};
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  const fs::path place = existing_parent(home);
  if (const auto free = free_space_bytes(place))
    report["disks"].push_back({{"path", place.string()}, {"free_bytes", *free}, {"direct_read_gb_s", nullptr}});
  if (measure) {
    const int most = g.threads ? g.threads : default_thread_count();
    for (int n = 1;; n = std::min(n * 2, most)) {
      ThreadTeam team(n);
      WATRA_ASSIGN(const double rate, engine::measure_read_gb_s(team));
      report["ram"]["read_gb_s"].push_back({{"threads", n}, {"gb_s", rate}});
      if (n == most) {
        report["cpu"]["int8_gop_s"] = engine::measure_int8_gop_s(team, *kernels);
        break;
      }
    }
  }
  if (g.json) {
    print_json(report);
    return {};
  }
  fmt::print("processor   {}\n", cpu.model_name);
  fmt::print("            {} cores, {}\n", cpu.n_physical,
             cpu.features_text().empty() ? "no vector extensions we use" : cpu.features_text());
  fmt::print("            kernels: {} (of {})\n", kernels->isa, isas.dump());
  fmt::print("memory      {}, {} free\n", format_bytes(total_memory_bytes()), format_bytes(available_memory_bytes()));
  for (const auto& r : report["ram"]["read_gb_s"])
    fmt::print("            {:>2} threads read {:.1f} GB/s\n", r["threads"].get<int>(), r["gb_s"].get<double>());
  if (measure)
    fmt::print("            8-bit products: {:.0f} billion a second\n", report["cpu"]["int8_gop_s"].get<double>());
  fmt::print("graphics    none that Watra uses yet\n");
  for (const auto& d : report["disks"])
    fmt::print("disk        {}: {} free\n", d["path"].get<std::string>(),
               format_bytes(d["free_bytes"].get<uint64_t>()));
  if (!measure) fmt::print("\n`watra doctor --measure` takes a few seconds and says how fast all this is.\n");
  return {};
}

}  // namespace

void add_doctor(CLI::App& app, Globals& g, Handler& chosen) {
  auto measure = std::make_shared<bool>(false);
  auto* c = app.add_subcommand("doctor", "Say what this machine is and can do");
  c->add_flag("--measure", *measure, "Measure memory and arithmetic rates");
  c->callback([&g, &chosen, measure] { chosen = [&g, measure] { return doctor(g, *measure); }; });
}

}  // namespace watra::apps
