// POST /v1/responses: the newer API, without stored state: input, instructions, answers, calls of functions, their
// stream.
#include <algorithm>

#include "server/chat_messages.h"
#include "server/logprobs.h"
#include "server/openai.h"
#include "server/sampling_fields.h"
#include "server/sse.h"

namespace watra::server {
namespace {

// Calls belong to the answer before them, or make one.
void add_call(Json& given, const Fields& item) {
  Json call = {
      {"id", item.text("call_id").value_or(item.text("id").value_or(""))},
      {"type", "function"},
      {"function", {{"name", item.required_text("name")}, {"arguments", item.text("arguments").value_or("{}")}}}};
  if (given.empty() || given.back().at("role") != "assistant")
    given.push_back({{"role", "assistant"}, {"content", ""}});
  if (!given.back().contains("tool_calls")) given.back()["tool_calls"] = Json::array();
  given.back()["tool_calls"].push_back(std::move(call));
}

void add_item(Json& given, const Fields& item, const std::string& at) {
  const std::string type = item.text("type").value_or("message");
  if (type == "reasoning") return;
  if (type == "function_call") return add_call(given, item);
  if (type == "function_call_output") {
    const Json* output = item.find("output");
    if (!output) item.refuse("output", "a text or a list of parts");
    given.push_back({{"role", "tool"},
                     {"tool_call_id", item.required_text("call_id")},
                     {"content", read_content(*output, item.name("output"))}});
    return;
  }
  if (type != "message") item.refuse("type", "message, function_call, function_call_output or reasoning");
  const Json* content = item.find("content");
  if (!content) item.refuse("content", "a text or a list of parts");
  const std::string role = item.required_text("role");
  if (!is_known_role(role)) item.refuse("role", "system, developer, user or assistant");
  given.push_back({{"role", role}, {"content", read_content(*content, at + ".content")}});
}

Json input_messages(const Fields& f) {
  Json given = Json::array();
  if (const auto instructions = f.text("instructions"); instructions && !instructions->empty())
    given.push_back({{"role", "system"}, {"content", *instructions}});
  const Json* input = f.find("input");
  if (!input) f.refuse("input", "a text or a list of messages");
  if (input->is_string()) {
    given.push_back({{"role", "user"}, {"content", *input}});
  } else if (input->is_array() && !input->empty()) {
    for (size_t i = 0; i < input->size(); ++i) {
      const std::string at = fmt::format("input[{}]", i);
      add_item(given, Fields((*input)[i], at), at);
    }
  } else {
    f.refuse("input", "a text or a list of messages");
  }
  const Json wrapped = {{"messages", std::move(given)}};
  return read_messages(Fields(wrapped));
}

struct ResponseAsk {
  std::shared_ptr<ServedModel> model;
  ChatTask task;
  engine::SamplingParams sampling;
  WriteOptions generate;
  Json echo;  // what the object says of the request
  bool logprobs = false, timings = false, progress = false;
  int32_t n_top = 0;
  std::string id = make_id("resp_"), message_id = make_id("msg_"), reasoning_id = make_id("rs_");
  int64_t created = now_s();
};

constexpr int64_t kMostTopLogprobs = 20;
constexpr size_t kMostMetadata = 16, kLongestKey = 64, kLongestNote = 512;  // OpenAI's

Json read_metadata(const Fields& f) {
  const Json* given = f.object("metadata");
  if (!given) return Json::object();
  if (given->size() > kMostMetadata) f.refuse("metadata", fmt::format("at most {} entries", kMostMetadata));
  for (const auto& [key, value] : given->items())
    if (key.size() > kLongestKey)
      f.refuse("metadata", fmt::format("keys of at most {} bytes", kLongestKey));
    else if (!value.is_string() || value.get_ref<const std::string&>().size() > kLongestNote)
      refuse_value(fmt::format("{}.{}", f.name("metadata"), key),
                   fmt::format("a text of at most {} bytes", kLongestNote), value);
  return *given;
}

// `truncation` is this API's word for context_shift (docs/api.md section 11), which stands where both are said.
Json with_truncation(Json body) {
  const Fields f(body);
  const auto said = f.text("truncation");
  if (said && *said != "auto" && *said != "disabled") f.refuse("truncation", "auto or disabled");
  if (said && !f.has("context_shift")) body["context_shift"] = *said == "auto";
  return body;
}

// The fields of the object that repeat the request, with the defaults that were used.
Json echo_of(const Fields& f, const Toolbox& tools, const engine::SamplingParams& sampling, bool goes_on) {
  const auto given = [&](const char* name, Json otherwise) -> Json {
    const Json* value = f.find(name);
    return value ? *value : std::move(otherwise);
  };
  Json text = {{"format", {{"type", "text"}}}};
  if (const Json* asked = f.object("text")) text.update(*asked);
  Json reasoning = {{"effort", nullptr}, {"summary", nullptr}};
  if (const Json* asked = f.object("reasoning")) reasoning.update(*asked);
  return {{"instructions", given("instructions", nullptr)},
          {"max_output_tokens", given("max_output_tokens", nullptr)},
          {"max_tool_calls", given("max_tool_calls", nullptr)},
          {"metadata", read_metadata(f)},
          {"parallel_tool_calls", tools.parallel.value_or(true)},
          {"previous_response_id", nullptr},
          {"prompt_cache_key", given("prompt_cache_key", nullptr)},
          {"reasoning", std::move(reasoning)},
          {"safety_identifier", given("safety_identifier", nullptr)},
          {"service_tier", "default"},
          {"store", false},
          {"temperature", sampling.temperature},
          {"text", std::move(text)},
          {"tool_choice", given("tool_choice", "auto")},
          {"tools", given("tools", Json::array())},
          {"top_logprobs", sampling.n_probs},
          {"top_p", sampling.top_p},
          {"truncation", goes_on ? "auto" : "disabled"},
          {"user", given("user", nullptr)}};
}

// What may be asked for beside the answer; of what does not exist here (searches, pictures, secret thoughts) there is
// nothing to add.
std::vector<std::string> read_include(const Fields& f) {
  static constexpr const char* kKnown[] = {"message.output_text.logprobs",
                                           "reasoning.encrypted_content",
                                           "file_search_call.results",
                                           "web_search_call.results",
                                           "web_search_call.action.sources",
                                           "message.input_image.image_url",
                                           "computer_call_output.output.image_url",
                                           "code_interpreter_call.outputs"};
  std::vector<std::string> included = f.texts("include");
  for (size_t i = 0; i < included.size(); ++i)
    if (std::ranges::find(kKnown, included[i]) == std::end(kKnown))
      refuse_value(fmt::format("include[{}]", i), fmt::format("one of {}", fmt::join(kKnown, ", ")), included[i]);
  return included;
}

Awaitable<ResponseAsk> read_ask(const Fields& f, std::shared_ptr<ServedModel> model) {
  refuse_unsupported(f);
  for (const char* name : {"previous_response_id", "conversation"})
    if (f.has(name)) throw unsupported(name, "answers are not kept for this API; send the whole conversation as input");
  if (f.has("prompt"))
    throw unsupported("prompt", "no prompts are kept here; send the words as instructions and input");
  if (f.boolean("background").value_or(false))
    throw unsupported("background", "background: answers are not kept; this one comes with its request");
  AskedShape asked;
  if (const Json* text = f.object("text"))
    if (const Json* format = Fields(*text, "text").find("format")) asked = read_format(*format, "text.format");
  if (!asked.shape) asked = read_asked_shape(f);
  ResponseAsk a;
  a.model = std::move(model);
  const Toolbox tools = read_responses_tools(f);
  try {
    a.task = chat_task(*a.model, input_messages(f), tools, f);
  } catch (ApiError& e) {  // this API has another name for them
    if (e.param == "messages") e.param = "input";
    throw;
  }
  f.integer("max_output_tokens", 1);
  a.generate = read_generate(f, {"max_output_tokens"}, *a.model);
  a.task.complete(a.generate, *a.model);
  a.sampling = read_sampling(f, *a.model);
  a.n_top = static_cast<int32_t>(f.integer("top_logprobs", 0, kMostTopLogprobs).value_or(0));
  const std::vector<std::string> included = read_include(f);
  a.logprobs = a.n_top > 0 || std::ranges::find(included, "message.output_text.logprobs") != included.end();
  a.sampling.want_logprob = a.logprobs;
  a.sampling.n_probs = a.n_top;
  a.timings = f.boolean("timings_per_token").value_or(false);
  a.progress = f.boolean("return_progress").value_or(false) && f.boolean("stream").value_or(false);
  a.echo = echo_of(f, tools, a.sampling, a.generate.endless.wanted);
  co_await hold_chat(a.model, a.task, tools, std::move(asked));
  co_return a;
}

Json text_part(const std::string& text, Json logprobs) {
  return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", std::move(logprobs)}};
}

Json message_item(const ResponseAsk& a, const std::string& text, const char* status, Json logprobs = Json::array()) {
  Json content = Json::array();
  if (std::string_view(status) != "in_progress") content.push_back(text_part(text, std::move(logprobs)));
  return {{"id", a.message_id}, {"type", "message"}, {"status", status}, {"role", "assistant"}, {"content", content}};
}

Json reasoning_part(const std::string& text) { return {{"type", "reasoning_text"}, {"text", text}}; }

Json reasoning_item(const ResponseAsk& a, const std::string& text, const char* status) {
  Json content = Json::array();
  if (std::string_view(status) != "in_progress") content.push_back(reasoning_part(text));
  return {{"id", a.reasoning_id},
          {"type", "reasoning"},
          {"status", status},
          {"summary", Json::array()},
          {"content", std::move(content)}};
}

Json response_json(const ResponseAsk& a, const std::string& status, Json output,
                   const engine::RequestStats* stats = nullptr, int64_t n_thoughts = 0) {
  Json out = {{"id", a.id},
              {"object", "response"},
              {"created_at", a.created},
              {"status", status},
              {"background", false},
              {"error", nullptr},
              {"incomplete_details", nullptr},
              {"model", a.model->id()},
              {"output", std::move(output)},
              {"usage", nullptr}};
  out.update(a.echo);
  if (status == "incomplete") out["incomplete_details"] = {{"reason", "max_output_tokens"}};
  if (stats) {
    out["usage"] = {{"input_tokens", stats->n_prompt},
                    {"input_tokens_details", {{"cached_tokens", stats->n_cached}, {"cache_write_tokens", 0}}},
                    {"output_tokens", stats->n_generated},
                    {"output_tokens_details", {{"reasoning_tokens", std::min(n_thoughts, stats->n_generated)}}},
                    {"total_tokens", stats->n_prompt + stats->n_generated}};
    out["timings"] = timings_json(*stats);
  }
  return out;
}

std::string status_of(const engine::Finished& f) {
  return f.reason == engine::FinishReason::length ? "incomplete" : "completed";
}

Json call_item(const ToolCall& call, const char* status) {
  return {{"id", "fc_" + call.id}, {"type", "function_call"}, {"status", status},
          {"call_id", call.id},    {"name", call.name},       {"arguments", call.arguments}};
}

std::vector<engine::Request> request_of(const ResponseAsk& a) {
  std::vector<engine::Request> list;
  list.push_back(make_request(a.task.prompt, a.sampling, a.generate, 0, a.task.held));
  if (a.progress) list.back().events.reading = [](const engine::Reading&) {};
  return list;
}

Awaitable<void> reply_whole(Exchange& x, const ResponseAsk& a) {
  Answers answers(x, a.model, request_of(a), "input", a.generate.patience);
  const auto whole = co_await collect(answers, a.task.format, a.logprobs, "input");
  const Whole& w = whole[0];
  const std::string status = status_of(w.finished);
  Json output = Json::array();
  if (!w.reasoning.empty()) output.push_back(reasoning_item(a, w.reasoning, "completed"));
  if (!w.text.empty() || w.calls.empty()) {
    const auto entries = word_logprobs(*a.model, a.task.format, w.tokens, w.finished.stop_string.has_value());
    output.push_back(message_item(a, w.text, status.c_str(), logprob_list(entries, *a.model, a.n_top)));
  }
  for (const ToolCall& call : w.calls) output.push_back(call_item(call, status.c_str()));
  Json reply = response_json(a, status, std::move(output), &w.finished.stats, w.n_thoughts);
  co_await x.reply_json(std::move(reply));
}

// Items open when their first piece comes and close before the next opens.
class ResponseStream {
 public:
  ResponseStream(SseStream& sse, const ResponseAsk& a) : sse_(sse), a_(a) {}
  void begin() {
    event("response.created", {{"response", response_json(a_, "in_progress", Json::array())}});
    event("response.in_progress", {{"response", response_json(a_, "in_progress", Json::array())}});
  }
  // How far the prompt is read, as llama.cpp tells it.
  void progress(Json how_far) {
    event("response.in_progress",
          {{"response", response_json(a_, "in_progress", Json::array())}, {"prompt_progress", std::move(how_far)}});
  }
  // `timings`: null, or what is told with each piece.
  void add(const AnswerReader::Parts& parts, const std::vector<LogprobEntry>& entries, Json timings) {
    timings_ = std::move(timings);
    if (!parts.reasoning.empty()) {
      open(Open::reasoning);
      text_ += parts.reasoning;
      piece("response.reasoning_text.delta", in_part({{"delta", parts.reasoning}}));
    }
    if (!parts.content.empty()) {
      open(Open::message);
      text_ += parts.content;
      const Json logprobs = logprob_list(entries, *a_.model, a_.n_top);
      logprobs_.insert(logprobs_.end(), logprobs.begin(), logprobs.end());
      piece("response.output_text.delta", in_part({{"delta", parts.content}, {"logprobs", logprobs}}));
    }
    for (const CallPart& part : parts.calls) {
      if (!part.name.empty()) {
        close("completed");
        call_ = {part.id, part.name, {}};
        open_ = Open::call;
        added(call_item(call_, "in_progress"));
      } else {
        call_.arguments += part.arguments;
        piece("response.function_call_arguments.delta", in_item({{"delta", part.arguments}}));
      }
    }
  }
  void end(const engine::Finished& f, int64_t n_thoughts) {
    const std::string status = status_of(f);
    const bool only_thought = open_ == Open::reasoning && output_.empty();
    if (only_thought || (output_.empty() && open_ == Open::nothing)) open(Open::message);
    close(status.c_str());
    event(status == "completed" ? "response.completed" : "response.incomplete",
          {{"response", response_json(a_, status, output_, &f.stats, n_thoughts)}, {"timings", timings_json(f.stats)}});
  }

