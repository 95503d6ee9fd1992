#include "apps/model_proposer.h"

#include "base/home.h"
#include "base/log.h"
#include "base/terminal.h"
#include "engine/model_proposer.h"
#include "workshop/self_draft.h"

namespace watra::apps {
namespace {

Result<fs::path> copy_of(const Globals& g, const engine::LoadedModel& target) {
  if (!target.model->file().has_files())
    return fail("draft.no_file", "a model that was made in memory has no file to copy", "--draft ngram");
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  ProgressBar bar(ProgressBar::Unit::bytes);
  auto made = workshop::self_draft(
      target.model->file().paths()[0],
      {.home = home, .threads = target.team->size(), .progress = [&](uint64_t done, uint64_t total) {
         bar.update("making a copy that drafts (once)", done, total);
       }});
  bar.clear();
  if (!made) return fail(std::move(made).error());
  if (made->was_made) log::info("{} made in {:.0f} s", made->path.string(), made->seconds);
  return made->path;
}

}  // namespace

Result<std::shared_ptr<engine::DraftModel>> load_draft_for(const Globals& g, const std::string& draft,
                                                           const engine::LoadedModel& target) {
  const bool is_self = draft == "self";
  fs::path path;
  if (is_self) {
    WATRA_ASSIGN(path, copy_of(g, target));
  } else {
    WATRA_ASSIGN(path, resolve_model(g, draft));
  }
  ProgressBar bar(ProgressBar::Unit::bytes);
  auto model =
      engine::load_draft(target, path, {.share_cache = is_self, .progress = [&](uint64_t done, uint64_t total) {
                                          bar.update("loading the draft", done, total);
                                        }});
  bar.clear();
  if (!model) return fail(std::move(model).error());
  if (is_self) (*model)->method = "self";
  log::info("draft {}: {} a pass, {:.1f} ms", draft, format_bytes((*model)->pass_bytes), 1e3 * (*model)->pass_seconds);
  return model;
}

Result<std::unique_ptr<engine::Proposer>> make_model_proposer(const Globals& g, const std::string& draft,
                                                              const engine::LoadedModel& target) {
  WATRA_ASSIGN(auto model, load_draft_for(g, draft, target));
  return std::make_unique<engine::ModelProposer>(std::move(model));
}

}  // namespace watra::apps
