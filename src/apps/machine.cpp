#include "apps/machine.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "apps/loading.h"
#include "base/file.h"
#include "base/home.h"
#include "base/log.h"
#include "base/terminal.h"
#include "engine/hardware.h"
#include "watra_version.h"

namespace watra::apps {
namespace {

Result<engine::MeasureHardwareOptions> measure_options(const Globals& g, const fs::path& home) {
  engine::MeasureHardwareOptions o;
  o.threads = g.threads;
  WATRA_ASSIGN(o.cpus, chosen_cpus(g));
  o.disks = {home / "models"};
  o.version = kVersion;
  return o;
}

// What cannot be kept is measured again the next time, and no reason to say nothing now.
void keep(const fs::path& home, const engine::Hardware& hw) {
  if (const Status kept = engine::save_hardware(home, hw); !kept)
    log::warn("what was measured could not be kept, the next command measures again: {}", kept.error().message);
}

std::optional<engine::Hardware> cached(const fs::path& home, const std::string& machine_id) {
  const fs::path path = engine::hardware_cache_path(home);
  std::error_code ec;
  if (fs::exists(path, ec))
    if (const auto text = read_text_file(path, 1u << 20); text && !engine::parse_hardware(*text)) {
      const fs::path aside = path.string() + ".damaged";
      fs::rename(path, aside, ec);
      log::warn(
          "{} could not be read as what was measured there and {}; `watra doctor --measure` measures this machine "
          "again",
          path.string(), ec ? "stays where it is" : "was set aside as " + aside.filename().string());
    }
  return engine::cached_hardware(home, machine_id);
}

}  // namespace

Result<engine::Hardware> named_hardware(const std::string& name) {
  if (const auto known = engine::known_hardware_json(name)) return engine::parse_hardware(*known);
  const auto text = read_text_file(name, 1u << 20);
  if (!text) {
    Error e = text.error();
    e.hint = fmt::format("a file, or one of {}", fmt::join(engine::known_hardware_names(), ", "));
    return fail(std::move(e));
  }
  auto hw = engine::parse_hardware(*text);
  if (!hw) {
    Error e = hw.error();
    e.message = fmt::format("{}: {}", name, e.message);
    return fail(std::move(e));
  }
  if (hw->name.empty()) hw->name = fs::path(name).stem().string();
  return hw;
}

Result<engine::Hardware> measured_machine(const Globals& g, std::function<void(std::string_view, int, int)> now,
                                          std::function<bool()> cancelled) {
  WATRA_ASSIGN(const kernels::Kernels* kernels, kernels::select(g.isa));
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  WATRA_ASSIGN(engine::MeasureHardwareOptions options, measure_options(g, home));
  if (const Status made = make_folders(home / "models"); !made) log::warn("{}", made.error().message);
  options.now = std::move(now);
  options.cancelled = std::move(cancelled);
  WATRA_ASSIGN(const engine::Hardware hw, engine::measure_hardware(*kernels, options));
  keep(home, hw);
  return hw;
}

Result<engine::Hardware> this_machine(const Globals& g, bool anew) {
  WATRA_ASSIGN(const kernels::Kernels* kernels, kernels::select(g.isa));
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  WATRA_ASSIGN(engine::MeasureHardwareOptions options, measure_options(g, home));
  auto hw = anew ? std::nullopt : cached(home, engine::machine_id(*kernels, options));
  if (!hw) {
    log::info("measuring this machine; nothing else should run");
    ProgressBar bar(ProgressBar::Unit::items);
    WATRA_ASSIGN(hw, measured_machine(g, [&](std::string_view what, int step, int n) {
                   bar.update(fmt::format("measuring {}", what), static_cast<uint64_t>(step), static_cast<uint64_t>(n));
                 }));
    bar.clear();
  }
  bool is_new = false;
  for (const std::string& folder : g.disks) {
    if (std::any_of(hw->disks.begin(), hw->disks.end(), [&](const auto& d) { return d.path == folder; })) continue;
    WATRA_ASSIGN(hw->disks.emplace_back(), engine::measure_disk(folder));
    is_new = true;
  }
  if (is_new) keep(home, *hw);
  return *hw;
}

std::optional<engine::Hardware> cached_machine(const Globals& g) {
  const auto kernels = kernels::select(g.isa);
  const auto home = home_folder(g.home);
  if (!kernels || !home) return std::nullopt;
  const auto options = measure_options(g, *home);
  if (!options) return std::nullopt;
  return cached(*home, engine::machine_id(**kernels, *options));
}

}  // namespace watra::apps
