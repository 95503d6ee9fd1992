#include "server/anthropic.h"

#include "server/chat_messages.h"
#include "server/sampling_fields.h"
#include "server/sse.h"

namespace watra::server {
namespace {

constexpr const char* kPing = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

// system and messages -> OpenAI's list.
Json read_conversation(const Fields& f) {
  if (const Json* tools = f.array("tools"); tools && !tools->empty())
    throw unsupported("tools", "tools are not called by this version");
  Json given = Json::array();
  if (const Json* system = f.find("system")) {
    const std::string text = read_content(*system, "system");
    if (!text.empty()) given.push_back({{"role", "system"}, {"content", text}});
  }
  const Json* messages = f.array("messages");
  if (!messages || messages->empty()) throw bad_field("messages", "messages needs at least one message");
  for (size_t i = 0; i < messages->size(); ++i) {
    const Fields m((*messages)[i], fmt::format("messages[{}]", i));
    const std::string role = m.required_text("role");
    if (role != "user" && role != "assistant") m.refuse("role", "user or assistant");
    const Json* content = m.find("content");
    if (!content) m.refuse("content", "a text or a list of blocks");
    given.push_back({{"role", role}, {"content", read_content(*content, m.name("content"))}});
  }
  return given;
}

struct MessageAsk {
  std::shared_ptr<ServedModel> model;
  ChatTask task;
  engine::SamplingParams sampling;
  engine::GenerateOptions generate;
  std::string id = make_id("msg_");
};

MessageAsk read_ask(const Fields& f, std::shared_ptr<ServedModel> model) {
  MessageAsk a;
  a.model = std::move(model);
  const Json messages = read_conversation(f);
  if (!f.has("max_tokens")) f.refuse("max_tokens", "a whole number from 1 on");
  f.integer("max_tokens", 1);
  a.task = chat_task(*a.model, messages, nullptr, f);
  a.sampling = read_sampling(f, *a.model);
  a.generate = read_generate(f, {"max_tokens"});
  const auto stop = f.texts("stop_sequences");
  a.generate.stop.insert(a.generate.stop.end(), stop.begin(), stop.end());
  a.generate.stop.insert(a.generate.stop.end(), a.task.stop.begin(), a.task.stop.end());
  return a;
}

std::vector<engine::Request> request_of(const MessageAsk& a) {
  std::vector<engine::Request> list;
  list.push_back(make_request(a.task.prompt, a.sampling, a.generate));
  return list;
}

Json stop_of(const MessageAsk& a, const engine::Finished& f) {
  if (f.stop_string) return {{"stop_reason", "stop_sequence"}, {"stop_sequence", a.generate.stop[*f.stop_string]}};
  const bool limit = f.reason == engine::FinishReason::length;
  return {{"stop_reason", limit ? "max_tokens" : "end_turn"}, {"stop_sequence", nullptr}};
}

Json usage_of(int64_t n_prompt, int64_t n_cached, int64_t n_generated) {
  return {{"input_tokens", n_prompt - n_cached},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", n_cached},
          {"output_tokens", n_generated}};
}

Json message_json(const MessageAsk& a, Json content, const Json& stop, Json usage) {
  Json m = {{"id", a.id},
            {"type", "message"},
            {"role", "assistant"},
            {"model", a.model->id()},
            {"content", std::move(content)}};
  m.update(stop);
  m["usage"] = std::move(usage);
  return m;
}

Awaitable<void> reply_whole(Exchange& x, const MessageAsk& a) {
  Answers answers(x, a.model, request_of(a), "messages");
  const auto whole = co_await collect(answers, true, a.task.reasoning_open, false, "messages");
  const Whole& w = whole[0];
  Json content = Json::array();
  if (!w.reasoning.empty()) content.push_back({{"type", "thinking"}, {"thinking", w.reasoning}, {"signature", ""}});
  content.push_back({{"type", "text"}, {"text", w.text}});
  const auto& s = w.finished.stats;
  Json reply =
      message_json(a, std::move(content), stop_of(a, w.finished), usage_of(s.n_prompt, s.n_cached, s.n_generated));
  x.note("n_prompt", s.n_prompt);
  x.note("n_gen", s.n_generated);
  co_await x.reply_json(std::move(reply));
}

// Blocks open when their first text comes and close before the next opens.
class Blocks {
 public:
  explicit Blocks(SseStream& sse) : sse_(sse) {}
  void add(const ReasoningSplitter::Parts& parts) {
    if (!parts.reasoning.empty()) {
      open("thinking", {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
      delta({{"type", "thinking_delta"}, {"thinking", parts.reasoning}});
    }
    if (!parts.content.empty()) {
      open("text", {{"type", "text"}, {"text", ""}});
      delta({{"type", "text_delta"}, {"text", parts.content}});
    }
  }
  void end() {
    if (index_ < 0) open("text", {{"type", "text"}, {"text", ""}});
    close();
  }

 private:
  void open(const std::string& type, const Json& block) {
    if (type == type_) return;
    if (!type_.empty()) close();
    type_ = type;
    ++index_;
    sse_.event("content_block_start", {{"type", "content_block_start"}, {"index", index_}, {"content_block", block}});
  }
  void delta(const Json& d) {
    sse_.event("content_block_delta", {{"type", "content_block_delta"}, {"index", index_}, {"delta", d}});
  }
  void close() { sse_.event("content_block_stop", {{"type", "content_block_stop"}, {"index", index_}}); }
  SseStream& sse_;
  std::string type_;
  int index_ = -1;
};

Awaitable<void> reply_stream(Exchange& x, const House& house, const MessageAsk& a) {
  Answers answers(x, a.model, request_of(a), "messages");
  SseStream sse(x, kPing);
  co_await sse.begin();
  const auto n_prompt = static_cast<int64_t>(a.task.prompt.size());
  const Json open = {{"stop_reason", nullptr}, {"stop_sequence", nullptr}};
  const Json begun = message_json(a, Json::array(), open, usage_of(n_prompt, 0, 0));
  sse.event("message_start", {{"type", "message_start"}, {"message", begun}});
  sse.raw(kPing);
  Blocks blocks(sse);
  ReasoningSplitter splitter(true, a.task.reasoning_open);
  while (!answers.done()) {
    co_await sse.flush();
    const auto events = co_await sse.next(answers, house.limits.ping);
    for (const AnswerEvent& e : events) {
      if (e.kind == AnswerEvent::Kind::token) {
        blocks.add(splitter.feed(e.text));
        continue;
      }
      throw_if_failed(*e.finished, "messages");
      blocks.add(splitter.finish());
      blocks.end();
      const auto& s = e.finished->stats;
      sse.event("message_delta", {{"type", "message_delta"},
                                  {"delta", stop_of(a, *e.finished)},
                                  {"usage", usage_of(s.n_prompt, s.n_cached, s.n_generated)}});
      sse.event("message_stop", {{"type", "message_stop"}});
      x.note("n_prompt", s.n_prompt);
      x.note("n_gen", s.n_generated);
    }
  }
  co_await sse.end();
}

}  // namespace

void add_anthropic(Router& router, House& house) {
  const auto messages = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
    const MessageAsk ask = read_ask(f, std::move(model));
    if (f.boolean("stream").value_or(false))
      co_await reply_stream(x, house, ask);
    else
      co_await reply_whole(x, ask);
  };
  router.add({.method = "POST", .pattern = "/v1/messages", .handler = messages, .dialect = Dialect::anthropic});
  const auto count = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    const auto model = co_await house.room.acquire(x, f.text("model").value_or(""));
    const auto prompt = model->render(read_conversation(f), nullptr, nullptr);
    Json reply = {{"input_tokens", prompt.ids.size()}};
    co_await x.reply_json(std::move(reply));
  };
  router.add(
      {.method = "POST", .pattern = "/v1/messages/count_tokens", .handler = count, .dialect = Dialect::anthropic});
}

}  // namespace watra::server
