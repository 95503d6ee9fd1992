#include "apps/model_proposer.h"

#include "base/home.h"
#include "base/log.h"
#include "base/terminal.h"
#include "base/thread_team.h"
#include "engine/draft_outlook.h"
#include "engine/model_proposer.h"
#include "workshop/self_draft.h"

namespace watra::apps {

Result<tensor::DType> copy_type(const std::string& draft) {
  const size_t colon = draft.find(':');
  if (colon == std::string::npos) return workshop::SelfDraftOptions{}.type;
  const std::string name = draft.substr(colon + 1);
  for (const auto type : engine::self_draft_types())
    if (tensor::dtype_name(type) == name) return type;
  return fail("draft.unknown_type", fmt::format("a copy that drafts has type q2_k, q3_k or q4_k, found {}", name),
              "--draft self");
}

namespace {

Result<fs::path> copy_of(const Globals& g, const std::string& draft, const fs::path& target,
                         const std::function<bool()>& cancelled) {
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  WATRA_ASSIGN(const tensor::DType type, copy_type(draft));
  ProgressBar bar(ProgressBar::Unit::bytes);
  const int threads = g.threads > 0 ? g.threads : default_thread_count();
  auto made = workshop::self_draft(
      target,
      {.home = home,
       .type = type,
       .threads = threads,
       .progress = [&](uint64_t done, uint64_t total) { bar.update("making a copy that drafts (once)", done, total); },
       .cancelled = cancelled});
  bar.clear();
  if (!made) return fail(std::move(made).error());
  if (made->was_made) log::info("{} made in {:.0f} s", made->path.string(), made->seconds);
  return made->path;
}

// The file of a draft: "self" is the copy of the file `target`, made now if it is not there (workshop/self_draft.h).
Result<fs::path> draft_path(const Globals& g, const std::string& draft, const std::string& target,
                            const std::function<bool()>& cancelled) {
  WATRA_ASSIGN(const std::string path, resolve_model(g, is_self_draft(draft) ? target : draft));
  if (!is_self_draft(draft)) return fs::path(path);
  return copy_of(g, draft, path, cancelled);
}

}  // namespace

Result<std::shared_ptr<engine::DraftModel>> load_draft_for(const Globals& g, const std::string& draft,
                                                           const engine::LoadedModel& target,
                                                           const std::function<bool()>& cancelled) {
  const bool is_self = is_self_draft(draft);
  if (is_self && !target.model->file().has_files())
    return fail("draft.no_file", "a model that was made in memory has no file to copy", "--draft ngram");
  WATRA_ASSIGN(const fs::path path,
               draft_path(g, draft, is_self ? target.model->file().paths()[0].string() : std::string(), cancelled));
  ProgressBar bar(ProgressBar::Unit::bytes);
  auto model = engine::load_draft(
      target, path,
      {.share_cache = is_self,
       .progress = [&](uint64_t done, uint64_t total) { bar.update("loading the draft", done, total); },
       .cancelled = cancelled});
  bar.clear();
  if (!model) return fail(std::move(model).error());
  if (is_self) {
    WATRA_ASSIGN(const tensor::DType type, copy_type(draft));
    (*model)->method = "self";
    (*model)->name = fmt::format("self:{}", tensor::dtype_name(type));
  }
  log::info("draft {}: {} a pass, {:.1f} ms{}", draft, format_bytes((*model)->pass_bytes), 1e3 * (*model)->pass_seconds,
            !is_self                 ? ""
            : (*model)->shares_cache ? ", on the model's own cache"
                                     : ", with a cache of its own (--kv-type f16 would be shared)");
  return model;
}

Result<std::unique_ptr<engine::Proposer>> make_model_proposer(const Globals& g, const std::string& draft,
                                                              const engine::LoadedModel& target) {
  WATRA_ASSIGN(auto model, load_draft_for(g, draft, target));
  return std::make_unique<engine::ModelProposer>(std::move(model));
}

}  // namespace watra::apps
