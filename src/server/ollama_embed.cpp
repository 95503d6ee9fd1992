// POST /api/embed, /api/embeddings
#include <chrono>

#include "server/ollama.h"
#include "server/openai.h"

namespace watra::server {
namespace {

// An empty list is answered with an empty list.
std::vector<std::vector<TokenId>> read_inputs(const Fields& f, const char* field, const ServedModel& model) {
  const Json* given = f.find(field);
  if (given && given->is_array() && given->empty()) return {};
  return read_prompts(f, field, model);
}

// Ollama's promise: what is too long is cut, unless the request says that it shall not be.
EmbedWish wish_of(const Fields& f, const char* field) {
  return {.field = field, .truncate = f.boolean("truncate").value_or(true)};
}

Awaitable<void> embed_list(Exchange& x, House& house) {
  const auto began = std::chrono::steady_clock::now();
  const auto passed_ns = [&] { return std::chrono::nanoseconds(std::chrono::steady_clock::now() - began).count(); };
  const Json body = x.json();
  const Fields f(body);
  const auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
  const auto load_ns = passed_ns();
  EmbedWish wish = wish_of(f, "input");
  wish.n_dimensions = read_dimensions(f, *model);
  auto prompts = read_inputs(f, "input", *model);
  Embedded found;
  if (!prompts.empty()) found = co_await embed(x, model, std::move(prompts), wish);
  x.note("n_prompt", found.n_tokens);
  Json reply = {{"model", model->id()},
                {"embeddings", found.vectors},
                {"total_duration", passed_ns()},
                {"load_duration", load_ns},
                {"prompt_eval_count", found.n_tokens}};
  co_await x.reply_json(std::move(reply));
}

Awaitable<void> embed_one(Exchange& x, House& house) {
  const Json body = x.json();
  const Fields f(body);
  const auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
  auto prompts = read_inputs(f, "prompt", *model);
  if (prompts.size() != 1) f.refuse("prompt", "a text");
  const Embedded found = co_await embed(x, model, std::move(prompts), wish_of(f, "prompt"));
  Json reply = {{"embedding", found.vectors.at(0)}};
  co_await x.reply_json(std::move(reply));
}

}  // namespace

void add_ollama_embed(Router& router, House& house) {
  router.add({.method = "POST",
              .pattern = "/api/embed",
              .handler = [&house](Exchange& x) { return embed_list(x, house); },
              .dialect = Dialect::ollama});
  router.add({.method = "POST",
              .pattern = "/api/embeddings",
              .handler = [&house](Exchange& x) { return embed_one(x, house); },
              .dialect = Dialect::ollama});
}

}  // namespace watra::server
