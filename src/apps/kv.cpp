// watra kv: what is kept of conversations so that they need not be read again, and forgetting it.
#include <nlohmann/json.hpp>

#include "apps/loading.h"
#include "base/memory.h"

namespace watra::apps {
namespace {

Status kv(const Globals& g, bool clear) {
  WATRA_ASSIGN(const fs::path folder, kv_folder(g));
  int64_t n_removed = 0;
  if (clear) {
    WATRA_ASSIGN(n_removed, engine::KvStore::clear_folder(folder));
  }
  WATRA_ASSIGN(const auto content, engine::KvStore::content_of(folder));
  if (g.json) {
    print_json({{"folder", folder.string()},
                {"bytes", content.bytes},
                {"n_pages", content.n_pages},
                {"n_conversations", content.n_conversations},
                {"n_removed", n_removed}});
    return {};
  }
  if (clear) fmt::print("{} pages removed\n", n_removed);
  fmt::print("{}: {} in {} pages of {} tokens, {} conversations\n", folder.string(), format_bytes(content.bytes),
             content.n_pages, kernels::kKvPage, content.n_conversations);
  return {};
}

}  // namespace

void add_kv(CLI::App& app, Globals& g, Handler& chosen) {
  auto clear = std::make_shared<bool>(false);
  auto* c =
      app.add_subcommand("kv", "Show or forget what conversations keep on disk to go on without being read again");
  c->add_flag("--clear", *clear, "Forget all of it");
  c->callback([&g, &chosen, clear] { chosen = [&g, clear] { return kv(g, *clear); }; });
}

}  // namespace watra::apps