 private:
  enum class Open : uint8_t { nothing, reasoning, message, call };
  void event(const char* type, Json fields) {
    Json e = {{"type", type}, {"sequence_number", number_++}};
    e.update(fields);
    sse_.event(type, e);
  }
  void piece(const char* type, Json fields) {
    if (!timings_.is_null()) fields["timings"] = timings_;
    event(type, std::move(fields));
  }
  void added(Json item) {
    event("response.output_item.added", {{"output_index", output_.size()}, {"item", std::move(item)}});
  }
  void open(Open what) {
    if (open_ == what) return;
    close("completed");
    open_ = what;
    text_.clear();
    logprobs_ = Json::array();
    added(what == Open::message ? message_item(a_, "", "in_progress") : reasoning_item(a_, "", "in_progress"));
    event("response.content_part.added", in_part({{"part", part()}}));
  }
  void close(const char* status) {
    if (open_ == Open::nothing) return;
    Json item;
    if (open_ == Open::call) {
      event("response.function_call_arguments.done", in_item({{"name", call_.name}, {"arguments", call_.arguments}}));
      item = call_item(call_, status);
    } else {
      Json done = {{"text", text_}};
      if (open_ == Open::message) done["logprobs"] = logprobs_;
      const bool is_message = open_ == Open::message;
      event(is_message ? "response.output_text.done" : "response.reasoning_text.done", in_part(std::move(done)));
      event("response.content_part.done", in_part({{"part", part()}}));
      item = is_message ? message_item(a_, text_, status, logprobs_) : reasoning_item(a_, text_, status);
    }
    event("response.output_item.done", {{"output_index", output_.size()}, {"item", item}});
    output_.push_back(std::move(item));
    open_ = Open::nothing;
  }
  Json part() const { return open_ == Open::message ? text_part(text_, logprobs_) : reasoning_part(text_); }
  Json in_item(Json fields) const {
    const std::string id = open_ == Open::call      ? "fc_" + call_.id
                           : open_ == Open::message ? a_.message_id
                                                    : a_.reasoning_id;
    Json out = {{"item_id", id}, {"output_index", output_.size()}};
    out.update(fields);
    return out;
  }
  Json in_part(Json fields) const {
    Json out = in_item({{"content_index", 0}});
    out.update(fields);
    return out;
  }
  SseStream& sse_;
  const ResponseAsk& a_;
  int64_t number_ = 0;
  Open open_ = Open::nothing;
  Json output_ = Json::array();  // items that are closed
  ToolCall call_;
  std::string text_;  // of the item that is open
  Json logprobs_ = Json::array();
  Json timings_ = nullptr;  // of the piece that is told
};

Awaitable<void> reply_stream(Exchange& x, const House& house, const ResponseAsk& a) {
  Answers answers(x, a.model, request_of(a), "input", a.generate.patience);
  SseStream sse(x);
  co_await sse.begin();
  ResponseStream stream(sse, a);
  stream.begin();
  AnswerReader reader(a.task.format);
  WordLogprobs logprobs(*a.model);
  RunningStats running;
  const auto add = [&](const AnswerReader::Parts& parts) {
    const auto& so_far = running.now(a.task.prompt.size(), answers.n_cached(0));
    stream.add(parts, logprobs.take(parts), a.timings ? timings_json(so_far) : Json(nullptr));
  };
  const auto tell_event = [&](const AnswerEvent& e) {
    if (e.kind == AnswerEvent::Kind::reading) {
      running.now(a.task.prompt.size(), answers.n_cached(0));
      return stream.progress(running.progress(e.n_read));
    }
    if (e.kind == AnswerEvent::Kind::token) {
      if (e.token != text::kNoToken) running.token();
      add(reader.feed(logprobs.add(e)));
      return;
    }
    add(reader.feed(logprobs.finish(e.finished->stop_string.has_value())));
    add(reader.finish());
    stream.end(*e.finished, reader.n_thoughts());
  };
  co_await sse.follow(answers, house.limits.ping, "input", tell_event);
  co_await sse.end();
}

}  // namespace

void add_openai_responses(Router& router, House& house) {
  const auto handler = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = with_truncation(x.json());
    const Fields f(body);
    auto model = co_await acquire_writer(house, x, f.text("model").value_or(""));
    const ResponseAsk ask = co_await read_ask(f, std::move(model));
    if (f.boolean("stream").value_or(false))
      co_await reply_stream(x, house, ask);
    else
      co_await reply_whole(x, ask);
  };
  for (const char* path : {"/v1/responses", "/responses"})
    router.add({.method = "POST", .pattern = path, .handler = handler});

  const auto count = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    const auto model = co_await acquire_writer(house, x, f.text("model").value_or(""));
    const Toolbox tools = read_responses_tools(f);
    Json reply = {{"object", "response.input_tokens"},
                  {"input_tokens", chat_prompt(*model, input_messages(f), tools, f).ids.size()}};
    co_await x.reply_json(std::move(reply));
  };
  for (const char* path : {"/v1/responses/input_tokens", "/responses/input_tokens"})
    router.add({.method = "POST", .pattern = path, .handler = count});
}

}  // namespace watra::server
