// POST /v1/chat/completions
#include <algorithm>

#include "server/chat_messages.h"
#include "server/logprobs.h"
#include "server/openai.h"
#include "server/sampling_fields.h"
#include "server/sse.h"
#include "watra_version.h"

namespace watra::server {
namespace {

constexpr int64_t kMostChoices = 64;
constexpr int64_t kMostTopLogprobs = 20;

struct ChatAsk {
  std::shared_ptr<ServedModel> model;
  ChatTask task;
  engine::SamplingParams sampling;
  WriteOptions generate;
  int64_t n = 1;
  bool stream = false, include_usage = false, logprobs = false, timings = false, progress = false;
  int32_t n_top = 0;
  std::string id = make_id("chatcmpl-");
  int64_t created = now_s();
};

// Answers are text, and nothing is looked up for them; nothing is said of the prompt's own tokens.
void refuse_absent(const Fields& f) {
  if (f.has("prompt_logprobs") || f.boolean("echo").value_or(false)) {
    const std::string name = f.has("prompt_logprobs") ? "prompt_logprobs" : "echo";
    throw unsupported(name,
                      fmt::format("{}: what a prompt's tokens are and how likely is told by /v1/completions", name));
  }
  const auto modalities = f.texts("modalities");
  for (size_t i = 0; i < modalities.size(); ++i)
    if (modalities[i] != "text")
      refuse_value(fmt::format("modalities[{}]", i), "text: no other is written here", modalities[i]);
  if (f.has("audio")) throw unsupported("audio", "audio: answers are text");
  if (f.has("web_search_options"))
    throw unsupported("web_search_options", "web_search_options: nothing is looked up here");
}

Awaitable<ChatAsk> read_chat(const Json& body, std::shared_ptr<ServedModel> model) {
  const Fields f(body);
  refuse_unsupported(f);
  ChatAsk a;
  a.model = std::move(model);
  if (const Json* old = f.array("functions"); old && !old->empty())
    throw unsupported("functions", "functions are sent as tools: [{\"type\": \"function\", \"function\": {...}}]");
  refuse_absent(f);
  const Json messages = read_messages(f);
  const Toolbox tools = read_openai_tools(f);
  a.task = chat_task(*a.model, messages, tools, f);
  a.sampling = read_sampling(f, *a.model);
  a.generate = read_generate(f, {"max_completion_tokens", "max_tokens", "n_predict"}, *a.model);
  a.task.complete(a.generate, *a.model);
  a.n = f.integer("n", 1, kMostChoices).value_or(1);
  a.stream = f.boolean("stream").value_or(false);
  if (const Json* options = f.object("stream_options"))
    a.include_usage = Fields(*options, "stream_options").boolean("include_usage").value_or(false);
  a.logprobs = f.boolean("logprobs").value_or(false);
  const auto top = f.integer("top_logprobs", 0, kMostTopLogprobs);
  if (top && *top > 0 && !a.logprobs) f.refuse("top_logprobs", "logprobs to be true");
  a.n_top = static_cast<int32_t>(top.value_or(0));
  a.sampling.want_logprob = a.logprobs;
  a.sampling.n_probs = a.logprobs ? a.n_top : 0;
  a.timings = f.boolean("timings_per_token").value_or(false);
  a.progress = f.boolean("return_progress").value_or(false) && a.stream;
  const std::string format = f.text("reasoning_format").value_or(a.model->manner().reasoning_format);
  if (!is_reasoning_format(format)) f.refuse("reasoning_format", kReasoningFormats);
  a.task.format.split_reasoning = format != "none";
  a.task.format.keep_reasoning = format == "deepseek-legacy";
  co_await hold_chat(a.model, a.task, tools, read_asked_shape(f));
  co_return a;
}

std::vector<engine::Request> requests_of(const ChatAsk& a) {
  std::vector<engine::Request> out;
  for (int64_t i = 0; i < a.n; ++i)
    out.push_back(make_request(a.task.prompt, a.sampling, a.generate, static_cast<size_t>(i), a.task.held));
  if (a.progress)
    for (auto& request : out) request.events.reading = [](const engine::Reading&) {};
  return out;
}

Json whole_message(const Whole& w) {
  Json message = {{"role", "assistant"}, {"content", w.text}, {"refusal", nullptr}};
  if (!w.reasoning.empty()) message["reasoning_content"] = w.reasoning;
  if (w.calls.empty()) return message;
  if (w.text.empty()) message["content"] = nullptr;
  Json calls = Json::array();
  for (const ToolCall& c : w.calls)
    calls.push_back({{"id", c.id}, {"type", "function"}, {"function", {{"name", c.name}, {"arguments", c.arguments}}}});
  message["tool_calls"] = std::move(calls);
  return message;
}

Json call_delta(const CallPart& part) {
  Json call = {{"index", part.index}};
  if (!part.name.empty()) {
    call["id"] = part.id;
    call["type"] = "function";
    call["function"] = {{"name", part.name}, {"arguments", ""}};
  } else {
    call["function"] = {{"arguments", part.arguments}};
  }
  return {{"tool_calls", Json::array({std::move(call)})}};
}

Awaitable<void> reply_whole(Exchange& x, const ChatAsk& a) {
  Answers answers(x, a.model, requests_of(a), "messages", a.generate.patience);
  const auto whole = co_await collect(answers, a.task.format, a.logprobs, "messages");
  Json choices = Json::array();
  std::vector<const engine::RequestStats*> stats;
  int64_t n_thoughts = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    const Whole& w = whole[i];
    stats.push_back(&w.finished.stats);
    n_thoughts += w.n_thoughts;
    Json choice = {{"index", i},
                   {"message", whole_message(w)},
                   {"logprobs", nullptr},
                   {"finish_reason", w.called ? "tool_calls" : finish_word(w.finished)}};
    if (a.logprobs) {
      LogprobQueue queue(*a.model);
      std::vector<LogprobEntry> entries;
      const auto append = [&](std::vector<LogprobEntry> more) { std::ranges::move(more, std::back_inserter(entries)); };
      for (const AnswerEvent& e : w.tokens) append(queue.add(e).entries);
      append(queue.finish(w.finished.stop_string.has_value()).entries);
      choice["logprobs"] = chat_logprobs(entries, *a.model, a.n_top);
    }
    choices.push_back(std::move(choice));
  }
  x.note("n_prompt", stats[0]->n_prompt);
  x.note("n_gen", stats[0]->n_generated);
  Json reply = {{"id", a.id},
                {"object", "chat.completion"},
                {"created", a.created},
                {"model", a.model->id()},
                {"system_fingerprint", fingerprint()},
                {"choices", std::move(choices)},
                {"usage", usage_json(stats, whole.size(), n_thoughts)},
                {"timings", timings_json(*stats[0])}};
  co_await x.reply_json(std::move(reply));
}

Json chunk(const ChatAsk& a, size_t index, Json delta, const std::string& finish, Json logprobs) {
  Json c = {{"id", a.id},
            {"object", "chat.completion.chunk"},
            {"created", a.created},
            {"model", a.model->id()},
            {"system_fingerprint", fingerprint()},
            {"choices", Json::array({{{"index", index},
                                      {"delta", std::move(delta)},
                                      {"logprobs", std::move(logprobs)},
                                      {"finish_reason", finish.empty() ? Json(nullptr) : Json(finish)}}})}};
  if (a.include_usage) c["usage"] = nullptr;
  return c;
}

struct StreamedChoice {
  AnswerReader reader;
  LogprobQueue logprobs;
  RunningStats stats;
  std::vector<LogprobEntry> entries = {};  // of text that may be the beginning of a marker, and waits
};

void tell(SseStream& sse, const ChatAsk& a, size_t i, const AnswerReader::Parts& parts, StreamedChoice& choice,
          const engine::RequestStats& stats, bool is_end = false) {
  if (parts.empty() && !is_end) return;
  const auto entries = std::exchange(choice.entries, {});
  Json logprobs = a.logprobs && !entries.empty() ? chat_logprobs(entries, *a.model, a.n_top) : Json(nullptr);
  const auto say = [&](const Json& delta) {
    Json c = chunk(a, i, delta, "", std::exchange(logprobs, nullptr));
    if (a.timings) c["timings"] = timings_json(stats);
    sse.data(c);
  };
  const bool both = a.task.format.keep_reasoning && !parts.reasoning.empty();  // the words stand in both: told at once
  if (both)
    say({{"reasoning_content", parts.reasoning}, {"content", parts.content}});
  else if (!parts.reasoning.empty())
    say({{"reasoning_content", parts.reasoning}});
  if ((!parts.content.empty() && !both) || (parts.calls.empty() && !logprobs.is_null()))
    say({{"content", parts.content}});
  for (const CallPart& part : parts.calls) say(call_delta(part));
}

Awaitable<void> reply_stream(Exchange& x, const House& house, const ChatAsk& a) {
  Answers answers(x, a.model, requests_of(a), "messages", a.generate.patience);
  SseStream sse(x);
  co_await sse.begin();
  std::vector<StreamedChoice> choices;
  for (size_t i = 0; i < answers.size(); ++i) {
    choices.push_back({AnswerReader(a.task.format), LogprobQueue(*a.model), {}});
    sse.data(chunk(a, i, {{"role", "assistant"}, {"content", ""}}, "", nullptr));
  }
  std::vector<engine::RequestStats> stats(answers.size());
  int64_t n_thoughts = 0;
  const auto tell_event = [&](const AnswerEvent& e) {
    StreamedChoice& c = choices[e.index];
    const auto& so_far = c.stats.now(a.task.prompt.size(), answers.n_cached(e.index));
    if (e.kind == AnswerEvent::Kind::reading) {
      Json told = chunk(a, e.index, Json::object(), "", nullptr);
      told["prompt_progress"] = c.stats.progress(e.n_read);
      sse.data(told);
      return;
    }
    if (e.kind == AnswerEvent::Kind::token) {
      if (e.token != text::kNoToken) c.stats.token();
      auto now = c.logprobs.add(e);
      std::ranges::move(now.entries, std::back_inserter(c.entries));
      tell(sse, a, e.index, c.reader.feed(now.text), c, so_far);
      return;
    }
    stats[e.index] = e.finished->stats;
    auto rest = c.logprobs.finish(e.finished->stop_string.has_value());
    std::ranges::move(rest.entries, std::back_inserter(c.entries));
    tell(sse, a, e.index, c.reader.feed(rest.text), c, so_far);
    const bool called = c.reader.called() && c.reader.whole() && e.finished->reason == engine::FinishReason::stop;
    tell(sse, a, e.index, c.reader.finish(), c, so_far, true);
    n_thoughts += std::min(c.reader.n_thoughts(), e.finished->stats.n_generated);
    Json last = chunk(a, e.index, Json::object(), called ? "tool_calls" : finish_word(*e.finished), nullptr);
    if (!a.include_usage) last["timings"] = timings_json(e.finished->stats);
    sse.data(last);
  };
  co_await sse.follow(answers, house.limits.ping, "messages", tell_event);
  std::optional<Json> usage;
  if (a.include_usage) {
    usage = chunk(a, 0, Json::object(), "", nullptr);
    (*usage)["choices"] = Json::array();
  }
  tell_stream_end(x, sse, stats, stats.size(), n_thoughts, std::move(usage));
  co_await sse.end();
}

}  // namespace

