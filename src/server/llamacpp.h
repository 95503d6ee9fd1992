// The routes of llama.cpp's server that clients have come to rely on: health, properties, metrics, tokens, completion.
#pragma once

#include "server/router.h"
#include "server/task.h"

namespace watra::server {

void add_llamacpp_state(Router& router, House& house);       // /health /props /slots /metrics
void add_llamacpp_text(Router& router, House& house);        // /tokenize /detokenize /apply-template
void add_llamacpp_completion(Router& router, House& house);  // /completion /infill

}  // namespace watra::server
