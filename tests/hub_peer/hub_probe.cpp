// hub_probe HOME WHAT [name=value ...]: one pull, with what tests need and people do not: short waits, an invented
// amount of free space, a catalog entry out of a JSON file (WHAT = entry:FILE). Prints one JSON object, as `watra pull
// --json` does.
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/log.h"
#include "base/terminal.h"
#include "hub/pull.h"

using namespace watra;
using nlohmann::json;

namespace {

Result<hub::CatalogEntry> read_entry(const std::string& path) {
  WATRA_ASSIGN(const std::string text, read_text_file(path));
  const json j = json::parse(text);
  hub::CatalogEntry entry{j["name"], j["file_name"], j["bytes"], j["sha256"], "", "", {}};
  if (j.contains("parts")) {
    hub::WheelSource wheels;
    for (const auto& p : j["parts"]) wheels.parts.push_back({p["package"], p["version"], p["member"]});
    entry.sources.emplace_back(std::move(wheels));
  }
  if (j.contains("hub")) entry.sources.emplace_back(hub::HubSource{j["hub"]});
  return entry;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  auto settings = hub::PullSettings::from_environment();
  auto& d = settings.download;
  d.retry.first_wait = std::chrono::milliseconds(50);
  uint64_t free_bytes = 0;
  log::init(0);
  for (int i = 3; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const std::string_view name = argument.substr(0, argument.find('='));
    const long long value = std::atoll(argv[i] + name.size() + 1);
    if (name == "connections") d.connections = static_cast<int>(value);
    if (name == "idle_ms") d.http.idle_timeout = std::chrono::milliseconds(value);
    if (name == "verbosity") log::init(static_cast<int>(value));
    if (name == "free_bytes") {
      free_bytes = static_cast<uint64_t>(value);
      d.free_space = [&](const fs::path&) -> Result<uint64_t> { return free_bytes; };
    }
  }
  const InterruptFlag interrupt;
  settings.watch.cancelled = [&] { return interrupt.raised(); };

  const hub::Shelf shelf(argv[1]);
  const std::string what = argv[2];
  auto pulled = [&]() -> Result<hub::Pulled> {
    if (!what.starts_with("entry:")) return hub::pull(shelf, what, settings);
    WATRA_ASSIGN(const auto entry, read_entry(what.substr(6)));
    return hub::pull_entry(shelf, entry, settings);
  }();
  json out;
  if (pulled) {
    json files = json::array();
    for (const auto& f : pulled->files)
      files.push_back({{"path", f.path.string()}, {"bytes", f.bytes}, {"sha256", f.sha256}});
    out = {{"files", files}, {"already_there", pulled->already_there}, {"verified", pulled->verified}};
  } else {
    out = {
        {"error", {{"code", pulled.error().code}, {"message", pulled.error().message}, {"hint", pulled.error().hint}}}};
  }
  std::puts(out.dump(1).c_str());
  return pulled ? 0 : 1;
}
