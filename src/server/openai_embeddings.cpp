// POST /v1/embeddings: what a model makes of a text as one vector, by pooling the hidden states of its tokens.
#include <openssl/evp.h>

#include <bit>
#include <cmath>

#include "server/openai.h"

namespace watra::server {
namespace {

// GGUF's pooling_type; a model that says nothing is averaged.
enum class Pooling : uint8_t { mean, first, last };

Pooling pooling_of(const ServedModel& model) {
  if (const std::string& asked = model.manner().pooling; !asked.empty())
    return asked == "cls" ? Pooling::first : asked == "last" ? Pooling::last : Pooling::mean;
  const auto& hp = model.model().hparams();
  const auto type = model.model().file().metadata().get_u64(hp.architecture + ".pooling_type").value_or(1);
  return type == 2 ? Pooling::first : type == 3 ? Pooling::last : Pooling::mean;
}

// Filled by the scheduler's thread, read after the request has finished.
struct Pool {
  std::vector<double> sum;
  int64_t n = 0;
};

std::vector<float> pooled(const Pool& pool) {
  double norm = 0;
  for (const double v : pool.sum) norm += v * v;
  norm = norm > 0 ? std::sqrt(norm) : 1;
  std::vector<float> out;
  out.reserve(pool.sum.size());
  for (const double v : pool.sum) out.push_back(static_cast<float>(v / norm));
  return out;
}

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
  bool is_empty = input && (input->empty() || *input == "");
  if (input && input->is_array())
    for (const Json& one : *input) is_empty = is_empty || one == "" || (one.is_array() && one.empty());
  if (is_empty) throw bad_field(f.name(field), fmt::format("{} must not be empty", f.name(field)));
}

}  // namespace

Awaitable<Embedded> embed(Exchange& x, std::shared_ptr<ServedModel> model, std::vector<std::vector<TokenId>> prompts,
                          const std::string& field) {
  const Pooling pooling = pooling_of(*model);
  std::vector<std::shared_ptr<Pool>> pools;
  std::vector<engine::Request> requests;
  for (auto& prompt : prompts) {
    check_context(*model, prompt.size(), field, false);
    auto pool = std::make_shared<Pool>();
    pools.push_back(pool);
    const auto last = static_cast<int64_t>(prompt.size()) - 1;
    auto r = make_request(std::move(prompt), {}, {{.max_tokens = 0}});
    r.events.prompt_hidden = [pool, pooling, last](int64_t position, std::span<const float> hidden) {
      if (pooling == Pooling::first && position != 0) return;
      if (pooling == Pooling::last && position != last) return;
      pool->sum.resize(hidden.size());
      for (size_t i = 0; i < hidden.size(); ++i) pool->sum[i] += static_cast<double>(hidden[i]);
      ++pool->n;
    };
    requests.push_back(std::move(r));
  }
  Answers answers(x, std::move(model), std::move(requests), field);
  const auto whole = co_await collect(answers, plain_text(), false, field);
  Embedded out;
  for (size_t i = 0; i < whole.size(); ++i) {
    out.n_tokens += whole[i].finished.stats.n_prompt;
    out.vectors.push_back(pooled(*pools[i]));
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
    if (const auto d = f.integer("dimensions"); d && *d != model->model().hparams().d_model)
      f.refuse("dimensions", fmt::format("{}, which this model has", model->model().hparams().d_model));
    refuse_empty(f, field);
    auto prompts = read_prompts(f, field, *model);
    const Embedded found = co_await embed(x, model, std::move(prompts), field);
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
  for (const char* path : {"/v1/embeddings", "/embeddings"})
    router.add({.method = "POST", .pattern = path, .handler = handler});
  // llama.cpp's own shape: a list, each with its vectors.
  const auto plain = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
    const std::string field = f.has("input") && !f.has("content") ? "input" : "content";
    auto prompts = read_prompts(f, field, *model);
    const Embedded found = co_await embed(x, std::move(model), std::move(prompts), field);
    Json list = Json::array();
    for (size_t i = 0; i < found.vectors.size(); ++i)
      list.push_back({{"index", i}, {"embedding", Json::array({found.vectors[i]})}});
    x.note("n_prompt", found.n_tokens);
    co_await x.reply_json(std::move(list));
  };
  router.add({.method = "POST", .pattern = "/embedding", .handler = plain});
}

}  // namespace watra::server
