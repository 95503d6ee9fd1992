// POST /api/chat, /api/generate
#include <fmt/chrono.h>

#include <algorithm>
#include <charconv>

#include "server/chat_messages.h"
#include "server/infill.h"
#include "server/logprobs.h"
#include "server/ollama.h"
#include "server/openai.h"
#include "server/sampling_fields.h"

namespace watra::server {
namespace {

constexpr double kNanoseconds = 1e9;
constexpr int64_t kMostTopLogprobs = 20;
constexpr int64_t kMostPositions = int64_t{1} << 31;

std::string now_text() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(static_cast<std::time_t>(us / 1'000'000)),
                     us % 1'000'000);
}

struct OllamaAsk {
  std::shared_ptr<ServedModel> model;
  ChatTask task;
  engine::SamplingParams sampling;
  WriteOptions generate;
  bool chat = true, raw = false, stream = true, think = true, logprobs = false;
  int32_t n_top = 0;
};

// `shift` and options.num_keep under the names that the other APIs have for them.
Json endless_fields(const Fields& f) {
  Json out = Json::object();
  if (const auto shift = f.boolean("shift")) out["context_shift"] = *shift;
  const Json* given = f.object("options");
  if (const auto n = given ? Fields(*given, "options").integer("num_keep", -1, kMostPositions) : std::nullopt)
    out["n_keep"] = *n;
  return out;
}

// `options` with Ollama's name for the limit.
void read_options(const Fields& f, OllamaAsk& a) {
  const Json none = Json::object();
  const Json* given = f.object("options");
  const Fields options(given ? *given : none, "options");
  a.sampling = read_sampling(options, *a.model, Ranges::llamacpp);
  Json limits = given ? *given : none;
  // Ollama's -2: until the context is full, as -1 is here.
  if (limits.value("num_predict", Json()) == -2) limits["num_predict"] = -1;
  a.generate = read_generate(Fields(limits, "options"), {"num_predict"}, *a.model);
  refuse_unsupported(options);
  // How Ollama would load and run the model; here that is the server's choice. Only their ranges are looked at.
  for (const char* name : {"num_ctx", "num_batch"}) options.integer(name, 1, kMostPositions);
  options.integer("num_gpu", -1, kMostPositions);
  a.generate.endless = read_endless(Fields(endless_fields(f)), *a.model);
  for (const char* name : {"num_thread", "main_gpu"}) options.integer(name, 0, kMostPositions);
  a.task.complete(a.generate, *a.model);
  a.stream = f.boolean("stream").value_or(true);
  a.logprobs = f.boolean("logprobs").value_or(false);
  a.n_top = static_cast<int32_t>(f.integer("top_logprobs", 0, kMostTopLogprobs).value_or(0));
  if (a.n_top > 0 && !a.logprobs) f.refuse("top_logprobs", "logprobs to be true");
  a.sampling.want_logprob = a.logprobs;
  a.sampling.n_probs = a.n_top;
}

Json with_think(const Fields& f) {
  Json out = endless_fields(f);
  const Json* think = f.find("think");
  if (!think) return out;
  constexpr std::string_view kMeasures[] = {"low", "medium", "high", "max"};
  const bool is_measure =
      think->is_string() && std::ranges::find(kMeasures, think->get<std::string>()) != std::end(kMeasures);
  if (!think->is_boolean() && !is_measure) f.refuse("think", "true, false, low, medium, high or max");
  if (is_measure)
    out["reasoning_effort"] = *think;
  else
    out["chat_template_kwargs"] = {{"enable_thinking", *think}};
  return out;
}

// Seconds, or a time as Go writes it: "5m", "1h30m", "-1s".
std::optional<double> read_keep_alive(const Fields& f) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3},
                                                                   {"s", 1},     {"m", 60},    {"h", 3600}};
  const Json* given = f.find("keep_alive");
  if (!given) return std::nullopt;
  if (given->is_number()) return given->get<double>();
  constexpr const char* kNeeds = "seconds, or a time such as 5m";
  if (!given->is_string()) f.refuse("keep_alive", kNeeds);
  std::string_view text = given->get_ref<const std::string&>();
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return 0.0;
  if (text.empty()) f.refuse("keep_alive", kNeeds);
  double total = 0;
  while (!text.empty()) {
    const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    double n = 0;
    const auto read = std::from_chars(text.data(), text.data() + digits, n);
    if (read.ec != std::errc() || read.ptr != text.data() + digits) f.refuse("keep_alive", kNeeds);
    text.remove_prefix(digits);
    const size_t letters = std::min(text.find_first_of("0123456789."), text.size());
    const auto unit = std::ranges::find(kUnits, text.substr(0, letters), &std::pair<std::string_view, double>::first);
    if (unit == std::end(kUnits)) f.refuse("keep_alive", kNeeds);
    total += n * unit->second;
    text.remove_prefix(letters);
  }
  return is_negative ? -total : total;
}

