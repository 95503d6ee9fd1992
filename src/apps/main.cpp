// watra: the one command. Parses, runs the chosen subcommand, shows its error. Exit 0 ok, 1 failed, 2 usage.
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/usage_error.h"
#ifndef WATRA_ENGINE_ONLY
#include "apps/serve.h"
#endif
#include "base/log.h"
#include "base/memory.h"
#include "base/process.h"
#include "watra_version.h"

namespace watra::apps {

void print_json(const nlohmann::ordered_json& object) {
  const std::string text = object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

namespace {

void show_error(const Globals& g, const Error& e) {
  if (g.json)
    print_json({{"error", {{"code", e.code}, {"message", e.message}, {"hint", e.hint}}}});
  else
    fmt::print(stderr, "{}\n", e.to_string());
}

// A limit of nothing would be taken for no limit.
Status check_limits(const Globals& g) {
  if (g.ram.empty()) return {};
  WATRA_ASSIGN(const uint64_t ram, parse_bytes(g.ram));
  if (ram > 0) return {};
  return fail("usage.ram", "--ram 0 leaves no memory for anything",
              "--ram 8GiB, or leave it out: then there is no limit");
}

int run_main(int argc, char** argv) {
  Globals g;
  Handler chosen;
  CLI::App app{"Watra: an offline home for a large language model."};
  app.name("watra");
  app.set_version_flag("--version", fmt::format("watra {} ({})", kVersion, kCommit));
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--threads", g.threads, "Threads that compute (default: one per physical core, of two kinds the fast)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--cpus", g.cpus, "Bind each thread to one of these logical processors, e.g. 0-3,8");
  app.add_option("--ctx", g.ctx, "Tokens of context (default: the model's, at most 4096)")
      ->check(CLI::Range(1, 1 << 30));
  app.add_option("--ram", g.ram, "Hard limit on memory, e.g. 48GiB");
  app.add_option("--vram", g.vram, "Hard limit on GPU memory, e.g. 22GiB");
  app.add_option("--disk", g.disks, "Folder whose disk may hold weights (repeatable)")->allow_extra_args(false);
  app.add_option("--kv-type", g.kv_type,
                 "How keys and values are cached: f16, q8_0, q4_0, f32 (K[,V]), some layers otherwise: q4_0/0-1:q8_0");
  app.add_option("--isa", g.isa, "Kernels to use: generic, avx2, ... (default: the best here; also WATRA_ISA)");
  app.add_option("--seed", g.seed, "Seed of all randomness; -1 = a random one")
      ->check(CLI::Range(int64_t{-1}, std::numeric_limits<int64_t>::max()));
  app.add_option("--hardware", g.hardware, "Machine to plan for: a hardware file, or a name such as reference-pc");
  app.add_option("--home", g.home, "Where models and data live (also WATRA_HOME)");
  app.add_flag("--json", g.json, "Print exactly one JSON object");
  app.add_flag("-v,--verbose", g.verbosity, "Say more (twice: even more)");

  add_run(app, g, chosen);
#ifndef WATRA_ENGINE_ONLY
  add_pull(app, g, chosen);
  add_list(app, g, chosen);
  add_rm(app, g, chosen);
  add_serve(app, g, chosen);
  add_llama_server(app, g, chosen);
  add_open(app, g, chosen);
  add_password(app, g, chosen);
#endif
  add_show(app, g, chosen);
  add_tokenize(app, g, chosen);
  add_template(app, g, chosen);
  add_eval(app, g, chosen);
  add_bench(app, g, chosen);
  add_doctor(app, g, chosen);
  add_kv(app, g, chosen);
  add_plan(app, g, chosen);
  add_convert(app, g, chosen);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);
    for (int i = 1; i < argc; ++i) g.json = g.json || std::string_view(argv[i]) == "--json";
    show_error(g, usage_error(app, e));
    return 2;
  }
  log::init(g.verbosity);
  if (!chosen) return 2;
  Status done = check_limits(g);
  if (done) done = chosen();
  if (!done) {
    show_error(g, done.error());
    const std::string& code = done.error().code;
    return code.starts_with("usage") || code == "engine.bad_parameter" ? 2 : 1;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
    std::fputs("error output.failed: the answer could not be written to standard output\n", stderr);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace watra::apps

int main(int argc, char** argv) {
  watra::open_standard_streams();
  // Modules return errors; what still arrives here is a machine without memory, or a bug of ours.
  const auto show = [&](const char* code, const char* message, const char* hint) {
    for (int i = 1; i < argc; ++i)
      if (std::string_view(argv[i]) == "--json")
        std::printf("{\"error\": {\"code\": \"%s\", \"message\": \"%s\", \"hint\": \"%s\"}}\n", code, message, hint);
    std::fprintf(stderr, "error %s: %s\n  try     %s\n", code, message, hint);
    return 1;
  };
  try {
    return watra::apps::run_main(argc, argv);
  } catch (const std::bad_alloc&) {
    return show("memory.exhausted", "the machine has no memory left", "a smaller model, a smaller --ctx, or --ram");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return show("internal", "an unexpected exception ended the command", "report this with the command you typed");
  }
}
