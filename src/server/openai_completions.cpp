// POST /v1/completions: text continued; also scored (echo, logprobs, prompt_logprobs), as evaluation harnesses want it.
#include <algorithm>
#include <numeric>

#include "server/infill.h"
#include "server/llamacpp.h"
#include "server/logprobs.h"
#include "server/openai.h"
#include "server/sampling_fields.h"
#include "server/sse.h"

namespace watra::server {
namespace {

constexpr int64_t kMostChoices = 64;
constexpr int64_t kMostLogprobs = 100;
constexpr size_t kMostPrompts = 2048;   // OpenAI's, of embeddings
constexpr int64_t kDefaultTokens = 16;  // OpenAI's, of this API alone

struct TextAsk {
  std::shared_ptr<ServedModel> model;
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::string> echoes;  // what `echo` says of each prompt
  std::vector<bool> begun;          // its first token is not of the text, it is where the model begins
  engine::SamplingParams sampling;
  WriteOptions generate;
  Held held;
  size_t n = 1, best_of = 1;  // answers of each prompt: told, written
  bool stream = false, include_usage = false, echo = false;
  std::optional<int32_t> n_logprobs, n_prompt_logprobs;
  std::string id = make_id("cmpl-");
  int64_t created = now_s();

  bool scores_prompt() const { return n_prompt_logprobs || (echo && n_logprobs); }
};

// A text is echoed as it came, token ids as the text they are.
void read_echoes(const Fields& f, TextAsk& a) {
  const Json& given = *f.find("prompt");
  const auto& spec = a.model->tokenizer().spec();
  for (size_t i = 0; i < a.prompts.size(); ++i) {
    const Json& one = given.is_array() && !given.front().is_number() ? given[i] : given;
    const TokenId first = a.prompts[i].front();
    const bool is_text = one.is_string() || one.empty();
    a.begun.push_back(is_text && (one.empty() || one == "" || (spec.add_bos && first == spec.bos)));
    a.echoes.push_back(!is_text          ? a.model->tokenizer().decode(a.prompts[i], true)
                       : one.is_string() ? one.get<std::string>()
                                         : std::string());
  }
}

// The prompts are what stands before, the answers what belongs between them and the suffix.
void fill_in(const Fields& f, const std::string& suffix, TextAsk& a) {
  if (a.scores_prompt())
    throw unsupported("suffix", "suffix: what is written between two texts has no prompt that can be scored");
  const Json& given = *f.find("prompt");
  for (size_t i = 0; i < a.prompts.size(); ++i) {
    const Json& one = given.is_array() && !given.front().is_number() ? given[i] : given;
    if (!one.is_string())
      refuse_value(&one == &given ? "prompt" : fmt::format("prompt[{}]", i), "a text, where there is a suffix", one);
    a.prompts[i] = infill_prompt({.prefix = one.get<std::string>(), .suffix = suffix}, *a.model, "suffix");
    check_context(*a.model, a.prompts[i].size(), "prompt", a.generate.max_tokens != 0);
  }
}

TextAsk read_ask(const Json& body, std::shared_ptr<ServedModel> model) {
  const Fields f(body);
  refuse_unsupported(f);
  TextAsk a;
  a.model = std::move(model);
  a.prompts = read_prompts(f, "prompt", *a.model);
  a.sampling = read_sampling(f, *a.model);
  a.generate = read_generate(f, {"max_tokens", "max_completion_tokens", "n_predict"}, *a.model);
  if (a.model->manner().max_tokens < 0 && !f.has("max_tokens") && !f.has("max_completion_tokens") &&
      !f.has("n_predict"))
    a.generate.max_tokens = kDefaultTokens;
  if (!a.generate.endless.wanted)
    for (const auto& p : a.prompts) check_context(*a.model, p.size(), "prompt", a.generate.max_tokens != 0);
  a.n = static_cast<size_t>(f.integer("n", 1, kMostChoices).value_or(1));
  const auto n_told = static_cast<int64_t>(a.n);
  a.best_of = static_cast<size_t>(f.integer("best_of", n_told, kMostChoices).value_or(n_told));
  a.stream = f.boolean("stream").value_or(false);
  if (const Json* options = f.object("stream_options"))
    a.include_usage = Fields(*options, "stream_options").boolean("include_usage").value_or(false);
  a.echo = f.boolean("echo").value_or(false);
  if (const Json* value = f.find("logprobs"); value && value->is_boolean()) {
    if (value->get<bool>()) a.n_logprobs = 0;
  } else if (const auto n = f.integer("logprobs", 0, kMostLogprobs)) {
    a.n_logprobs = static_cast<int32_t>(*n);
  }
  if (const auto n = f.integer("prompt_logprobs", 0, kMostLogprobs)) a.n_prompt_logprobs = static_cast<int32_t>(*n);
  if (a.stream && a.best_of > a.n)
    throw unsupported("best_of", "which answers are the best is known at their end: a stream needs best_of to be n");
  a.sampling.want_logprob = a.n_logprobs.has_value() || a.best_of > a.n;
  a.sampling.n_probs = a.n_logprobs.value_or(0);
  read_echoes(f, a);
  if (const auto suffix = f.text("suffix"); suffix && !suffix->empty()) fill_in(f, *suffix, a);
  return a;
}

std::vector<engine::Request> requests_of(const TextAsk& a) {
  std::vector<engine::Request> out;
  for (const auto& prompt : a.prompts)
    for (size_t i = 0; i < a.best_of; ++i) {
      out.push_back(make_request(prompt, a.sampling, a.generate, i, a.held));
      if (!a.scores_prompt()) continue;
      out.back().n_prompt_probs = std::max(a.n_logprobs.value_or(0), a.n_prompt_logprobs.value_or(0));
      out.back().events.prompt_token = [](const engine::PromptToken&) {};
    }
  return out;
}

// vLLM's shape: for each token of the prompt what could have stood there.
Json prompt_logprobs(const TextAsk& a, const std::vector<AnswerEvent>& events) {
  Json out = Json::array({nullptr});  // nothing predicts the first
  const auto entry = [&](TokenId token, double logprob, int64_t rank) -> Json {
    return {{"logprob", finite_logprob(logprob)}, {"rank", rank}, {"decoded_token", a.model->shown(token)}};
  };
  for (const AnswerEvent& e : events) {
    Json here = {{std::to_string(e.token), entry(e.token, *e.logprob, e.rank)}};
    for (size_t i = 0; i < e.top.size() && i < static_cast<size_t>(*a.n_prompt_logprobs); ++i)
      if (e.top[i].token != e.token)
        here[std::to_string(e.top[i].token)] = entry(e.top[i].token, e.top[i].logprob, static_cast<int64_t>(i) + 1);
    out.push_back(std::move(here));
  }
  return out;
}

void add_prompt(const TextAsk& a, size_t prompt, const std::vector<AnswerEvent>& events, TextLogprobs& to) {
  const std::string first = a.model->shown(a.prompts[prompt].front());
  if (a.begun[prompt])
    to.begin(first);
  else
    to.add(a.prompts[prompt].front(), first, std::nullopt, {}, 0);
  for (const AnswerEvent& e : events) to.add(e.token, a.model->shown(e.token), e.logprob, e.top, *a.n_logprobs);
}

// Places in `whole` of each prompt's n most probable answers, by the mean of their tokens, in the order written.
std::vector<size_t> best_answers(const TextAsk& a, const std::vector<Whole>& whole) {
  const auto mean = [&](size_t i) {
    double sum = 0;
    for (const AnswerEvent& e : whole[i].tokens) sum += e.logprob.value_or(0);
    return sum / static_cast<double>(std::max<size_t>(whole[i].tokens.size(), 1));
  };
  std::vector<size_t> best;
  for (size_t first = 0; first < whole.size(); first += a.best_of) {
    std::vector<size_t> of_prompt(a.best_of);
    std::iota(of_prompt.begin(), of_prompt.end(), first);
    if (a.best_of > a.n) std::ranges::stable_sort(of_prompt, [&](size_t x, size_t y) { return mean(x) > mean(y); });
    best.insert(best.end(), of_prompt.begin(), of_prompt.begin() + static_cast<ptrdiff_t>(a.n));
  }
  return best;
}

Json whole_choice(const TextAsk& a, size_t index, const Whole& w) {
  const size_t prompt = index / a.n;
  Json choice = {{"index", index},
                 {"text", (a.echo ? a.echoes[prompt] : "") + w.text},
                 {"logprobs", nullptr},
                 {"finish_reason", finish_word(w.finished)}};
  if (a.n_logprobs) {
    TextLogprobs old(*a.model, 0);
    if (a.echo) add_prompt(a, prompt, w.prompt, old);
    LogprobQueue queue(*a.model);
    const auto add = [&](const std::vector<LogprobEntry>& entries) {
      for (const auto& e : entries) old.add(e.token, e.bytes, e.logprob, e.top, *a.n_logprobs);
    };
    for (const AnswerEvent& e : w.tokens) add(queue.add(e).entries);
    add(queue.finish(w.finished.stop_string.has_value()).entries);
    choice["logprobs"] = old.take(*a.n_logprobs > 0);
  }
  if (a.n_prompt_logprobs) choice["prompt_logprobs"] = prompt_logprobs(a, w.prompt);
  return choice;
}

Json envelope(const TextAsk& a, Json choices) {
  return {{"id", a.id},
          {"object", "text_completion"},
          {"created", a.created},
          {"model", a.model->id()},
          {"system_fingerprint", fingerprint()},
          {"choices", std::move(choices)}};
}

Awaitable<void> reply_whole(Exchange& x, const TextAsk& a) {
  Answers answers(x, a.model, requests_of(a), "prompt", a.generate.patience);
  const auto whole = co_await collect(answers, plain_text(), a.sampling.want_logprob, "prompt");
  Json choices = Json::array();
  for (const size_t i : best_answers(a, whole)) choices.push_back(whole_choice(a, choices.size(), whole[i]));
  std::vector<const engine::RequestStats*> stats;
  for (const Whole& w : whole) stats.push_back(&w.finished.stats);
  Json body = envelope(a, std::move(choices));
  body["usage"] = usage_json(stats, a.best_of, {});
  body["timings"] = timings_json(*stats[0]);
  x.note("n_prompt", stats[0]->n_prompt);
  x.note("n_gen", stats[0]->n_generated);
  co_await x.reply_json(std::move(body));
}

Awaitable<void> reply_stream(Exchange& x, const House& house, const TextAsk& a) {
  Answers answers(x, a.model, requests_of(a), "prompt", a.generate.patience);
  SseStream sse(x);
  co_await sse.begin();
  const auto chunk = [&](size_t index, std::string_view text, Json logprobs, Json finish) {
    Json c = envelope(a, Json::array({{{"index", index},
                                       {"text", text},
                                       {"logprobs", std::move(logprobs)},
                                       {"finish_reason", std::move(finish)}}}));
    if (a.include_usage) c["usage"] = nullptr;
    return c;
  };
  std::vector<LogprobQueue> queues(answers.size(), LogprobQueue(*a.model));
  std::vector<TextLogprobs> old(answers.size(), TextLogprobs(*a.model, 0));
  // The prompt goes first: at once, or scored when it has been read.
  std::vector<std::vector<AnswerEvent>> scored(answers.size());
  std::vector<bool> told(answers.size(), !a.echo && !a.n_prompt_logprobs);
  const auto tell_prompt = [&](size_t i) {
    if (told[i]) return;
    told[i] = true;
    const size_t prompt = i / a.n;
    Json lists = nullptr;
    if (a.echo && a.n_logprobs) {
      add_prompt(a, prompt, scored[i], old[i]);
      lists = old[i].take(*a.n_logprobs > 0);
    }
    Json c = chunk(i, a.echo ? a.echoes[prompt] : "", std::move(lists), nullptr);
    if (a.n_prompt_logprobs) c["choices"][0]["prompt_logprobs"] = prompt_logprobs(a, scored[i]);
    scored[i] = {};
    sse.data(c);
  };
  if (!a.scores_prompt())
    for (size_t i = 0; i < answers.size(); ++i) tell_prompt(i);
  const auto logprobs = [&](size_t i, const std::vector<LogprobEntry>& entries) -> Json {
    if (!a.n_logprobs || entries.empty()) return nullptr;
    for (const auto& e : entries) old[i].add(e.token, e.bytes, e.logprob, e.top, *a.n_logprobs);
    return old[i].take(*a.n_logprobs > 0);
  };
  std::vector<engine::RequestStats> stats(answers.size());
  const auto tell_event = [&](AnswerEvent& e) {
    if (e.kind == AnswerEvent::Kind::prompt_token) {
      scored[e.index].push_back(std::move(e));
      return;
    }
    tell_prompt(e.index);
    if (e.kind == AnswerEvent::Kind::token) {
      const auto now = queues[e.index].add(e);
      Json entries = logprobs(e.index, now.entries);
      if (!now.text.empty() || !entries.is_null()) sse.data(chunk(e.index, now.text, std::move(entries), nullptr));
      return;
    }
    stats[e.index] = e.finished->stats;
    const auto rest = queues[e.index].finish(e.finished->stop_string.has_value());
    sse.data(chunk(e.index, rest.text, logprobs(e.index, rest.entries), finish_word(*e.finished)));
  };
  co_await sse.follow(answers, house.limits.ping, "prompt", tell_event);
  std::optional<Json> usage;
  if (a.include_usage) usage = envelope(a, Json::array());
  tell_stream_end(x, sse, stats, a.n, {}, std::move(usage));
  co_await sse.end();
}

}  // namespace

std::vector<TokenId> read_token_ids(const std::string& place, const Json& list, const ServedModel& model) {
  std::vector<TokenId> out;
  for (size_t i = 0; i < list.size(); ++i) {
    const Json& id = list[i];
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= model.n_vocab())
      refuse_value(fmt::format("{}[{}]", place, i), fmt::format("a token id from 0 to {}", model.n_vocab() - 1), id);
    out.push_back(id.get<TokenId>());
  }
  return out;
}