const std::string& fingerprint() {
  static const std::string name = fmt::format("fp_watra_{}_{}", kVersion, kCommit);
  return name;
}

Json usage_json(const std::vector<const engine::RequestStats*>& stats, size_t n_per_prompt,
                std::optional<int64_t> n_thoughts) {
  int64_t n_prompt = 0, n_cached = 0, n_generated = 0;
  for (size_t i = 0; i < stats.size(); ++i) {
    n_generated += stats[i]->n_generated;
    if (i % n_per_prompt != 0) continue;
    n_prompt += stats[i]->n_prompt;
    n_cached += stats[i]->n_cached;
  }
  Json usage = {{"prompt_tokens", n_prompt},
                {"completion_tokens", n_generated},
                {"total_tokens", n_prompt + n_generated},
                {"prompt_tokens_details", {{"cached_tokens", n_cached}}}};
  if (n_thoughts) usage["completion_tokens_details"] = {{"reasoning_tokens", *n_thoughts}};
  return usage;
}

void tell_stream_end(Exchange& x, SseStream& sse, const std::vector<engine::RequestStats>& stats, size_t n_per_prompt,
                     std::optional<int64_t> n_thoughts, std::optional<Json> usage) {
  if (usage) {
    std::vector<const engine::RequestStats*> all;
    for (const auto& s : stats) all.push_back(&s);
    (*usage)["usage"] = usage_json(all, n_per_prompt, n_thoughts);
    (*usage)["timings"] = timings_json(stats[0]);
    sse.data(*usage);
  }
  sse.raw("data: [DONE]\n\n");
  x.note("n_prompt", stats[0].n_prompt);
  x.note("n_gen", stats[0].n_generated);
}

