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
  add_ollama_embed(router, house);
}

void add_inference_for_programs(Router& router, House& house) {
  router.add({.method = "GET",
              .pattern = "/",
              .handler = [](Exchange& x) -> Awaitable<void> {
                co_await x.reply(200, "text/plain; charset=utf-8", "Ollama is running (this is Watra)");
              },
              .dialect = Dialect::ollama,
              .access = Access::open});
  add_ollama_models(router, house);
  add_ollama_answers(router, house);
  add_ollama_embed(router, house);
  add_openai_models(router, house);
  add_openai_chat(router, house);
  add_openai_completions(router, house);
  add_openai_embeddings(router, house);
}

}  // namespace watra::server
