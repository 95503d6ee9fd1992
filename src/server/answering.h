// Who answers a turn, and how: from what the turn says, its thread, and the settings.
#pragma once

#include "home/home.h"
#include "server/household.h"

namespace watra::server {

struct Answering {
  home::Answerer by;
  Json sampling;                       // all keys
  std::shared_ptr<ServedModel> model;  // null: it will be loaded first
};

// `model`, `persona`: as asked for; "" = not said. `layers`: sampling, the later over the earlier, over the settings.
// Throws ApiError: 404 "model.unknown", "persona.unknown"; 409 "engine.empty".
Answering find_answering(Household& house, std::string model, const std::string& persona,
                         const std::vector<Json>& layers);

}  // namespace watra::server
