// add_house_models: the shelf's routes: /models, /downloads, /folders, and /jobs (docs/api.md, section 5).
#pragma once

#include "hub/pull.h"
#include "server/router.h"
#include "server/shelf/model_shelf.h"
#include "server/slow_work.h"

namespace watra::server {

struct ShelfWork {  // all of it outlives the routes
  Household& house;
  ModelShelf& shelf;
  SlowWork& slow;
  hub::PullSettings pull;
};

void add_house_models(Router& router, ShelfWork& work);

// A download as a job, or the one under way. Throws ApiError: model.unknown, disk.full.
home::Job start_download(ShelfWork& work, const std::string& name);

// Ollama's way to the same: POST /api/pull.
void add_ollama_shelf(Router& router, ShelfWork& work);

}  // namespace watra::server
