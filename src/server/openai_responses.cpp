// POST /v1/responses: the newer API, without stored state: input, instructions, plain answers and their stream.
#include "server/chat_messages.h"
#include "server/openai.h"
#include "server/sampling_fields.h"
#include "server/sse.h"

namespace watra::server {
namespace {

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
      const Fields item((*input)[i], at);
      const std::string type = item.text("type").value_or("message");
      if (type == "reasoning") continue;
      if (type != "message")
        throw unsupported(at, fmt::format("{} is of type {}, and messages alone are read", at, type));
      const Json* content = item.find("content");
      if (!content) item.refuse("content", "a text or a list of parts");
      given.push_back({{"role", item.required_text("role")}, {"content", read_content(*content, at + ".content")}});
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
  engine::Request request;
  std::string id = make_id("resp_"), message_id = make_id("msg_"), reasoning_id = make_id("rs_");
  int64_t created = now_s();
};

ResponseAsk read_ask(const Fields& f, std::shared_ptr<ServedModel> model) {
  refuse_unsupported(f);
  for (const char* name : {"previous_response_id", "conversation"})
    if (f.has(name)) throw unsupported(name, "answers are not kept for this API; send the whole conversation as input");
  if (const Json* tools = f.array("tools"); tools && !tools->empty())
    throw unsupported("tools", "tools are not called by this version");
  if (const Json* text = f.object("text"); text && text->contains("format")) {
    const std::string type = Fields((*text)["format"], "text.format").text("type").value_or("text");
    if (type != "text") throw unsupported("text.format", "answers cannot be held to a grammar by this version");
  }
  ResponseAsk a;
  a.model = std::move(model);
  try {
    a.task = chat_task(*a.model, input_messages(f), nullptr, f);
  } catch (ApiError& e) {  // this API has another name for them
    if (e.param == "messages") e.param = "input";
    throw;
  }
  auto generate = read_generate(f, {"max_output_tokens"});
  generate.stop.insert(generate.stop.end(), a.task.stop.begin(), a.task.stop.end());
  a.request = make_request(a.task.prompt, read_sampling(f, *a.model), generate);
  return a;
}

Json message_item(const ResponseAsk& a, const std::string& text, const char* status) {
  Json content = Json::array();
  if (std::string_view(status) != "in_progress")
    content.push_back({{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}});
  return {{"id", a.message_id}, {"type", "message"}, {"status", status}, {"role", "assistant"}, {"content", content}};
}

Json reasoning_item(const ResponseAsk& a, const std::string& text) {
  return {{"id", a.reasoning_id},
          {"type", "reasoning"},
          {"summary", Json::array()},
          {"content", Json::array({{{"type", "reasoning_text"}, {"text", text}}})}};
}

Json response_json(const ResponseAsk& a, const std::string& status, Json output, const engine::RequestStats* stats) {
  Json out = {{"id", a.id},
              {"object", "response"},
              {"created_at", a.created},
              {"status", status},
              {"error", nullptr},
              {"incomplete_details", nullptr},
              {"instructions", nullptr},
              {"metadata", Json::object()},
              {"model", a.model->id()},
              {"output", std::move(output)},
              {"parallel_tool_calls", false},
              {"temperature", a.request.sampling.temperature},
              {"top_p", a.request.sampling.top_p},
              {"tool_choice", "none"},
              {"tools", Json::array()},
              {"usage", nullptr}};
  if (status == "incomplete") out["incomplete_details"] = {{"reason", "max_output_tokens"}};
  if (stats)
    out["usage"] = {{"input_tokens", stats->n_prompt},
                    {"input_tokens_details", {{"cached_tokens", stats->n_cached}}},
                    {"output_tokens", stats->n_generated},
                    {"output_tokens_details", {{"reasoning_tokens", 0}}},
                    {"total_tokens", stats->n_prompt + stats->n_generated}};
  return out;
}

std::string status_of(const engine::Finished& f) {
  return f.reason == engine::FinishReason::length ? "incomplete" : "completed";
}

Json output_items(const ResponseAsk& a, const std::string& reasoning, const std::string& text, const char* status) {
  Json output = Json::array();
  if (!reasoning.empty()) output.push_back(reasoning_item(a, reasoning));
  output.push_back(message_item(a, text, status));
  return output;
}

std::vector<engine::Request> only(engine::Request request) {
  std::vector<engine::Request> list;
  list.push_back(std::move(request));
  return list;
}

engine::Request copy_of(const ResponseAsk& a) {
  return make_request(a.request.prompt, a.request.sampling, a.request.generate);
}

Awaitable<void> reply_whole(Exchange& x, const ResponseAsk& a) {
  Answers answers(x, a.model, only(copy_of(a)), "input");
  const auto whole = co_await collect(answers, true, a.task.reasoning_open, false, "input");
  const Whole& w = whole[0];
  const std::string status = status_of(w.finished);
  Json reply = response_json(a, status, output_items(a, w.reasoning, w.text, status.c_str()), &w.finished.stats);
  co_await x.reply_json(std::move(reply));
}

// Events of the one message; reasoning is not streamed in this API's basic form, it comes with the whole.
class ResponseStream {
 public:
  ResponseStream(SseStream& sse, const ResponseAsk& a) : sse_(sse), a_(a) {}
  void event(const char* type, Json fields) {
    Json e = {{"type", type}, {"sequence_number", number_++}};
    e.update(fields);
    sse_.event(type, e);
  }
  void begin() {
    event("response.created", {{"response", response_json(a_, "in_progress", Json::array(), nullptr)}});
    event("response.in_progress", {{"response", response_json(a_, "in_progress", Json::array(), nullptr)}});
    event("response.output_item.added", {{"output_index", 0}, {"item", message_item(a_, "", "in_progress")}});
    event("response.content_part.added", in_part({{"part", part("")}}));
  }
  void text(const ReasoningSplitter::Parts& parts) {
    reasoning_ += parts.reasoning;
    if (parts.content.empty()) return;
    text_ += parts.content;
    event("response.output_text.delta", in_part({{"delta", parts.content}, {"logprobs", Json::array()}}));
  }
  void end(const engine::Finished& f) {
    const std::string status = status_of(f);
    event("response.output_text.done", in_part({{"text", text_}, {"logprobs", Json::array()}}));
    event("response.content_part.done", in_part({{"part", part(text_)}}));
    const Json item = message_item(a_, text_, status.c_str());
    event("response.output_item.done", {{"output_index", 0}, {"item", item}});
    Json output = Json::array({item});
    if (!reasoning_.empty()) output.push_back(reasoning_item(a_, reasoning_));
    event(status == "completed" ? "response.completed" : "response.incomplete",
          {{"response", response_json(a_, status, std::move(output), &f.stats)}});
  }

