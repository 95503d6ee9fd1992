// add_house_models: the shelf's routes: /models, /downloads, /folders, and /jobs (docs/api.md, section 5).
//
// What opens files, plans or looks through folders runs on the threads of SlowWork, the rest on the connection's
// strand. Errors are thrown as ApiError: 404 model.unknown, job.unknown; 409 what is in the way; 400 with the field's
// name.
#pragma once

#include "hub/pull.h"
#include "server/router.h"
#include "server/shelf/model_shelf.h"

namespace watra::server {

struct ShelfWork {  // all of it outlives the routes
  Household& house;
  ModelShelf& shelf;
  hub::PullSettings pull;
};

void add_house_models(Router& router, ShelfWork& work);

// A download as a job, or the one under way. Throws ApiError: model.unknown, disk.full. Looks at the disk: not for the
// threads that serve.
home::Jobs::Begun start_download(ShelfWork& work, const std::string& name);

// Ollama's way to the same: POST /api/pull.
void add_ollama_shelf(Router& router, ShelfWork& work);

}  // namespace watra::server
