#include "engine/run_record.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace watra::engine {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kSlower = 0.9;
// Below these a figure is the usual hum of a machine.
constexpr double kMuchPressure = 0.1, kMuchWaiting = 0.1;
constexpr double kFaultsPerToken = 2;
// A page read because of a fault, one after the other: what an SSD needs for it.
constexpr double kFaultSeconds = 100e-6;
constexpr double kHot = 0.8;

fs::path path_of(const fs::path& home) { return home / "runs.json"; }

Json to_json(const RunRecord& r) {
  return {{"model", r.model},
          {"when", r.when},
          {"predicted_tps", r.predicted_tps},
          {"measured_tps", r.measured_tps},
          {"planned_tps", r.planned_tps},
          {"n_prompt", r.n_prompt},
          {"n_gen", r.n_gen},
          {"end_positions", r.end_positions},
          {"planned_depth", r.planned_depth},
          {"kv_seconds_per_position", r.kv_seconds_per_position},
          {"threads", r.threads},
          {"fast_cores", r.fast_cores},
          {"cores", r.cores},
          {"weight_gb_s", r.weight_gb_s},
          {"wall_s", r.load.wall_s},
          {"cpu_s", r.load.cpu_s},
          {"major_faults", r.load.major_faults},
          {"involuntary_switches", r.load.involuntary_switches},
          {"cpu_pressure_s", r.load.cpu_pressure_s},
          {"memory_pressure_s", r.load.memory_pressure_s},
          {"disk_read_bytes", r.load.disk_read_bytes},
          {"mhz_before", r.clock_before.mhz},
          {"mhz_after", r.clock_after.mhz},
          {"max_mhz", r.clock_after.max_mhz},
          {"draft_method", r.draft_method},
          {"accept_rate", r.accept_rate},
          {"tau", r.tau},
          {"available_bytes", r.available_bytes}};
}

RunRecord from_json(const Json& j) {
  RunRecord r;
  const auto read = [&](const char* key, auto& out) {
    if (const auto it = j.find(key); it != j.end() && !it->is_null()) out = it->get<std::decay_t<decltype(out)>>();
  };
  read("model", r.model);
  read("when", r.when);
  read("predicted_tps", r.predicted_tps);
  read("measured_tps", r.measured_tps);
  read("planned_tps", r.planned_tps);
  read("n_prompt", r.n_prompt);
  read("n_gen", r.n_gen);
  read("end_positions", r.end_positions);
  read("planned_depth", r.planned_depth);
  read("kv_seconds_per_position", r.kv_seconds_per_position);
  read("threads", r.threads);
  read("fast_cores", r.fast_cores);
  read("cores", r.cores);
  read("weight_gb_s", r.weight_gb_s);
  read("wall_s", r.load.wall_s);
  read("cpu_s", r.load.cpu_s);
  read("major_faults", r.load.major_faults);
  read("involuntary_switches", r.load.involuntary_switches);
  read("cpu_pressure_s", r.load.cpu_pressure_s);
  read("memory_pressure_s", r.load.memory_pressure_s);
  read("disk_read_bytes", r.load.disk_read_bytes);
  read("mhz_before", r.clock_before.mhz);
  read("mhz_after", r.clock_after.mhz);
  read("max_mhz", r.clock_after.max_mhz);
  read("draft_method", r.draft_method);
  read("accept_rate", r.accept_rate);
  read("tau", r.tau);
  read("available_bytes", r.available_bytes);
  r.clock_before.max_mhz = r.clock_after.max_mhz;
  return r;
}

}  // namespace

std::vector<RunRecord> load_runs(const fs::path& home) {
  std::vector<RunRecord> runs;
  const auto text = read_text_file(path_of(home), 1u << 20);
  if (!text) return runs;
  try {
    const Json json = Json::parse(*text);
    for (const Json& j : json.at("runs")) runs.push_back(from_json(j));
  } catch (const Json::exception&) {  // not ours, or cut: begun anew
    runs.clear();
  }
  return runs;
}

Status save_run(const fs::path& home, const RunRecord& record) {
  std::vector<RunRecord> runs = load_runs(home);
  runs.insert(runs.begin(), record);
  if (runs.size() > kMostRecords) runs.resize(kMostRecords);
  Json list = Json::array();
  for (const auto& r : runs) list.push_back(to_json(r));
  WATRA_TRY(make_folders(home));
  return write_file_atomic(path_of(home), Json{{"runs", list}}.dump(1, ' ', false, Json::error_handler_t::replace));
}

