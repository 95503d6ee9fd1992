#include "server/shelf/model_shelf.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "home/check.h"
#include "hub/receipt.h"
#include "hub/shelf.h"
#include "model/model.h"
#include "server/house_fields.h"
#include "server/shelf/estimate.h"
#include "server/shelf/model_hashes.h"
#include "server/shelf/model_words.h"

namespace watra::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLookEvery = std::chrono::seconds(10);
constexpr size_t kLongestId = 64, kKeptEstimates = 1024;

std::string_view origin_name(ShelfModel::Origin o) {
  return o == ShelfModel::Origin::shelf ? "shelf" : o == ShelfModel::Origin::folder ? "folder" : "catalog";
}

ShelfModel from_hub(const hub::ShelfModel& m, ShelfModel::Origin origin) {
  ShelfModel out{
      .path = m.path, .files = m.files, .bytes = m.bytes, .parts_missing = m.parts_missing, .origin = origin};
  out.shelf_name = m.name;
  out.catalog = origin == ShelfModel::Origin::shelf ? hub::find_in_catalog(m.name) : nullptr;
  out.id = out.catalog ? out.catalog->name : shelf_id(m.name);
  return out;
}

}  // namespace

// A file's stem is a model's id; a long one is cut, and what was cut away is told by eight digits of its hash.
std::string shelf_id(const std::string& name) {
  const std::string stem = name.substr(name.rfind('/') + 1);
  if (stem.size() <= kLongestId) return stem;
  return stem.substr(0, kLongestId - 9) + fmt::format("-{:08x}", static_cast<uint32_t>(std::hash<std::string>{}(stem)));
}

// What is inside a file, or known of one that is not here.
struct ModelShelf::Facts {
  FileStamp stamp;
  std::string name, licence;
  bool has_template = false;
  std::optional<model::ModelOutline> outline;
  std::optional<Error> error;
};

ModelShelf::ModelShelf(Household& house, home::ShelfNotes& notes, Options options)
    : house_(house), notes_(notes), options_(std::move(options)) {}

std::vector<ShelfModel> ModelShelf::models() const {
  std::vector<ShelfModel> all;
  std::set<std::string> taken;
  const auto add = [&](ShelfModel m) {
    const std::string base = m.id;
    for (int n = 2; !taken.insert(m.id).second; ++n) {
      const std::string suffix = fmt::format("~{}", n);
      m.id = base.substr(0, kLongestId - suffix.size()) + suffix;
    }
    all.push_back(std::move(m));
  };
  if (const auto own = hub::Shelf(house_.home.folder()).list())
    for (const auto& m : *own) add(from_hub(m, ShelfModel::Origin::shelf));
  for (const auto& [folder, models] : looked_through())
    for (const auto& m : models) add(from_hub(m, ShelfModel::Origin::folder));
  // A file that was named on the command line lies anywhere.
  if (const auto loaded = house_.room.current())
    if (std::ranges::none_of(all, [&](const ShelfModel& m) { return m.id == loaded->id(); })) {
      ShelfModel m{.id = loaded->id(), .path = loaded->names().path, .origin = ShelfModel::Origin::folder};
      m.files = {m.path};
      m.bytes = loaded->model().weight_bytes();
      add(std::move(m));
    }
  for (const auto& entry : hub::catalog()) {
    if (taken.contains(entry.name)) continue;
    ShelfModel m{.id = entry.name, .bytes = entry.bytes, .origin = ShelfModel::Origin::catalog};
    m.catalog = &entry;
    add(std::move(m));
  }
  return all;
}

std::vector<std::pair<home::Folder, std::vector<hub::ShelfModel>>> ModelShelf::looked_through() const {
  {
    const std::lock_guard lock(mutex_);
    if (look_.at != Clock::time_point{} && Clock::now() - look_.at < kLookEvery) return look_.folders;
  }
  std::vector<std::pair<home::Folder, std::vector<hub::ShelfModel>>> found;
  for (home::Folder& folder : notes_.folders().value_or(std::vector<home::Folder>{})) {
    auto models = hub::models_in_folder(folder.path);  // one that is not there now (a disk unplugged) is empty
    found.emplace_back(std::move(folder), models ? std::move(*models) : std::vector<hub::ShelfModel>{});
  }
  const std::lock_guard lock(mutex_);
  look_ = {Clock::now(), found};
  return found;
}

void ModelShelf::look_again() const {
  const std::lock_guard lock(mutex_);
  look_.at = {};
  estimates_.clear();  // what came or went may draft
}

std::optional<ShelfModel> ModelShelf::find(const std::string& id) const {
  auto all = models();
  const auto it = std::ranges::find(all, id, &ShelfModel::id);
  return it == all.end() ? std::nullopt : std::optional(std::move(*it));
}

bool ModelShelf::removable(const ShelfModel& m) const {
  const hub::Shelf shelf(house_.home.folder());
  return m.origin == ShelfModel::Origin::shelf && !m.files.empty() &&
         std::ranges::all_of(m.files, [&](const fs::path& file) {
           return hub::read_receipt(shelf, file.lexically_relative(shelf.folder())).has_value();
         });
}