Awaitable<OllamaAsk> read_chat(const Fields& f, std::shared_ptr<ServedModel> model) {
  OllamaAsk a;
  a.model = std::move(model);
  if (const Json* messages = f.array("messages"))
    for (size_t i = 0; i < messages->size(); ++i)
      if ((*messages)[i].is_object() && !(*messages)[i].value("images", Json()).empty())
        throw no_eyes(fmt::format("messages[{}].images", i), "image");
  const Json extra = with_think(f);
  const Toolbox tools = read_openai_tools(f);
  a.task = chat_task(*a.model, read_messages(f), tools, Fields(extra));
  read_options(f, a);
  co_await hold_chat(a.model, a.task, tools, read_ollama_format(f));
  co_return a;
}

// `context`: the tokens of what was said before, as an earlier answer told them.
void add_before(const Fields& f, OllamaAsk& a, bool goes_on) {
  const Json* before = f.array("context");
  if (!before || before->empty()) return;
  const std::vector<TokenId> ids = read_token_ids(f.name("context"), *before, *a.model);
  a.task.prompt.insert(a.task.prompt.begin(), ids.begin(), ids.end());
  if (!goes_on) check_context(*a.model, a.task.prompt.size(), "context");
}

Awaitable<OllamaAsk> read_generate_ask(const Fields& f, std::shared_ptr<ServedModel> model) {
  if (const Json* images = f.array("images"); images && !images->empty()) throw no_eyes("images", "image");
  const Toolbox no_tools;
  OllamaAsk a;
  a.chat = false;
  a.raw = f.boolean("raw").value_or(false);
  a.model = std::move(model);
  const Json endless = endless_fields(f);
  const bool goes_on = read_endless(Fields(endless), *a.model).wanted;
  const std::string prompt = f.text("prompt").value_or("");
  const std::string suffix = f.text("suffix").value_or("");
  if (!f.text("template").value_or("").empty())
    throw unsupported("template", "template: the model's own is used; raw sends a prompt as it is");
  if (!suffix.empty()) {
    a.task.prompt = infill_prompt({.prefix = prompt, .suffix = suffix}, *a.model, "suffix");
    check_context(*a.model, a.task.prompt.size(), "prompt");
  } else if (a.raw || !a.model->has_template()) {
    a.task.prompt = a.model->encode(prompt);
    if (!goes_on) check_context(*a.model, a.task.prompt.size(), "prompt");
  } else {
    Json messages = Json::array();
    if (const auto system = f.text("system"); system && !system->empty())
      messages.push_back({{"role", "system"}, {"content", *system}});
    messages.push_back({{"role", "user"}, {"content", prompt}});
    const Json extra = with_think(f);
    a.task = chat_task(*a.model, messages, no_tools, Fields(extra));
  }
  add_before(f, a, goes_on);
  read_options(f, a);
  co_await hold_chat(a.model, a.task, no_tools, read_ollama_format(f));
  co_return a;
}

// Ollama's calls have arguments that are read already; what was cut off is left out.
Json calls_json(const std::vector<ToolCall>& calls) {
  Json out = Json::array();
  for (size_t i = 0; i < calls.size(); ++i) {
    auto arguments = read_written_arguments(calls[i].arguments);
    if (!arguments) continue;
    out.push_back({{"id", calls[i].id},
                   {"function", {{"index", i}, {"name", calls[i].name}, {"arguments", std::move(*arguments)}}}});
  }
  return out;
}

Json part(const OllamaAsk& a, const std::string& content, const std::string& thinking, bool done) {
  Json p = {{"model", a.model->id()}, {"created_at", now_text()}};
  if (a.chat) {
    p["message"] = {{"role", "assistant"}, {"content", content}};
    if (!thinking.empty()) p["message"]["thinking"] = thinking;
  } else {
    p["response"] = content;
    if (!thinking.empty()) p["thinking"] = thinking;
  }
  p["done"] = done;
  return p;
}

void add_end(Json& p, const OllamaAsk& a, const engine::Finished& f) {
  const auto& s = f.stats;
  const auto ns = [](double seconds) { return static_cast<int64_t>(seconds * kNanoseconds); };
  p["done_reason"] = finish_word(f);
  p["total_duration"] = ns(s.ttft_s + s.decode_s);
  p["load_duration"] = 0;
  p["prompt_eval_count"] = s.n_prompt;
  p["prompt_eval_duration"] = ns(s.prefill_s);
  p["eval_count"] = s.n_generated;
  p["eval_duration"] = ns(s.decode_s);
  if (a.chat || a.raw) return;
  p["context"] = a.task.prompt;
  for (const TokenId id : f.ids) p["context"].push_back(id);
}

std::vector<engine::Request> request_of(const OllamaAsk& a) {
  std::vector<engine::Request> list;
  list.push_back(make_request(a.task.prompt, a.sampling, a.generate, 0, a.task.held));
  return list;
}