void add_openai_chat(Router& router, House& house) {
  const auto chat = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields fields(body);
    if (!fields.array("messages") || fields.array("messages")->empty())
      throw bad_field("messages", "messages needs at least one message");
    // Words of vLLM's and llama.cpp's clients: the last message is gone on with, or answered; not both.
    const bool goes_on = fields.boolean("continue_final_message").value_or(false);
    if (fields.boolean("add_generation_prompt").value_or(false) && goes_on)
      throw bad_field("continue_final_message", "continue_final_message and add_generation_prompt exclude each other");
    auto model = co_await acquire_writer(house, x, fields.text("model").value_or(""));
    const ChatAsk ask = co_await read_chat(body, std::move(model));
    if (ask.stream)
      co_await reply_stream(x, house, ask);
    else
      co_await reply_whole(x, ask);
  };
  for (const char* path : {"/v1/chat/completions", "/chat/completions"})
    router.add({.method = "POST", .pattern = path, .handler = chat});

  // How long a prompt would be; longer ones than fit are counted as well.
  const auto count = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    const auto model = co_await acquire_writer(house, x, f.text("model").value_or(""));
    const Toolbox tools = read_openai_tools(f);
    Json reply = {{"object", "chat.completion.input_tokens"},
                  {"input_tokens", chat_prompt(*model, read_messages(f), tools, f).ids.size()}};
    co_await x.reply_json(std::move(reply));
  };
  for (const char* path : {"/v1/chat/completions/input_tokens", "/chat/completions/input_tokens"})
    router.add({.method = "POST", .pattern = path, .handler = count});
}

}  // namespace watra::server