bool is_slower(const RunRecord& r) {
  return r.predicted_tps > 0 && r.measured_tps > 0 && r.measured_tps < kSlower * r.predicted_tps;
}

std::vector<Cause> explain_run(const RunRecord& r) {
  std::vector<Cause> causes;
  if (!is_slower(r)) return causes;
  const double wall = std::max(1e-6, r.load.wall_s), per_token = 1 / r.measured_tps;
  const double lost = 1 - r.measured_tps / r.predicted_tps;

  if (const double pressure = r.load.cpu_pressure_s / wall; pressure > kMuchPressure) {
    // All threads of a pass wait for the one that has to share its processor.
    causes.push_back(
        {"another program wanted the processor",
         fmt::format("for {:.0f} % of the time something waited for a processor, and our threads were put "
                     "aside {} times",
                     100 * std::min(1.0, pressure), r.load.involuntary_switches),
         r.threads > 1 ? fmt::format("close it, or leave it a core: --threads {}", r.threads - 1) : "close it",
         std::min(lost, pressure)});
  } else if (const double working = r.load.cpu_s / wall / std::max(1, r.threads); working < 1 - kMuchWaiting - 0.15) {
    causes.push_back({"our threads did not get the processor, or waited for the disk",
                      fmt::format("they worked {:.0f} % of the time", 100 * working),
                      "a limit on processor time (a container, battery saving) looks like this", lost * (1 - working)});
  }
  const double faults = static_cast<double>(r.load.major_faults) / std::max<double>(1, static_cast<double>(r.n_gen));
  if (faults > kFaultsPerToken || r.load.memory_pressure_s / wall > kMuchWaiting) {
    const double by_faults = faults * kFaultSeconds / per_token;
    causes.push_back(
        {"memory ran short and pages came back from the disk",
         fmt::format("{} page faults that read from a disk, {:.0f} for each token; waiting for memory took "
                     "{:.0f} % of the time",
                     r.load.major_faults, faults, 100 * std::min(1.0, r.load.memory_pressure_s / wall)),
         "a smaller --ctx, a smaller quantization, fewer other programs; --ram keeps Watra within a limit",
         std::min(lost, std::max(by_faults, r.load.memory_pressure_s / wall))});
  }
  const double mean_depth = static_cast<double>(r.end_positions) - static_cast<double>(r.n_gen) / 2;
  if (const double further = mean_depth - static_cast<double>(r.planned_depth); further > 0) {
    const double share = further * r.kv_seconds_per_position / per_token;
    if (share > 0.03)
      causes.push_back({"the conversation was longer than the plan's",
                        fmt::format("{:.0f} tokens on average, planned for {}", mean_depth, r.planned_depth),
                        "--kv-type q8_0 halves what is read of it", std::min(lost, share)});
  }
  if (r.fast_cores > 0 && r.threads > r.fast_cores)
    causes.push_back({"threads ran on efficiency cores, and the fast ones waited for them",
                      fmt::format("{} threads, {} fast cores", r.threads, r.fast_cores),
                      fmt::format("--threads {}", r.fast_cores), lost / 2});
  else if (r.cores > 0 && r.threads > r.cores)
    causes.push_back({"more threads than cores: they took turns",
                      fmt::format("{} threads, {} cores", r.threads, r.cores), fmt::format("--threads {}", r.cores),
                      lost / 2});
  if (r.clock_after.max_mhz > 0 && r.clock_after.mhz > 0 && r.clock_after.mhz < kHot * r.clock_after.max_mhz)
    causes.push_back({"the processor ran below its highest clock: heat, or saving power",
                      fmt::format("{:.1f} GHz at the end, {:.1f} at the beginning, {:.1f} at most",
                                  r.clock_after.mhz / 1000, r.clock_before.mhz / 1000, r.clock_after.max_mhz / 1000),
                      "let it cool, plug it in, or choose the performance profile",
                      std::min(lost, 1 - r.clock_after.mhz / r.clock_after.max_mhz)});
  std::stable_sort(causes.begin(), causes.end(),
                   [](const Cause& a, const Cause& b) { return a.slows_by > b.slows_by; });
  return causes;
}

}  // namespace watra::engine
