// Ollama's API: tags, show, chat, generate, ps, version, embed, embeddings. Streams are lines of JSON; sampling stands
// in `options`.
#pragma once

#include "server/router.h"
#include "server/task.h"

namespace watra::server {

void add_ollama_models(Router& router, House& house);
void add_ollama_answers(Router& router, House& house);
void add_ollama_embed(Router& router, House& house);

}  // namespace watra::server
