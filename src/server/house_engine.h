// EngineWatch: tells the page what the engine is (event engine.state, the hearth at rest) and answers GET /house
// (docs/api.md, section 3).
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "server/door.h"
#include "server/entrance.h"
#include "server/household.h"
#include "server/router.h"

namespace watra::server {

class EngineWatch {
 public:
  explicit EngineWatch(Household& house) : house_(house) {}

  // For ModelRoom::Options::changed: any thread. `models` hears of models that came or went, by id.
  void room_changed();
  std::function<void(const std::string& id)> model_changed;

  Json engine() const;  // Engine

  // `settings`: the values of all settings.
  void add(Router& router, const Door& door, Entrance& entrance, std::function<Json()> settings);

 private:
  Household& house_;
  std::mutex mutex_;
  Json told_;
  std::string model_;  // whose state was told last
};

}  // namespace watra::server
