// The subcommands of `watra`. Each lives in a file of its own and registers itself with add_NAME(); when it is the one
// the person typed, it puts its work into `chosen`, which main() runs. Commands return errors; main() shows them.
//
// Standard output carries answers alone: text for people, or with --json exactly one object (print_json). Everything
// else goes to standard error.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace watra::apps {

// Options that mean the same everywhere (CONTRACTS.md).
struct Globals {
  int threads = 0;                  // 0 = one per physical core (the fast ones)
  std::optional<std::string> cpus;  // logical processors to bind threads to; none = the system decides
  int64_t ctx = 0;                  // 0 = min(model, 4096)
  std::string ram, vram;            // sizes; empty = no limit
  std::vector<std::string> disks;
  std::string kv_type = "f16";
  std::string isa;  // empty = the best this machine has
  std::optional<int64_t> seed;
  std::string hardware;
  std::string home;  // empty = $WATRA_HOME or the default
  bool json = false;
  int verbosity = 0;
};

using Handler = std::function<Status()>;

void add_run(CLI::App& app, Globals& g, Handler& chosen);
void add_tokenize(CLI::App& app, Globals& g, Handler& chosen);  // and detokenize
void add_template(CLI::App& app, Globals& g, Handler& chosen);
void add_eval(CLI::App& app, Globals& g, Handler& chosen);
void add_bench(CLI::App& app, Globals& g, Handler& chosen);
void add_doctor(CLI::App& app, Globals& g, Handler& chosen);
void add_plan(CLI::App& app, Globals& g, Handler& chosen);
void add_show(CLI::App& app, Globals& g, Handler& chosen);
void add_kv(CLI::App& app, Globals& g, Handler& chosen);
void add_convert(CLI::App& app, Globals& g, Handler& chosen);
#ifndef WATRA_ENGINE_ONLY
void add_pull(CLI::App& app, Globals& g, Handler& chosen);
void add_list(CLI::App& app, Globals& g, Handler& chosen);
void add_rm(CLI::App& app, Globals& g, Handler& chosen);
void add_serve(CLI::App& app, Globals& g, Handler& chosen);
void add_llama_server(CLI::App& app, Globals& g, Handler& chosen);
#endif

// One JSON object on standard output; bytes that are not UTF-8 become U+FFFD.
void print_json(const nlohmann::ordered_json& object);

// MODEL of a command line -> path of a GGUF file: a path as it is, otherwise a name on the shelf.
Result<std::string> resolve_model(const Globals& g, const std::string& model);

}  // namespace watra::apps