std::vector<ShelfEntry> ModelShelf::loadable() const {
  std::vector<ShelfEntry> out;
  for (const ShelfModel& m : models())
    if (!m.path.empty() && m.parts_missing == 0) out.push_back({m.id, m.path, m.bytes});
  return out;
}

std::shared_ptr<const ModelShelf::Facts> ModelShelf::facts_of(const ShelfModel& m) const {
  const std::string key = m.path.empty() ? "catalog:" + m.id : m.path.string();
  FileStamp stamp;
  if (!m.path.empty()) {
    const auto file = File::open(m.path, File::Mode::read);
    const auto now = file ? file->stamp() : Result<FileStamp>(fail(file.error()));
    if (now) stamp = *now;
  }
  {
    const std::lock_guard lock(mutex_);
    const auto it = facts_.find(key);
    if (it != facts_.end() && it->second->stamp == stamp) return it->second;
  }
  auto facts = std::make_shared<Facts>();
  facts->stamp = stamp;
  if (m.path.empty()) {
    if (const auto shape = model::find_shape(m.id)) {
      facts->name = (*shape)->label;
      const auto mix = model::parse_quant_mix("Q4_K_M");
      if (mix) facts->outline = model::outline_of(**shape, *mix);
    }
    facts->has_template = m.id != "gemma3-270m";
  } else if (const auto opened = model::Model::open(m.path)) {
    facts->outline = model::outline_of(**opened);
    const auto& metadata = (*opened)->file().metadata();
    facts->name = metadata.get_string("general.name").value_or("");
    facts->licence = metadata.get_string("general.license").value_or("");
    facts->has_template = !metadata.get_string("tokenizer.chat_template").value_or("").empty();
  } else {
    facts->error = opened.error();
  }
  if (m.catalog) facts->licence = m.catalog->licence;
  const std::lock_guard lock(mutex_);
  facts_[key] = facts;
  return facts;
}

// The memory of the model that is loaded now is given back before another one is loaded.
std::optional<engine::Hardware> ModelShelf::hardware() const {
  auto hw = options_.hardware ? options_.hardware() : std::nullopt;
  if (!hw) return hw;
  if (const auto loaded = house_.room.current(); loaded && loaded->scheduler().model().budget)
    hw->ram.bytes += loaded->scheduler().model().budget->used_bytes();
  return hw;
}

engine::PlanOptions ModelShelf::plan_options(const LoadWish& wish) const {
  engine::PlanOptions o = options_.plan;
  if (wish.n_ctx > 0) o.n_ctx = wish.n_ctx;
  if (!wish.kv_type.empty())
    if (const auto types = engine::KvTypes::parse(wish.kv_type)) o.kv_types = *types;
  return o;
}

Json ModelShelf::estimate(const ShelfModel& m, int64_t n_ctx, const std::string& kv_type, bool advice) const {
  const auto hw = hardware();
  const auto facts = facts_of(m);
  if (!hw || !facts->outline) return nullptr;
  const engine::PlanOptions options = plan_options({n_ctx, kv_type});
  // Free memory changes all the time; a plan changes by the quarter of a gigabyte.
  const std::string key = fmt::format("{}|{}|{}|{}|{}|{}|{}|{}", m.path.string(), m.id, facts->stamp.modified_ns, n_ctx,
                                      kv_type, hw->measured_at, hw->ram.bytes >> 28, advice);
  Json made;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = estimates_.find(key); it != estimates_.end()) made = it->second;
  }
  if (made.is_null()) {
    made = estimate_json(*facts->outline, *hw, options, advice);
    if (options_.drafts) {
      engine::PlanOptions drafted = options;
      options_.drafts(m.path, *facts->outline, drafted);
      made["with_drafts"] = with_drafts_json(*facts->outline, *hw, drafted);
    }
    const std::lock_guard lock(mutex_);
    if (estimates_.size() >= kKeptEstimates) estimates_.clear();
    estimates_[key] = made;
  }
  const auto of = m.path.empty() ? std::nullopt : speed_of(m.files, options.kv_types);
  const auto measured = of ? notes_.speed_of(*of).value_or(std::nullopt) : std::nullopt;
  made["measured_tokens_per_s"] = measured ? Json(measured->tokens_per_s) : Json(nullptr);
  made["measured_answers"] = measured ? measured->n_answers : 0;
  return made;
}

std::optional<home::SpeedOf> ModelShelf::speed_of(const std::vector<fs::path>& files,
                                                  const engine::KvTypes& kv_types) const {
  auto stamp = stamp_of(files);
  if (!stamp) return std::nullopt;
  return home::SpeedOf{name_of(files), *std::move(stamp),
                       fmt::format("--kv-type {} {}", kv_types.text(), options_.settings)};
}

void ModelShelf::note_speed(ServedModel& model, const AnswerSpeed& speed) const {
  const auto& kv_types = model.scheduler().model().forward->options().kv_types;
  std::optional<double> planned_tau;
  if (const auto m = find(model.id())) {
    const Json planned = estimate(*m, 0, "", false);
    if (const Json& drafts = home::member(planned, "with_drafts"); drafts.is_object())
      planned_tau = drafts.at("tau").get<double>();
  }
  const auto of = speed_of(model.model().file().paths(), kv_types);
  if (!of || !is_of_ordinary_text(speed, planned_tau)) return;
  if (const Status noted = notes_.note_speed(*of, speed.tokens_per_s); !noted)
    log::warn("the speed of {} could not be noted: {}", model.id(), noted.error().message);
}

