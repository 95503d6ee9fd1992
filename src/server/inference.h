// add_inference: every route that answers with the model, of all APIs. The page's own API registers itself beside them.
#pragma once

#include "server/router.h"
#include "server/task.h"

namespace watra::server {

void add_inference(Router& router, House& house);

}  // namespace watra::server
