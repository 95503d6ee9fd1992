// watra pull: a name of the catalog, hf:org/repo/file.gguf or an address becomes a checked file on the shelf.
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "base/home.h"
#include "base/memory.h"
#include "base/terminal.h"
#include "hub/pull.h"

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;

struct PullOptions {
  std::string what;
  int connections = 4;
};

Json to_json(const hub::Pulled& pulled) {
  Json files = Json::array();
  for (const auto& f : pulled.files)
    files.push_back({{"path", f.path.string()}, {"bytes", f.bytes}, {"sha256", f.sha256}});
  return {{"path", pulled.files[0].path.string()},
          {"bytes", pulled.bytes()},
          {"sha256", pulled.files[0].sha256},
          {"seconds", pulled.seconds},
          {"already_there", pulled.already_there},
          {"verified", pulled.verified},
          {"files", files}};
}

void print_for_people(const hub::Pulled& pulled) {
  for (const auto& f : pulled.files) fmt::print("{}\n  sha256  {}\n", f.path.string(), f.sha256);
  if (pulled.already_there) {
    fmt::print("  {}, already there\n", format_bytes(pulled.bytes()));
    return;
  }
  fmt::print("  {} in {:.1f} s{}\n", format_bytes(pulled.bytes()), pulled.seconds,
             pulled.verified ? ", checksum as published" : "; nobody published a checksum to compare with");
}

Status pull(const Globals& g, const PullOptions& o) {
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  ProgressBar bar;
  const InterruptFlag interrupt;
  auto settings = hub::PullSettings::from_environment();
  settings.download.connections = o.connections;
  settings.watch.progress = [&](std::string_view what, uint64_t done, uint64_t total) {
    bar.update(what, done, total);
  };
  settings.watch.cancelled = [&] { return interrupt.raised(); };
  auto pulled = hub::pull(hub::Shelf(home), o.what, settings);
  bar.clear();
  if (!pulled) return fail(std::move(pulled).error());
  if (g.json)
    print_json(to_json(*pulled));
  else
    print_for_people(*pulled);
  return {};
}

}  // namespace

void add_pull(CLI::App& app, Globals& g, Handler& chosen) {
  auto o = std::make_shared<PullOptions>();
  auto* sub = app.add_subcommand("pull", "Download a model; an interrupted download goes on where it stopped");
  sub->add_option("what", o->what, "Catalog name, hf:org/repo/file.gguf[@revision], or https://host/file.gguf")
      ->required();
  sub->add_option("--connections", o->connections, "Ranges fetched at the same time")->check(CLI::Range(1, 32));
  sub->callback([&g, &chosen, o] { chosen = [&g, o] { return pull(g, *o); }; });
}

}  // namespace watra::apps
