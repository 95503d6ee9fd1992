#include "hub/shelf.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <system_error>

#include "base/file_lock.h"
#include "base/memory.h"
#include "hub/catalog.h"
#include "hub/hub_reference.h"
#include "hub/url.h"

namespace watra::hub {
namespace {

// "org/repo/file" of "org/repo/file-00001-of-00003.gguf"
std::string name_of(const fs::path& relative) {
  if (const auto* entry = find_in_catalog_by_file(relative.string())) return entry->name;
  const std::string text = relative.generic_string();
  if (const auto split = parse_split_name(text)) return split->stem;
  return text.substr(0, text.size() - std::string_view(".gguf").size());
}

bool has_model_suffix(const fs::path& path) { return equal_ignoring_case(path.extension().string(), ".gguf"); }

// All the ways to say the name of one model on the shelf.
std::vector<std::string> names_of(const ShelfModel& model, const fs::path& shelf) {
  std::vector<std::string> names{model.name};
  for (const auto& file : model.files) {
    const std::string relative = file.lexically_relative(shelf).generic_string();
    const std::string file_name = file.filename().string();
    names.push_back(relative);
    names.push_back(file_name);
    names.push_back(file.stem().string());
    names.push_back(relative.substr(0, relative.size() - std::string_view(".gguf").size()));
    if (const auto split = parse_split_name(file_name)) names.push_back(split->stem);
  }
  return names;
}

std::string listed(const std::vector<ShelfModel>& models) {
  std::string text;
  for (const auto& m : models) text += (text.empty() ? "" : ", ") + m.name;
  return text.empty() ? "nothing yet" : text;
}

tl::unexpected<Error> not_pulled(std::string_view name, uint64_t bytes) {
  const std::string size = bytes > 0 ? fmt::format(" ({})", format_bytes(bytes)) : "";
  return fail("hub.not_pulled", fmt::format("{} is not on the shelf yet", name),
              fmt::format("watra pull {}{}", name, size));
}

// Removes `folder` and those above it, up to and without `stop`, as long as they are empty.
void prune_empty(fs::path folder, const fs::path& stop) {
  std::error_code ec;
  while (folder != stop && folder.native().size() > stop.native().size() && fs::remove(folder, ec) && !ec)
    folder = folder.parent_path();
}

}  // namespace

fs::path Shelf::beside(std::string_view folder, const fs::path& relative, std::string_view suffix) const {
  fs::path path = models_ / folder / relative;
  path += suffix;
  return path;
}
fs::path Shelf::part_path(const fs::path& r) const { return beside(".parts", r, ".part"); }
fs::path Shelf::state_path(const fs::path& r) const { return beside(".parts", r, ".state"); }
fs::path Shelf::lock_path(const fs::path& r) const { return beside(".parts", r, ".lock"); }
fs::path Shelf::staging_path(const fs::path& r) const { return beside(".parts", r, ".staging"); }
fs::path Shelf::receipt_path(const fs::path& r) const { return beside(".receipts", r, ".json"); }

Result<std::vector<ShelfModel>> Shelf::list() const {
  std::map<std::string, ShelfModel> by_name;
  std::map<std::string, int> wanted;
  std::error_code ec;
  if (!fs::exists(models_, ec)) return std::vector<ShelfModel>{};
  auto it = fs::recursive_directory_iterator(models_, fs::directory_options::skip_permission_denied, ec);
  if (ec) return fail("hub.shelf", fmt::format("cannot read {}: {}", models_.string(), ec.message()));
  std::vector<fs::path> files;
  for (; it != fs::recursive_directory_iterator(); it.increment(ec)) {
    if (ec) return fail("hub.shelf", fmt::format("cannot read {}: {}", models_.string(), ec.message()));
    const bool hidden = it->path().filename().string().starts_with('.');
    if (hidden && it->is_directory(ec)) it.disable_recursion_pending();
    if (!hidden && has_model_suffix(it->path()) && it->is_regular_file(ec)) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());  // the parts of a split in order
  for (const auto& file : files) {
    const fs::path relative = file.lexically_relative(models_);
    ShelfModel& model = by_name[name_of(relative)];
    if (model.files.empty()) {
      model.name = name_of(relative);
      model.path = file;
    }
    const auto size = fs::file_size(file, ec);
    if (!ec) model.bytes += size;
    model.files.push_back(file);
    if (const auto split = parse_split_name(relative.string())) wanted[model.name] = split->count;
  }
  std::vector<ShelfModel> models;
  for (auto& [name, model] : by_name) {
    if (const auto w = wanted.find(name); w != wanted.end())
      model.parts_missing = std::max(0, w->second - static_cast<int>(model.files.size()));
    models.push_back(std::move(model));
  }
  return models;
}

Result<ShelfModel> Shelf::find(std::string_view name) const {
  WATRA_ASSIGN(const auto models, list());
  std::string wanted(name);
  if (wanted.starts_with("hf:")) {
    WATRA_ASSIGN(const HubReference reference, parse_hub_reference(name));
    if (reference.file.empty())
      return fail("hub.choose_file", fmt::format("{} is a whole repository, one file of it is needed", name),
                  fmt::format("watra pull {} lists its files", name));
    wanted = reference.shelf_path().generic_string();
  }
  // From the exact to the generous; the first way that finds anything decides.
  for (const bool exact : {true, false}) {
    std::vector<const ShelfModel*> found;
    for (const auto& model : models)
      for (const auto& candidate : names_of(model, models_))
        if (exact ? candidate == wanted : equal_ignoring_case(candidate, wanted)) {
          found.push_back(&model);
          break;
        }
    if (found.size() == 1) return *found[0];
    for (const auto* model : found)
      if (model->name == wanted) return *model;
    if (found.size() > 1) {
      std::string which;
      for (const auto* model : found) which += (which.empty() ? "" : ", ") + model->name;
      return fail("hub.ambiguous", fmt::format("{} may mean several models on the shelf: {}", name, which),
                  "write one of these names");
    }
  }
  if (const auto* entry = find_in_catalog(name)) return not_pulled(entry->name, entry->bytes);
  if (name.starts_with("hf:")) return not_pulled(name, 0);

  std::vector<std::string> candidates;
  for (const auto& model : models)
    for (auto& n : names_of(model, models_)) candidates.push_back(std::move(n));
  for (const auto& entry : catalog()) candidates.push_back(entry.name);
  const std::string near = nearest_name(name, candidates);
  std::string names;
  for (const auto& entry : catalog()) names += (names.empty() ? "" : ", ") + entry.name;
  return fail("hub.unknown_model",
              fmt::format("no model is called {}; on the shelf: {}; in the catalog: {}", name, listed(models), names),
              near.empty() ? "a path to a GGUF file, a name from above, or hf:org/repo/file.gguf"
                           : fmt::format("did you mean {}?", near));
}

Result<fs::path> Shelf::resolve(std::string_view model) const {
  if (model.empty()) return fail("hub.unknown_model", "no model was named", "watra list shows what is here");
  std::error_code ec;
  const fs::path path(model);
  if (fs::is_regular_file(path, ec)) return path;
  if (model.starts_with("http://") || model.starts_with("https://"))
    return fail("hub.not_pulled", fmt::format("{} is an address, a model on this machine is needed", model),
                fmt::format("watra pull {}, then use the name it prints", model));
  auto found = find(model);
  if (found) {
    if (found->parts_missing > 0)
      return fail("hub.incomplete",
                  fmt::format("{}: {} of {} parts are here", found->name, found->files.size(),
                              found->files.size() + static_cast<size_t>(found->parts_missing)),
                  "pull it again: what is here is kept");
    return found->path;
  }
  const bool like_a_path =
      !model.starts_with("hf:") && (model.starts_with('/') || model.starts_with("./") || model.starts_with("../") ||
                                    model.starts_with('~') || has_model_suffix(path) || fs::is_directory(path, ec));
  if (found.error().code == "hub.unknown_model" && like_a_path) {
    if (fs::is_directory(path, ec))
      return fail("hub.no_file", fmt::format("{} is a folder, a GGUF file is needed", model),
                  "name a file in it; watra convert makes one from a Hugging Face folder");
    return fail("hub.no_file", fmt::format("there is no file {}, and no model of that name on the shelf", model),
                found.error().hint.starts_with("did you mean") ? found.error().hint : "watra list shows what is here");
  }
  return fail(std::move(found).error());
}

Result<fs::path> Shelf::relative_to_shelf(const fs::path& path) const {
  // The folder is made canonical, the last component is not: a link on the shelf is on the shelf.
  std::error_code ec;
  const fs::path root = fs::weakly_canonical(models_, ec);
  const fs::path folder = fs::weakly_canonical(fs::absolute(path, ec).parent_path(), ec);
  const fs::path relative = (folder / path.filename()).lexically_relative(root);
  const std::string text = relative.generic_string();
  if (text.empty() || text == "." || text.starts_with("..") || text.starts_with('/') || text.starts_with('.'))
    return fail("hub.not_on_shelf", fmt::format("{} is not on the shelf {}", path.string(), models_.string()),
                "files elsewhere are yours to remove; watra list shows what is here");
  return relative;
}

Result<Removed> Shelf::remove(std::string_view name) const {
  std::vector<fs::path> relatives;  // of models/
  std::error_code ec;
  const bool is_path = name.find('/') != std::string_view::npos && fs::exists(fs::symlink_status(fs::path(name), ec));
  if (is_path) {
    WATRA_ASSIGN(const fs::path relative, relative_to_shelf(fs::path(name)));
    if (!has_model_suffix(relative))
      return fail("hub.not_on_shelf", fmt::format("{} is not a model", name), "watra list shows what is here");
    for (const auto& part : all_parts(relative.generic_string())) relatives.emplace_back(part);
  } else if (auto found = find(name)) {
    // A model is removed with its parts that never came, too: they may have left something behind.
    std::set<fs::path> all;
    for (const auto& file : found->files)
      for (const auto& part : all_parts(file.lexically_relative(models_).generic_string())) all.emplace(part);
    relatives.assign(all.begin(), all.end());
  } else if (found.error().code == "hub.not_pulled") {
    if (const auto* entry = find_in_catalog(name)) {
      relatives.emplace_back(entry->file_name);
    } else {
      WATRA_ASSIGN(const HubReference reference, parse_hub_reference(name));
      for (const auto& part : all_parts(reference.shelf_path().generic_string())) relatives.emplace_back(part);
    }
    const auto left_over = [&](const fs::path& r) {
      return fs::exists(part_path(r), ec) || fs::exists(staging_path(r), ec);
    };
    if (std::none_of(relatives.begin(), relatives.end(), left_over)) return fail(std::move(found).error());
  } else {
    return fail(std::move(found).error());
  }

  Removed removed;
  const auto take = [&](const fs::path& path, bool counts) -> Status {
    const auto status = fs::symlink_status(path, ec);
    if (!fs::exists(status)) return {};
    const uint64_t bytes = fs::is_regular_file(status) ? fs::file_size(path, ec) : 0;
    if (!fs::remove(path, ec) || ec)
      return fail("hub.remove", fmt::format("cannot remove {}: {}", path.string(), ec.message()));
    if (counts) {
      removed.files.push_back(path);
      removed.bytes += bytes;
    }
    return {};
  };
  for (const auto& relative : relatives) {
    std::optional<FileLock> lock;
    if (fs::exists(lock_path(relative), ec)) {
      WATRA_ASSIGN(lock, FileLock::try_take(lock_path(relative)));
      if (!lock)
        return fail("hub.busy", fmt::format("{} is being pulled by another watra", relative.string()),
                    "stop that first");
    }
    WATRA_TRY(take(models_ / relative, true));
    WATRA_TRY(take(part_path(relative), true));
    WATRA_TRY(take(state_path(relative), false));
    WATRA_TRY(take(lock_path(relative), false));
    WATRA_TRY(take(receipt_path(relative), false));
    for (const auto& path : {state_path(relative), receipt_path(relative)})
      remove_unfinished_writes(path.parent_path());
    fs::remove_all(staging_path(relative), ec);
    prune_empty((models_ / relative).parent_path(), models_);
    prune_empty(part_path(relative).parent_path(), models_);
    prune_empty(receipt_path(relative).parent_path(), models_);
  }
  return removed;
}

}  // namespace watra::hub
