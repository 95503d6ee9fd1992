// POST /completion (also /completions), /infill: llama.cpp's own shape of an answer.
#include <algorithm>
#include <cmath>

#include "server/infill.h"
#include "server/llamacpp.h"
#include "server/logprobs.h"
#include "server/openai.h"
#include "server/sampling_fields.h"
#include "server/sse.h"

namespace watra::server {
namespace {

// Probabilities that one request may ask for, so many for each token of its answers: a million of them are some hundred
// MiB while they are written as JSON. 100 of a token may always be asked for.
constexpr int64_t kMostProbs = 100, kMostOfAll = int64_t{1} << 20;
constexpr size_t kMostPrompts = 256;
constexpr int64_t kMostChoices = 64;

struct PlainAsk {
  std::shared_ptr<ServedModel> model;
  std::vector<std::vector<TokenId>> prompts;
  size_t n = 1;          // answers of each prompt
  bool is_list = false;  // several answers come back, in a list
  engine::SamplingParams sampling;
  WriteOptions generate;
  Held held;
  bool stream = false, return_tokens = false, timings_per_token = false, return_progress = false;
  int32_t n_probs = 0;
  std::vector<std::string> fields;  // of the answer; empty = all
};

// One prompt (a text, token ids, a list that mixes both) or several: a list of texts, a list with lists in it.
void read_prompts_of(const Fields& f, PlainAsk& a) {
  const Json* given = f.find("prompt");
  const auto read = [&](const std::string& place, const Json* one) {
    const bool is_object = one && one->is_object();
    if (is_object && !one->value("multimodal_data", Json()).empty())
      throw no_eyes(place + ".multimodal_data", "multimodal_data");
    a.prompts.push_back(is_object
                            ? read_mixed(place + ".prompt_string", Fields(*one, place).find("prompt_string"), *a.model)
                            : read_mixed(place, one, *a.model));
    const auto& spec = a.model->tokenizer().spec();  // an empty text is where the model begins
    if (auto& p = a.prompts.back(); p.empty() && (spec.bos >= 0 || spec.eos >= 0))
      p.push_back(spec.bos >= 0 ? spec.bos : spec.eos);
    if (!a.generate.endless.wanted)
      check_context(*a.model, a.prompts.back().size(), "prompt", a.generate.max_tokens != 0);
  };
  a.is_list = given && given->is_array() && !given->empty();
  if (a.is_list)
    for (const Json& part : *given) a.is_list = a.is_list && !part.is_number();
  if (!a.is_list) return read("prompt", given);
  if (given->size() > kMostPrompts) f.refuse("prompt", fmt::format("at most {} prompts", kMostPrompts));
  for (size_t i = 0; i < given->size(); ++i) read(fmt::format("prompt[{}]", i), &(*given)[i]);
}

// What /infill calls them; the model writes what belongs between.
std::vector<TokenId> read_infill(const Fields& f, const ServedModel& model) {
  Infill infill;
  if (const Json* extra = f.array("input_extra"))
    for (size_t i = 0; i < extra->size(); ++i) {
      const Fields file((*extra)[i], fmt::format("input_extra[{}]", i));
      infill.files.push_back({file.text("filename").value_or(""), file.required_text("text")});
    }
  infill.prefix = f.required_text("input_prefix");
  infill.suffix = f.required_text("input_suffix");
  infill.begun = f.text("prompt").value_or("");
  auto prompt = infill_prompt(infill, model, "input_prefix", 501);
  check_context(model, prompt.size(), "input_prefix");
  return prompt;
}

// As many as the model has tokens, as long as those of the whole answer are not too many.
int32_t read_n_probs(const Fields& f, const PlainAsk& a) {
  const int64_t n_vocab = a.model->n_vocab();
  const int64_t asked = f.integer("n_probs", 0, n_vocab).value_or(0);
  int64_t n_tokens = a.generate.max_tokens;
  if (n_tokens < 0 || (n_tokens > a.model->n_ctx() && !a.generate.endless.wanted))
    n_tokens = a.generate.endless.wanted ? kMostOfAll : a.model->n_ctx();
  const int64_t n_answers = static_cast<int64_t>(a.prompts.size() * a.n);
  n_tokens = std::max<int64_t>(n_tokens, 1) * n_answers;
  const int64_t most = std::max(kMostProbs, kMostOfAll / n_tokens);
  if (asked > most)
    f.refuse("n_probs", fmt::format("a whole number from 0 to {} where {} tokens may be written (of up to {} tokens it "
                                    "may be all {} of the vocabulary: n_predict)",
                                    most, n_tokens, std::max<int64_t>(kMostOfAll / n_vocab, 1), n_vocab));
  return static_cast<int32_t>(asked);
}

PlainAsk read_ask(const Fields& f, std::shared_ptr<ServedModel> model, bool infill) {
  refuse_unsupported(f, "post_sampling_probs");
  PlainAsk a;
  a.model = std::move(model);
  a.generate = read_generate(f, {"n_predict", "max_tokens"}, *a.model);
  if (infill)
    a.prompts.push_back(read_infill(f, *a.model));
  else
    read_prompts_of(f, a);
  a.n = static_cast<size_t>(f.integer("n_cmpl", 1, kMostChoices).value_or(1));
  a.is_list = a.is_list || a.n > 1;
  a.sampling = read_sampling(f, *a.model, Ranges::llamacpp);
  a.stream = f.boolean("stream").value_or(false);
  a.return_tokens = f.boolean("return_tokens").value_or(false);
  a.timings_per_token = f.boolean("timings_per_token").value_or(false);
  a.return_progress = f.boolean("return_progress").value_or(false) && a.stream;
  a.n_probs = read_n_probs(f, a);
  a.sampling.n_probs = a.n_probs;
  a.sampling.probs_of_draw = f.boolean("post_sampling_probs").value_or(false);
  a.fields = f.texts("response_fields");
  return a;
}

// Log-probabilities of the model, or (post_sampling_probs) probabilities of what was drawn from.
Json probabilities(const PlainAsk& a, const std::vector<AnswerEvent>& tokens) {
  const bool of_draw = a.sampling.probs_of_draw;
  Json out = Json::array();
  for (const AnswerEvent& e : tokens) {
    if (e.token == text::kNoToken || !e.logprob) continue;
    const auto entry = [&](TokenId token, double logprob) -> Json {
      const std::string bytes = a.model->shown(token);
      Json list = Json::array();
      for (const char c : bytes) list.push_back(static_cast<unsigned char>(c));
      Json told = {{"id", token}, {"token", bytes}, {"bytes", std::move(list)}};
      told[of_draw ? "prob" : "logprob"] = of_draw ? std::exp(logprob) : finite_logprob(logprob);
      return told;
    };
    Json top = Json::array();
    for (const Probable& p : e.top) top.push_back(entry(p.token, p.logprob));
    out.push_back(entry(e.token, *e.logprob));
    out.back()[of_draw ? "top_probs" : "top_logprobs"] = std::move(top);
  }
  return out;
}

Json settings(const PlainAsk& a, uint64_t seed) {
  Json out = sampling_json(a.sampling);
  out["seed"] = seed;
  out["n_predict"] = a.generate.max_tokens;
  out["max_tokens"] = a.generate.max_tokens;
  out["n_probs"] = a.n_probs;
  out["post_sampling_probs"] = a.sampling.probs_of_draw;
  out["stop"] = a.generate.stop;
  out["ignore_eos"] = a.generate.ignore_end;
  out["context_shift"] = a.generate.endless.wanted;
  out["n_keep"] = a.generate.endless.asked.n_keep;
  out["n_discard"] = a.generate.endless.asked.n_discard;
  out["stream"] = a.stream;
  out["timings_per_token"] = a.timings_per_token;
  return out;
}

// "timings/predicted_n" is found inside, and goes by that name.
Json only_fields(const std::vector<std::string>& wanted, Json whole) {
  if (wanted.empty()) return whole;
  Json out = Json::object();
  for (const std::string& path : wanted) {
    const Json* at = &whole;
    for (size_t begin = 0; at && begin <= path.size();) {
      const size_t end = std::min(path.find('/', begin), path.size());
      const auto it = at->is_object() ? at->find(path.substr(begin, end - begin)) : at->end();
      at = at->is_object() && it != at->end() ? &*it : nullptr;
      begin = end + 1;
    }
    if (at) out[path] = *at;
  }
  return out;
}

Json last_part(const PlainAsk& a, size_t index, const std::string& content, bool has_new_line,
               const engine::Finished& f) {
  const bool word = f.stop_string.has_value();
  const bool limit = f.reason == engine::FinishReason::length;
  Json part = {{"index", index},
               {"content", content},
               {"tokens", a.return_tokens && !a.stream ? Json(f.ids) : Json::array()},
               {"id_slot", 0},
               {"stop", true},
               {"model", a.model->id()},
               {"tokens_predicted", f.stats.n_generated},
               {"tokens_evaluated", f.stats.n_prompt},
               {"generation_settings", settings(a, f.seed)},
               {"prompt", a.model->tokenizer().decode(a.prompts[index / a.n], true)},
               {"has_new_line", has_new_line},
               {"truncated", f.stats.n_forgotten > 0},
               {"stop_type", word    ? "word"
                             : limit ? "limit"
                                     : "eos"},
               {"stopping_word", word ? a.generate.stop[*f.stop_string] : std::string()},
               {"tokens_cached", f.stats.n_cached},
               {"timings", timings_json(f.stats)}};
  return part;
}

std::vector<engine::Request> requests_of(const PlainAsk& a) {
  std::vector<engine::Request> list;
  for (const auto& prompt : a.prompts)
    for (size_t i = 0; i < a.n; ++i) {
      list.push_back(make_request(prompt, a.sampling, a.generate, i, a.held));
      if (a.return_progress) list.back().events.reading = [](const engine::Reading&) {};
    }
  return list;
}

Awaitable<void> reply_whole(Exchange& x, const PlainAsk& a) {
  Answers answers(x, a.model, requests_of(a), "prompt", a.generate.patience);
  const auto whole = co_await collect(answers, plain_text(), a.n_probs > 0, "prompt");
  Json list = Json::array();
  for (size_t i = 0; i < whole.size(); ++i) {
    Json one = last_part(a, i, whole[i].text, whole[i].text.find('\n') != std::string::npos, whole[i].finished);
    if (a.n_probs > 0) one["completion_probabilities"] = probabilities(a, whole[i].tokens);
    list.push_back(only_fields(a.fields, std::move(one)));
  }
  x.note("n_prompt", whole[0].finished.stats.n_prompt);
  x.note("n_gen", whole[0].finished.stats.n_generated);
  if (a.is_list)
    co_await x.reply_json(std::move(list));
  else
    co_await x.reply_json(std::move(list[0]));
}

struct Written {
  RunningStats stats;
  std::vector<TokenId> waiting;  // their characters are not whole yet, or may be the beginning of a stop string
  bool has_new_line = false;
};

Json stream_part(size_t index, const std::string& text, const engine::RequestStats& stats) {
  return {{"index", index},
          {"content", text},
          {"tokens", Json::array()},
          {"stop", false},
          {"id_slot", 0},
          {"tokens_predicted", stats.n_generated},
          {"tokens_evaluated", stats.n_prompt}};
}

Awaitable<void> reply_stream(Exchange& x, const House& house, const PlainAsk& a) {
  Answers answers(x, a.model, requests_of(a), "prompt", a.generate.patience);
  SseStream sse(x);
  co_await sse.begin();
  std::vector<Written> written(answers.size());
  const auto tell_event = [&](const AnswerEvent& e) {
    Written& w = written[e.index];
    const size_t n_prompt = a.prompts[e.index / a.n].size();
    if (e.kind == AnswerEvent::Kind::reading) {
      Json part = stream_part(e.index, "", w.stats.now(n_prompt, answers.n_cached(e.index)));
      part["prompt_progress"] = w.stats.progress(e.n_read);
      sse.data(part);
      return;
    }
    if (e.kind == AnswerEvent::Kind::finished) {
      Json last = last_part(a, e.index, "", w.has_new_line, *e.finished);
      last["tokens"] = w.waiting;
      sse.data(only_fields(a.fields, std::move(last)));
      x.note("n_gen", e.finished->stats.n_generated);
      return;
    }
    w.has_new_line = w.has_new_line || e.text.find('\n') != std::string::npos;
    if (e.token != text::kNoToken) {
      w.stats.token();
      w.waiting.push_back(e.token);
    }
    if (e.text.empty() && a.n_probs == 0) return;
    const engine::RequestStats& stats = w.stats.now(n_prompt, answers.n_cached(e.index));
    Json part = stream_part(e.index, e.text, stats);
    part["tokens"] = std::exchange(w.waiting, {});
    if (a.n_probs > 0) part["completion_probabilities"] = probabilities(a, {e});
    if (a.timings_per_token) part["timings"] = timings_json(stats);
    sse.data(part);
  };
  co_await sse.follow(answers, house.limits.ping, "prompt", tell_event);
  co_await sse.end();
}

}  // namespace

void add_llamacpp_completion(Router& router, House& house) {
  const auto handler = [&house](bool infill) {
    return [&house, infill](Exchange& x) -> Awaitable<void> {
      const Json body = x.json();
      const Fields f(body);
      auto model = co_await acquire_writer(house, x, f.text("model").value_or(""));
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
