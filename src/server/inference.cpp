#include "server/inference.h"

#include "server/anthropic.h"
#include "server/llamacpp.h"
#include "server/ollama.h"
#include "server/openai.h"

namespace watra::server {

void add_inference(Router& router, House& house) {
  add_openai_models(router, house);
  add_openai_chat(router, house);
  add_openai_completions(router, house);
  add_openai_embeddings(router, house);
  add_openai_responses(router, house);
  add_anthropic(router, house);
  add_llamacpp_state(router, house);
  add_llamacpp_text(router, house);
  add_llamacpp_completion(router, house);
  add_ollama_models(router, house);
  add_ollama_answers(router, house);
}

}  // namespace watra::server
