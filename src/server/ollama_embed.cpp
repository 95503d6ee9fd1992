// POST /api/embed, /api/embeddings
#include <chrono>
#include <cmath>

#include "server/ollama.h"
#include "server/openai.h"

namespace watra::server {
namespace {

// The first `n` numbers, and of length 1 again.
void shorten(std::vector<float>& vector, size_t n) {
  vector.resize(n);
  double squares = 0;
  for (const float v : vector) squares += static_cast<double>(v) * static_cast<double>(v);
  if (squares <= 0) return;
  const double norm = std::sqrt(squares);
  for (float& v : vector) v = static_cast<float>(static_cast<double>(v) / norm);
}

// Ollama's promise: what is too long is cut, unless the request says that it shall not be.
std::vector<std::vector<TokenId>> read_inputs(const Fields& f, const char* field, const ServedModel& model) {
  const Json* given = f.find(field);
  if (given && given->is_array() && given->empty()) return {};
  auto prompts = read_prompts(f, field, model);
  if (f.boolean("truncate").value_or(true))
    for (auto& p : prompts) p.resize(std::min(p.size(), static_cast<size_t>(model.n_ctx())));
  return prompts;
}

Awaitable<void> embed_list(Exchange& x, House& house) {
  const auto began = std::chrono::steady_clock::now();
  const auto passed_ns = [&] { return std::chrono::nanoseconds(std::chrono::steady_clock::now() - began).count(); };
  const Json body = x.json();
  const Fields f(body);
  const auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
  const auto load_ns = passed_ns();
  const auto n_wanted = f.integer("dimensions", 0, model->model().hparams().d_model).value_or(0);
  auto prompts = read_inputs(f, "input", *model);
  Embedded found;
  if (!prompts.empty()) found = co_await embed(x, model, std::move(prompts), "input");
  if (n_wanted > 0)
    for (auto& vector : found.vectors) shorten(vector, static_cast<size_t>(n_wanted));
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
  const Embedded found = co_await embed(x, model, std::move(prompts), "prompt");
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
