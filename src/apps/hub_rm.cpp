// watra rm: a model, with all its parts and what is left of downloads of it, leaves the shelf.
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "base/home.h"
#include "base/memory.h"
#include "hub/shelf.h"

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;

Status remove(const Globals& g, const std::string& name) {
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  WATRA_ASSIGN(const hub::Removed removed, hub::Shelf(home).remove(name));
  if (g.json) {
    Json files = Json::array();
    for (const auto& f : removed.files) files.push_back(f.string());
    print_json({{"removed", files}, {"bytes", removed.bytes}});
    return {};
  }
  for (const auto& f : removed.files) fmt::print("removed {}\n", f.string());
  fmt::print("{} are free again\n", format_bytes(removed.bytes));
  return {};
}

}  // namespace

void add_rm(CLI::App& app, Globals& g, Handler& chosen) {
  auto name = std::make_shared<std::string>();
  auto* sub = app.add_subcommand("rm", "Remove a model from the shelf");
  sub->add_option("name", *name, "Its name (watra list shows them)")->required();
  sub->callback([&g, &chosen, name] { chosen = [&g, name] { return remove(g, *name); }; });
}

}  // namespace watra::apps
