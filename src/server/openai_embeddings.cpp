// POST /v1/embeddings, /embedding: what a model, an encoder or one that writes, makes of a text as one vector, by
// pooling the hidden states of its tokens.
#include <openssl/evp.h>

#include <bit>

#include "engine/pooled_vector.h"
#include "server/openai.h"

namespace watra::server {
namespace {

// As the server was told, else as the file says.
model::Pooling pooling_of(const ServedModel& model) {
  if (const std::string& asked = model.manner().pooling; !asked.empty())
    return asked == "cls" ? model::Pooling::first : asked == "last" ? model::Pooling::last : model::Pooling::mean;
  return model.model().hparams().pooling;
}

constexpr int64_t kMostNorm = 1000;

std::string base64(const std::vector<float>& vector) {
  static_assert(std::endian::native == std::endian::little, "clients expect little-endian floats");
  const auto n_bytes = vector.size() * sizeof(float);
  std::string out((n_bytes + 2) / 3 * 4 + 1, '\0');
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(vector.data()), static_cast<int>(n_bytes));
  out.resize(static_cast<size_t>(n));
  return out;
}

// Nothing has no meaning to tell; OpenAI refuses it too.
void refuse_empty(const Fields& f, const std::string& field) {
  const Json* input = f.find(field);
  const auto refuse = [](const std::string& place) {
    throw bad_field(place, fmt::format("{} must not be empty", place));
  };
  if (input && (input->empty() || *input == "")) refuse(f.name(field));
  if (!input || !input->is_array()) return;
  for (size_t i = 0; i < input->size(); ++i)
    if (const Json& one = (*input)[i]; one == "" || (one.is_array() && one.empty()))
      refuse(fmt::format("{}[{}]", f.name(field), i));
}

// The end goes, but for the token that closes a text.
void cut(std::vector<TokenId>& prompt, size_t n_most, const text::VocabSpec& spec) {
  if (prompt.size() <= n_most) return;
  const TokenId last = prompt.back();
  prompt.resize(n_most);
  if (last == spec.sep || last == spec.eos) prompt.back() = last;
}

}  // namespace

int64_t read_dimensions(const Fields& f, const ServedModel& model) {
  return f.integer("dimensions", 1, model.model().hparams().d_model).value_or(0);
}

Awaitable<Embedded> embed(Exchange& x, std::shared_ptr<ServedModel> model, std::vector<std::vector<TokenId>> prompts,
                          const EmbedWish& wish) {
  const std::string field = wish.field;
  const int64_t n_dimensions = wish.n_dimensions;
  const int norm = wish.norm;
  std::vector<std::shared_ptr<engine::PooledVector>> vectors;  // the scheduler's until its request has finished
  std::vector<engine::Request> requests;
  for (auto& prompt : prompts) {
    if (wish.truncate) cut(prompt, static_cast<size_t>(model->n_ctx()), model->tokenizer().spec());
    check_context(*model, prompt.size(), field, false);
    vectors.push_back(std::make_shared<engine::PooledVector>(pooling_of(*model), static_cast<int64_t>(prompt.size())));
    auto r = make_request(std::move(prompt), {}, {{.max_tokens = 0}});
    r.events.prompt_hidden = [vector = vectors.back()](int64_t position, std::span<const float> hidden) {
      vector->add(position, hidden);
    };
    requests.push_back(std::move(r));
  }
  Answers answers(x, std::move(model), std::move(requests), field);
  const auto whole = co_await collect(answers, plain_text(), false, field);
  Embedded out;
  for (size_t i = 0; i < whole.size(); ++i) {
    out.n_tokens += whole[i].finished.stats.n_prompt;
    out.vectors.push_back(vectors[i]->scaled(norm, n_dimensions));
  }
  co_return out;
}

void add_openai_embeddings(Router& router, House& house) {
  const auto handler = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
    const std::string field = f.has("content") && !f.has("input") ? "content" : "input";
    const std::string format = f.text("encoding_format").value_or("float");
    if (format != "float" && format != "base64") f.refuse("encoding_format", "float or base64");
    const EmbedWish wish{.field = field, .n_dimensions = read_dimensions(f, *model)};
    refuse_empty(f, field);
    auto prompts = read_prompts(f, field, *model);
    const Embedded found = co_await embed(x, model, std::move(prompts), wish);
    Json data = Json::array();
    for (size_t i = 0; i < found.vectors.size(); ++i)
      data.push_back({{"object", "embedding"},
                      {"index", i},
                      {"embedding", format == "base64" ? Json(base64(found.vectors[i])) : Json(found.vectors[i])}});
    Json reply = {{"object", "list"},
                  {"data", std::move(data)},
                  {"model", model->id()},
                  {"usage", {{"prompt_tokens", found.n_tokens}, {"total_tokens", found.n_tokens}}}};
    x.note("n_prompt", found.n_tokens);
    co_await x.reply_json(std::move(reply));
  };
  router.add({.method = "POST", .pattern = "/v1/embeddings", .handler = handler});
  // llama.cpp's own shape: a list, each with its vectors.
  const auto plain = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
    const std::string field = f.has("input") && !f.has("content") ? "input" : "content";
    const int64_t norm = f.integer("embd_normalize", -1, kMostNorm).value_or(model->manner().embedding_norm);
    const EmbedWish wish{.field = field, .norm = static_cast<int>(norm)};
    auto prompts = read_prompts(f, field, *model);
    const Embedded found = co_await embed(x, std::move(model), std::move(prompts), wish);
    Json list = Json::array();
    for (size_t i = 0; i < found.vectors.size(); ++i)
      list.push_back({{"index", i}, {"embedding", Json::array({found.vectors[i]})}});
    x.note("n_prompt", found.n_tokens);
    co_await x.reply_json(std::move(list));
  };
  router.add({.method = "POST", .pattern = "/embedding", .handler = plain});
  // llama.cpp's too by its path; OpenAI's clients, told of an address without /v1, always say how they read numbers.
  const auto either = [handler, plain](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    return Fields(body).has("encoding_format") ? handler(x) : plain(x);
  };
  router.add({.method = "POST", .pattern = "/embeddings", .handler = either});
}

}  // namespace watra::server
