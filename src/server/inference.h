// add_inference: every route that answers with the model, of all APIs. The page's own API registers itself beside them.
#pragma once

#include "server/router.h"
#include "server/task.h"

namespace watra::server {

void add_inference(Router& router, House& house);
// For --ollama-port: Ollama's and OpenAI's routes that answer with a model, and what Ollama's clients look for first.
// Nothing that changes the shelf, nothing that tells of the machine.
void add_inference_for_programs(Router& router, House& house);

}  // namespace watra::server