std::vector<std::vector<TokenId>> read_prompts(const Fields& f, std::string_view name, const ServedModel& model) {
  constexpr const char* kNeeds = "a text, token ids, or a list of these";
  const Json* given = f.find(name);
  if (!given) f.refuse(name, kNeeds);
  const auto ids = [&](const Json& list, const std::string& place) {
    const bool has_text = std::ranges::any_of(list, [](const Json& part) { return part.is_string(); });
    return has_text ? read_mixed_list(place, list, model) : read_token_ids(place, list, model);
  };
  // llama.cpp's objects: {"prompt_string"}, or {"content"} as messages have it.
  const auto wrapped = [&](const Json& one, const std::string& place) {
    const Fields at(one, place);
    if (const auto text = at.text("prompt_string")) return model.encode(*text);
    const Json* parts = one.contains("prompt_string") ? nullptr : at.array("content");
    if (!parts || parts->empty()) refuse_value(place, kNeeds, one);
    std::string all;
    for (size_t i = 0; i < parts->size(); ++i) {
      const Fields part((*parts)[i], fmt::format("{}[{}]", at.name("content"), i));
      if (part.required_text("type") != "text") part.refuse("type", "text");
      all += part.required_text("text");
    }
    return model.encode(all);
  };
  std::vector<std::vector<TokenId>> prompts;
  if (given->is_string()) {
    prompts.push_back(model.encode(given->get<std::string>()));
  } else if (given->is_object()) {
    prompts.push_back(wrapped(*given, f.name(name)));
  } else if (given->is_array() && !given->empty() && given->front().is_number()) {
    prompts.push_back(ids(*given, f.name(name)));
  } else if (given->is_array()) {
    if (given->size() > kMostPrompts) f.refuse(name, fmt::format("at most {} prompts", kMostPrompts));
    for (size_t i = 0; i < given->size(); ++i) {
      const Json& entry = (*given)[i];
      const std::string at = fmt::format("{}[{}]", f.name(name), i);
      if (entry.is_string())
        prompts.push_back(model.encode(entry.get<std::string>()));
      else if (entry.is_array())
        prompts.push_back(ids(entry, at));
      else if (entry.is_object())
        prompts.push_back(wrapped(entry, at));
      else
        refuse_value(at, "a text, or token ids", entry);
    }
  } else {
    f.refuse(name, kNeeds);
  }
  if (prompts.empty()) throw bad_field(f.name(name), fmt::format("{} is empty", f.name(name)));
  // An empty text is where the model begins.
  const auto& spec = model.tokenizer().spec();
  for (auto& p : prompts)
    if (p.empty() && (spec.bos >= 0 || spec.eos >= 0)) p.push_back(spec.bos >= 0 ? spec.bos : spec.eos);
  return prompts;
}

void add_openai_completions(Router& router, House& house) {
  const auto complete = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    auto model = co_await acquire_writer(house, x, Fields(body).text("model").value_or(""));
    TextAsk ask = read_ask(body, std::move(model));
    ask.held = co_await hold_text(ask.model, read_asked_shape(Fields(body)));
    if (ask.stream)
      co_await reply_stream(x, house, ask);
    else
      co_await reply_whole(x, ask);
  };
  router.add({.method = "POST", .pattern = "/v1/completions", .handler = complete});
}

}  // namespace watra::server
