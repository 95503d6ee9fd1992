// ModelShelf: every model a person can have here: on Watra's own shelf, in folders of other programs, in the catalog
// and not downloaded yet; what each is, and what it would do on this machine (docs/api.md, section 5).
//
// Folders are looked through anew at most every ten seconds, files that did not change are opened once. Any thread may
// call; list() and model() open files and plan, which takes a while at first: not for the threads that serve.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/plan.h"
#include "home/shelf_notes.h"
#include "hub/catalog.h"
#include "hub/model_folder.h"
#include "server/answer_speeds.h"
#include "server/household.h"

namespace watra::server {

struct ShelfModel {
  std::string id;  // catalog name or file stem, at most 64 characters; unique
  fs::path path;   // empty: not downloaded
  std::vector<fs::path> files;
  uint64_t bytes = 0;
  int parts_missing = 0;
  enum class Origin : uint8_t { shelf, folder, catalog } origin = Origin::shelf;
  std::string shelf_name;  // hub::Shelf's
  const hub::CatalogEntry* catalog = nullptr;
};

// The id of a model by its name on a shelf: the last part of it, at most 64 characters.
std::string shelf_id(const std::string& name);

class ModelShelf {
 public:
  struct Options {
    std::function<std::optional<engine::Hardware>()> hardware;  // as it was measured; never measures
    engine::PlanOptions plan;                                   // what the command line wants
    std::string settings;  // of the command line, that change the speed of answers, in words; for the speeds noted
    // How answers of this file (empty: of what is not here) would be drafted, into the plan's options; may be null.
    std::function<void(const fs::path& file, const model::ModelOutline& target, engine::PlanOptions& options)> drafts;
  };
  ModelShelf(Household& house, home::ShelfNotes& notes, Options options);

  std::vector<ShelfModel> models() const;  // what is here, then what the catalog has besides
  std::optional<ShelfModel> find(const std::string& id) const;
  std::vector<ShelfEntry> loadable() const;

  // Watra leaves a receipt beside what it downloaded: that it removes. What somebody put or linked there has none, what
  // lies elsewhere is not its own.
  bool removable(const ShelfModel& m) const;

  Json list() const;                           // [Model], the loaded one first
  Json model_json(const ShelfModel& m) const;  // Model
  // Estimate; null where the machine was not measured, or the model is not known from inside.
  Json estimate(const ShelfModel& m, int64_t n_ctx, const std::string& kv_type, bool advice) const;
  // An answer was written so fast: kept, unless it had far more tokens a pass than planned (answer_speeds.h).
  void note_speed(ServedModel& model, const AnswerSpeed& speed) const;
  // The planner's refusal and its offers; nothing when it fits or nobody can tell.
  std::optional<Error> why_no_room(const ShelfModel& m, const LoadWish& wish) const;

  Json folders() const;  // [Folder]
  Json folder_json(const home::Folder& folder) const;
  void look_again() const;  // folders changed

  // Tells model.changed, or model.removed when there is none of that id any more.
  void tell(const std::string& id) const;

  home::ShelfNotes& notes() const { return notes_; }

 private:
  struct Facts;
  struct Look {
    std::chrono::steady_clock::time_point at{};
    std::vector<std::pair<home::Folder, std::vector<hub::ShelfModel>>> folders;
  };
  std::shared_ptr<const Facts> facts_of(const ShelfModel& m) const;
  std::vector<std::pair<home::Folder, std::vector<hub::ShelfModel>>> looked_through() const;
  std::optional<engine::Hardware> hardware() const;
  engine::PlanOptions plan_options(const LoadWish& wish) const;
  std::optional<home::SpeedOf> speed_of(const std::vector<fs::path>& files, const engine::KvTypes& kv_types) const;

  Household& house_;
  home::ShelfNotes& notes_;
  const Options options_;
  mutable std::mutex mutex_;
  mutable Look look_;
  mutable std::map<std::string, std::shared_ptr<const Facts>> facts_;  // by path
  mutable std::map<std::string, Json> estimates_;                      // by everything they depend on
};

}  // namespace watra::server