 private:
  static Json part(const std::string& text) {
    return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}};
  }
  Json in_part(Json fields) const {
    Json out = {{"item_id", a_.message_id}, {"output_index", 0}, {"content_index", 0}};
    out.update(fields);
    return out;
  }
  SseStream& sse_;
  const ResponseAsk& a_;
  int64_t number_ = 0;
  std::string text_, reasoning_;
};

Awaitable<void> reply_stream(Exchange& x, const House& house, const ResponseAsk& a) {
  Answers answers(x, a.model, only(copy_of(a)), "input");
  SseStream sse(x);
  co_await sse.begin();
  ResponseStream stream(sse, a);
  stream.begin();
  ReasoningSplitter splitter(true, a.task.reasoning_open);
  while (!answers.done()) {
    co_await sse.flush();
    const auto events = co_await sse.next(answers, house.limits.ping);
    for (const AnswerEvent& e : events) {
      if (e.kind == AnswerEvent::Kind::token) {
        stream.text(splitter.feed(e.text));
        continue;
      }
      throw_if_failed(*e.finished, "input");
      stream.text(splitter.finish());
      stream.end(*e.finished);
    }
  }
  co_await sse.end();
}

}  // namespace

void add_openai_responses(Router& router, House& house) {
  const auto handler = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
    const ResponseAsk ask = read_ask(f, std::move(model));
    if (f.boolean("stream").value_or(false))
      co_await reply_stream(x, house, ask);
    else
      co_await reply_whole(x, ask);
  };
  router.add({.method = "POST", .pattern = "/v1/responses", .handler = handler});
}

}  // namespace watra::server