Awaitable<void> reply_whole(Exchange& x, const OllamaAsk& a, const std::string& field) {
  Answers answers(x, a.model, request_of(a), field, a.generate.patience);
  const auto whole = co_await collect(answers, a.task.format, a.logprobs, field);
  Json reply = part(a, whole[0].text, whole[0].reasoning, true);
  if (a.logprobs) {
    const bool cut = whole[0].finished.stop_string.has_value();
    reply["logprobs"] = logprob_list(word_logprobs(*a.model, a.task.format, whole[0].tokens, cut), *a.model, a.n_top);
  }
  if (!whole[0].calls.empty()) reply["message"]["tool_calls"] = calls_json(whole[0].calls);
  add_end(reply, a, whole[0].finished);
  co_await x.reply_json(std::move(reply));
}

Awaitable<void> reply_stream(Exchange& x, const OllamaAsk& a, const std::string& field) {
  Answers answers(x, a.model, request_of(a), field, a.generate.patience);
  co_await x.begin_stream("application/x-ndjson");
  AnswerReader reader(a.task.format);
  WordLogprobs logprobs(*a.model);
  std::vector<ToolCall> calls;
  const auto line = [&](const AnswerReader::Parts& parts) {
    gather(calls, parts.calls);
    const auto entries = logprobs.take(parts);
    if (parts.content.empty() && parts.reasoning.empty()) return std::string();
    Json told = part(a, parts.content, parts.reasoning, false);
    if (a.logprobs) told["logprobs"] = logprob_list(entries, *a.model, a.n_top);
    return dump(told) + "\n";
  };
  while (!answers.done()) {
    const auto events = co_await answers.next(std::chrono::hours(1));
    std::string lines;
    for (const AnswerEvent& e : events) {
      if (e.kind == AnswerEvent::Kind::token) {
        lines += line(reader.feed(logprobs.add(e)));
        continue;
      }
      throw_if_failed(*e.finished, field);
      lines += line(reader.feed(logprobs.finish(e.finished->stop_string.has_value())));
      lines += line(reader.finish());
      if (!calls.empty()) {
        Json called = part(a, "", "", false);
        called["message"]["tool_calls"] = calls_json(calls);
        lines += dump(called) + "\n";
      }
      Json last = part(a, "", "", true);
      add_end(last, a, *e.finished);
      lines += dump(last) + "\n";
    }
    co_await x.write(std::move(lines));
  }
  co_await x.end_stream();
}

// A request without anything to answer only loads the model, or puts it away.
Json empty_reply(const std::string& id, bool chat, const char* reason) {
  Json p = {{"model", id}, {"created_at", now_text()}};
  if (chat)
    p["message"] = {{"role", "assistant"}, {"content", ""}};
  else
    p["response"] = "";
  p["done"] = true;
  p["done_reason"] = reason;
  return p;
}

bool asks_nothing(const Fields& f, bool chat) {
  if (!chat) return f.text("prompt").value_or("").empty() && f.text("suffix").value_or("").empty();
  const Json* messages = f.array("messages");
  return !messages || messages->empty();
}

// Answers under way are written to their end first. One that is not loaded is away already.
std::string put_away(House& house, const std::string& name) {
  const ShelfEntry entry = house.room.look_up(name);
  bool is_loaded = false;
  if (const auto loaded = house.room.current()) is_loaded = loaded->names().path == entry.path;
  if (is_loaded)
    if (const Status done = house.room.unload_and_wait([&] { return house.slow.ending(); }); !done)
      throw from_error(done.error(), "model");
  return entry.id;
}

Awaitable<void> answer(Exchange& x, House& house, bool chat) {
  const Json body = x.json();
  const Fields f(body);
  const std::string name = f.text("model").value_or("");
  const auto keep_alive_s =
      read_keep_alive(f);  // but for 0 without a question a model stays until another is asked for
  if (asks_nothing(f, chat) && keep_alive_s == 0.0) {
    const auto unload = [&house, name] { return put_away(house, name); };
    const std::string id = co_await house.slow.run(unload);
    co_await x.reply_json(empty_reply(id, chat, "unload"));
    co_return;
  }
  auto model = co_await acquire_writer(house, x, name);
  if (asks_nothing(f, chat)) {
    co_await x.reply_json(empty_reply(model->id(), chat, "load"));
    co_return;
  }
  Awaitable<OllamaAsk> reading = chat ? read_chat(f, std::move(model)) : read_generate_ask(f, std::move(model));
  const OllamaAsk ask = co_await std::move(reading);
  const std::string field = chat ? "messages" : "prompt";
  if (ask.stream)
    co_await reply_stream(x, ask, field);
  else
    co_await reply_whole(x, ask, field);
}

}  // namespace

void add_ollama_answers(Router& router, House& house) {
  const auto post = [&router](const char* path, Handler handler) {
    router.add({.method = "POST", .pattern = path, .handler = std::move(handler), .dialect = Dialect::ollama});
  };
  for (const bool chat : {true, false})
    post(chat ? "/api/chat" : "/api/generate", [&house, chat](Exchange& x) { return answer(x, house, chat); });
}

}  // namespace watra::server
