// POST /completion (also /completions), /infill: llama.cpp's own shape of an answer.
#include "server/llamacpp.h"
#include "server/logprobs.h"
#include "server/openai.h"
#include "server/sampling_fields.h"
#include "server/sse.h"

namespace watra::server {
namespace {

constexpr int64_t kMostProbs = 100;

struct PlainAsk {
  std::shared_ptr<ServedModel> model;
  std::vector<TokenId> prompt;
  engine::SamplingParams sampling;
  engine::GenerateOptions generate;
  Held held;
  bool stream = false, return_tokens = false;
  int32_t n_probs = 0;
};

// Text, token ids, or a list that mixes both.
std::vector<TokenId> mixed_prompt(const Fields& f, const ServedModel& model) {
  const Json* given = f.find("prompt");
  if (given && given->is_object()) given = Fields(*given, "prompt").find("prompt_string");
  if (!given) f.refuse("prompt", "a text, token ids, or a list of both");
  if (given->is_string()) return model.encode(given->get<std::string>());
  if (!given->is_array()) f.refuse("prompt", "a text, token ids, or a list of both");
  std::vector<TokenId> out;
  for (const Json& part : *given) {
    if (part.is_string()) {
      const auto ids = model.encode(part.get<std::string>(), out.empty());
      out.insert(out.end(), ids.begin(), ids.end());
    } else if (part.is_number_integer() && part.get<int64_t>() >= 0 && part.get<int64_t>() < model.n_vocab()) {
      out.push_back(part.get<TokenId>());
    } else {
      f.refuse("prompt", fmt::format("texts and token ids from 0 to {}", model.n_vocab() - 1));
    }
  }
  return out;
}

// prefix, what goes before in other files, suffix; the model writes what belongs between.
std::vector<TokenId> infill_prompt(const Fields& f, const ServedModel& model) {
  const auto& spec = model.tokenizer().spec();
  if (spec.fim_prefix < 0 || spec.fim_suffix < 0 || spec.fim_middle < 0)
    throw ApiError{.status = 501,
                   .code = "no_infill",
                   .message = "this model's vocabulary has no fill-in tokens; a coding model does"};
  std::vector<TokenId> out;
  const auto add = [&](const std::string& text, bool plain) {
    const auto ids = model.encode(text, false, !plain);
    out.insert(out.end(), ids.begin(), ids.end());
  };
  if (const Json* extra = f.array("input_extra"))
    for (size_t i = 0; i < extra->size(); ++i) {
      const Fields file((*extra)[i], fmt::format("input_extra[{}]", i));
      add(file.text("filename").value_or("") + "\n" + file.required_text("text") + "\n", true);
    }
  if (spec.add_bos && spec.bos >= 0) out.insert(out.begin(), spec.bos);
  out.push_back(spec.fim_prefix);
  add(f.required_text("input_prefix"), true);
  out.push_back(spec.fim_suffix);
  add(f.required_text("input_suffix"), true);
  out.push_back(spec.fim_middle);
  add(f.text("prompt").value_or(""), true);
  return out;
}

PlainAsk read_ask(const Fields& f, std::shared_ptr<ServedModel> model, bool infill) {
  refuse_unsupported(f);
  PlainAsk a;
  a.model = std::move(model);
  a.prompt = infill ? infill_prompt(f, *a.model) : mixed_prompt(f, *a.model);
  check_context(*a.model, a.prompt.size(), "prompt");
  a.sampling = read_sampling(f, *a.model);
  a.generate = read_generate(f, {"n_predict", "max_tokens"});
  a.stream = f.boolean("stream").value_or(false);
  a.return_tokens = f.boolean("return_tokens").value_or(false);
  a.n_probs = static_cast<int32_t>(f.integer("n_probs", 0, kMostProbs).value_or(0));
  a.sampling.n_probs = a.n_probs;
  return a;
}

Json probabilities(const PlainAsk& a, const std::vector<AnswerEvent>& tokens) {
  Json out = Json::array();
  for (const AnswerEvent& e : tokens) {
    if (e.token == text::kNoToken || !e.logprob) continue;
    const auto entry = [&](TokenId token, double logprob) -> Json {
      const std::string bytes = a.model->shown(token);
      Json list = Json::array();
      for (const char c : bytes) list.push_back(static_cast<unsigned char>(c));
      return {{"id", token}, {"token", bytes}, {"bytes", std::move(list)}, {"logprob", finite_logprob(logprob)}};
    };
    Json top = Json::array();
    for (const Probable& p : e.top) top.push_back(entry(p.token, p.logprob));
    out.push_back(entry(e.token, *e.logprob));
    out.back()["top_logprobs"] = std::move(top);
  }
  return out;
}

Json last_part(const PlainAsk& a, const std::string& content, const engine::Finished& f) {
  const bool word = f.stop_string.has_value();
  const bool limit = f.reason == engine::FinishReason::length;
  return {{"index", 0},
          {"content", content},
          {"tokens", a.return_tokens ? Json(f.ids) : Json::array()},
          {"id_slot", 0},
          {"stop", true},
          {"model", a.model->id()},
          {"tokens_predicted", f.stats.n_generated},
          {"tokens_evaluated", f.stats.n_prompt},
          {"tokens_cached", f.stats.n_cached},
          {"truncated", false},
          {"stop_type", word    ? "word"
                        : limit ? "limit"
                                : "eos"},
          {"stopping_word", word ? a.generate.stop[*f.stop_string] : std::string()},
          {"timings", timings_json(f.stats)}};
}

std::vector<engine::Request> request_of(const PlainAsk& a) {
  std::vector<engine::Request> list;
  list.push_back(make_request(a.prompt, a.sampling, a.generate, 0, a.held));
  return list;
}

Awaitable<void> reply_whole(Exchange& x, const PlainAsk& a) {
  Answers answers(x, a.model, request_of(a), "prompt");
  const auto whole = co_await collect(answers, plain_text(), a.n_probs > 0, "prompt");
  Json reply = last_part(a, whole[0].text, whole[0].finished);
  if (a.n_probs > 0) reply["completion_probabilities"] = probabilities(a, whole[0].tokens);
  co_await x.reply_json(std::move(reply));
}

Awaitable<void> reply_stream(Exchange& x, const House& house, const PlainAsk& a) {
  Answers answers(x, a.model, request_of(a), "prompt");
  SseStream sse(x);
  co_await sse.begin();
  while (!answers.done()) {
    co_await sse.flush();
    const auto events = co_await sse.next(answers, house.limits.ping);
    for (const AnswerEvent& e : events) {
      if (e.kind == AnswerEvent::Kind::finished) {
        throw_if_failed(*e.finished, "prompt");
        sse.data(last_part(a, "", *e.finished));
        continue;
      }
      if (e.text.empty() && a.n_probs == 0) continue;
      Json part = {{"index", 0}, {"content", e.text}, {"tokens", Json::array()}, {"stop", false}};
      if (e.token != text::kNoToken) part["tokens"].push_back(e.token);
      if (a.n_probs > 0) part["completion_probabilities"] = probabilities(a, {e});
      sse.data(part);
    }
  }
  co_await sse.end();
}

}  // namespace

void add_llamacpp_completion(Router& router, House& house) {
  const auto handler = [&house](bool infill) {
    return [&house, infill](Exchange& x) -> Awaitable<void> {
      const Json body = x.json();
      const Fields f(body);
      auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
      PlainAsk ask = read_ask(f, std::move(model), infill);
      ask.held = co_await hold_text(ask.model, read_asked_shape(f));
      if (ask.stream)
        co_await reply_stream(x, house, ask);
      else
        co_await reply_whole(x, ask);
    };
  };
  for (const char* path : {"/completion", "/completions"})
    router.add({.method = "POST", .pattern = path, .handler = handler(false)});
  router.add({.method = "POST", .pattern = "/infill", .handler = handler(true)});
}

}  // namespace watra::server