std::optional<Error> ModelShelf::why_no_room(const ShelfModel& m, const LoadWish& wish) const {
  const auto hw = hardware();
  const auto facts = facts_of(m);
  if (!hw || !facts->outline) return std::nullopt;
  const auto plan = engine::make_plan(*facts->outline, *hw, plan_options(wish));
  if (plan || plan.error().code != "plan.no_fit") return std::nullopt;
  return plan.error();
}

Json ModelShelf::model_json(const ShelfModel& m) const {
  const auto facts = facts_of(m);
  const ModelRoom::View view = house_.room.view();
  const bool is_shown = view.id == m.id && !m.path.empty();
  const auto downloading = house_.jobs.under_way("download", m.id), loading = house_.jobs.under_way("load", m.id);
  std::optional<Error> error = facts->error;
  if (m.parts_missing > 0)
    error = Error{"hub.incomplete", fmt::format("{} of its parts are missing", m.parts_missing), ""};
  std::string_view state = m.path.empty() ? "absent" : error ? "broken" : "ready";
  if (downloading) state = "downloading";
  if (is_shown && view.state == RoomState::ready) state = "loaded";
  if (is_shown && view.state == RoomState::loading) state = "loading";
  std::string name = shown_name(m.catalog ? m.catalog->name : m.id, facts->name);
  const ModelWords by_id = model_words(m.id), by_name = model_words(facts->name);
  const ModelWords& words = by_id.polish != "unknown" ? by_id : by_name;
  const auto& o = facts->outline;
  const std::string sha256 = known_sha256(house_.home.folder(), notes_, m.files);
  Json out = {{"id", m.id},
              {"name", name},
              {"file", m.path.empty() ? Json(nullptr) : Json(m.path.string())},
              {"origin", origin_name(m.origin)},
              {"state", state},
              {"bytes", m.bytes},
              {"n_params", o ? o->n_params() : 0},
              {"quant", o ? o->quant : ""},
              {"architecture", o ? o->architecture : ""},
              {"n_layers", o ? o->n_layers : 0},
              {"n_ctx_train", o ? o->n_ctx_train : 0},
              {"licence", facts->licence},
              {"about", {{"pl", words.pl}, {"en", words.en}}},
              {"languages", {{"pl", words.polish}}},
              {"vision", false},
              {"chat", facts->has_template},
              {"encoder", o && o->is_encoder},
              {"removable", removable(m)},
              {"sha256", !sha256.empty()               ? Json(sha256)
                         : m.catalog && m.path.empty() ? Json(m.catalog->sha256)
                                                       : Json(nullptr)},
              {"job", downloading ? Json(downloading->id)
                      : loading   ? Json(loading->id)
                                  : Json(nullptr)},
              {"estimate", estimate(m, 0, "", true)}};
  if (error) {
    out["error"] = {{"code", error->code}, {"message", error->message}};
    if (!error->hint.empty()) out["error"]["hint"] = error->hint;
  }
  return out;
}

Json ModelShelf::list() const {
  const ModelRoom::View view = house_.room.view();
  auto all = models();
  std::ranges::stable_sort(all, {}, [&](const ShelfModel& m) {
    return m.id == view.id && view.state == RoomState::ready ? 0 : m.path.empty() ? 2 : 1;
  });
  Json out = Json::array();
  for (const ShelfModel& m : all) out.push_back(model_json(m));
  return out;
}

Json ModelShelf::folder_json(const home::Folder& folder) const {
  int64_t n = 0;
  uint64_t bytes = 0;
  for (const auto& [known, models] : looked_through())
    if (known.id == folder.id)
      for (const auto& m : models) ++n, bytes += m.bytes;
  return {{"id", folder.id}, {"path", folder.path.string()}, {"n_models", n}, {"bytes", bytes}};
}

Json ModelShelf::folders() const {
  Json out = Json::array();
  for (const auto& [folder, models] : looked_through()) out.push_back(folder_json(folder));
  return out;
}

void ModelShelf::tell(const std::string& id) const {
  {
    const std::lock_guard lock(mutex_);
    estimates_.clear();  // what came or went may draft
  }
  std::string trouble;
  try {
    const auto m = find(id);
    const Status told = m ? house_.home.events().tell("model.changed", std::nullopt, std::nullopt, model_json(*m))
                          : house_.home.events().tell("model.removed", std::nullopt, std::nullopt, {{"id", id}});
    if (!told) trouble = told.error().message;
  } catch (const ApiError& e) {  // it is told on threads where nobody waits for what is thrown
    trouble = e.message;
  } catch (const std::exception& e) {  // of a library
    trouble = e.what();
  }
  if (!trouble.empty()) log::warn("a change of the shelf could not be told: {}", trouble);
}

}  // namespace watra::server
