// watra llama-server: takes the flags of llama.cpp's program of that name, for programs that start it as a child. What
// means something here is obeyed, the rest is named in the log.
#include "apps/serve_llama_flags.h"
#include "base/log.h"
#include "watra_version.h"

namespace watra::apps {

void add_llama_server(CLI::App& app, Globals& g, Handler& chosen) {
  auto* c = app.add_subcommand("llama-server", "serve, with the flags of llama.cpp's program of that name");
  c->prefix_command();
  c->fallthrough(false);
  c->set_help_flag();  // its own, among the flags
  c->callback([&g, &chosen, c] {
    chosen = [&g, words = c->remaining()]() -> Status {
      WATRA_ASSIGN(const LlamaFlags flags, read_llama_flags(words, g));
      if (flags.asks == LlamaFlags::Asks::help) return fmt::print("{}", llama_flags_help()), Status();
      if (flags.asks == LlamaFlags::Asks::version) return fmt::print("watra {} ({})\n", kVersion, kCommit), Status();
      // This build computes on processors alone, and those are no devices to llama-server.
      if (flags.asks == LlamaFlags::Asks::devices) return fmt::print("Available devices:\n"), Status();
      log::init(g.verbosity);  // which the flags may have changed
      for (const std::string& flag : flags.unused) log::warn("llama-server's {} means nothing here", flag);
      for (const std::string& how : flags.nearly) log::warn("llama-server's {}", how);
      return serve(g, flags.serve);
    };
  });
}

}  // namespace watra::apps
