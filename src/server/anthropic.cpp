#include "server/anthropic.h"

#include <algorithm>
#include <utility>

#include "server/chat_messages.h"
#include "server/sampling_fields.h"
#include "server/sse.h"

namespace watra::server {
namespace {

constexpr const char* kPing = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

std::string joined(const Json& content, const std::string& place);

// What a block says in words: texts, documents that are texts, results of a search with what they are called.
std::string read_words(const Json& given, const std::string& place) {
  if (!given.is_object()) return read_part(given, place);
  const Fields block(given, place);
  const std::string type = block.text("type").value_or("text");
  std::string words;
  const auto add = [&](const std::string& more) { words += (words.empty() || more.empty() ? "" : "\n") + more; };
  if (type == "search_result") {
    add(block.text("title").value_or(""));
    add(block.text("source").value_or(""));
    const Json* content = block.array("content");
    if (!content) block.refuse("content", "a list of blocks of text");
    add(joined(*content, block.name("content")));
    return words;
  }
  const Json* source = type == "document" ? block.object("source") : nullptr;
  if (!source) return read_part(given, place);
  const Fields from(*source, block.name("source"));
  const std::string kind = from.text("type").value_or("");
  if (kind != "text" && kind != "content") return read_part(given, place);
  add(block.text("title").value_or(""));
  add(block.text("context").value_or(""));
  const Json* content = kind == "content" ? from.find("content") : nullptr;
  if (kind == "content" && !content) from.refuse("content", "a text or a list of blocks");
  add(content ? joined(*content, from.name("content")) : from.required_text("data"));
  return words;
}

std::string joined(const Json& content, const std::string& place) {
  if (!content.is_array()) return read_content(content, place);
  std::string text;
  for (size_t i = 0; i < content.size(); ++i)
    text += (text.empty() ? "" : "\n") + read_words(content[i], fmt::format("{}[{}]", place, i));
  return text;
}

// A result's content: a text, blocks of text, or nothing.
std::string read_result(const Fields& block) {
  const Json* content = block.find("content");
  const std::string text = content ? joined(*content, block.name("content")) : "";
  return block.boolean("is_error").value_or(false) ? "error: " + text : text;
}

// One message of blocks -> one or several of OpenAI's: results of tools stand alone, calls belong to the answer.
void read_blocks(const Json& content, const std::string& role, const std::string& place, Json& out) {
  std::string text, thoughts;
  Json calls = Json::array();
  for (size_t i = 0; i < content.size(); ++i) {
    const Fields block(content[i], fmt::format("{}[{}]", place, i));
    const std::string type = block.text("type").value_or("text");
    if (type == "tool_result" && role == "user") {
      out.push_back(
          {{"role", "tool"}, {"tool_call_id", block.required_text("tool_use_id")}, {"content", read_result(block)}});
    } else if (type == "tool_use" && role == "assistant") {
      const Json* input = block.object("input");
      calls.push_back(
          {{"id", block.required_text("id")},
           {"type", "function"},
           {"function", {{"name", block.required_text("name")}, {"arguments", input ? *input : Json::object()}}}});
    } else if (type == "thinking" && role == "assistant") {
      thoughts += block.text("thinking").value_or("");
    } else if (type != "redacted_thinking") {
      if (!text.empty()) text += '\n';
      text += read_words(content[i], fmt::format("{}[{}]", place, i));
    }
  }
  if (text.empty() && calls.empty() && !out.empty() && out.back().at("role") == "tool") return;
  Json message = {{"role", role}, {"content", std::move(text)}};
  if (!calls.empty()) message["tool_calls"] = std::move(calls);
  if (!thoughts.empty()) message["reasoning_content"] = std::move(thoughts);
  out.push_back(std::move(message));
}

// system and messages -> the list templates read.
Json read_conversation(const Fields& f) {
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
    if (role != "user" && role != "assistant" && role != "system") m.refuse("role", "user, assistant or system");
    const Json* content = m.find("content");
    if (!content) m.refuse("content", "a text or a list of blocks");
    if (content->is_array() && role != "system")
      read_blocks(*content, role, m.name("content"), given);
    else
      given.push_back({{"role", role}, {"content", read_content(*content, m.name("content"))}});
  }
  return given;
}

struct MessageAsk {
  std::shared_ptr<ServedModel> model;
  ChatTask task;
  engine::SamplingParams sampling;
  WriteOptions generate;
  bool shows_thoughts = true;
  std::string id = make_id("msg_");
};

// thinking.display: whether the words of thoughts are told, or only that there were some.
bool read_display(const Fields& f) {
  const Json* thinking = f.object("thinking");
  if (!thinking) return true;
  const Fields at(*thinking, "thinking");
  const std::string display = at.text("display").value_or("summarized");
  if (display != "summarized" && display != "omitted") at.refuse("display", "summarized or omitted");
  return display == "summarized";
}

// output_config.format (output_format while it was a beta), else what other APIs call it.
AskedShape read_asked_format(const Fields& f) {
  AskedShape asked = read_asked_shape(f);
  const auto add = [&](const Fields& at, std::string_view name) {
    const Json* format = at.find(name);
    if (!format) return;
    const std::string field = at.name(name);
    if (asked.shape)
      throw bad_field(field, fmt::format("{} and {} cannot both be held to; send one", asked.field, field));
    const std::string type = Fields(*format, field).required_text("type");
    if (type != "json_schema") at.refuse(name, "an object of type json_schema");
    asked = read_format(*format, field);
  };
  add(f, "output_format");
  if (const Json* config = f.object("output_config")) {
    const Fields at(*config, "output_config");
    add(at, "format");
  }
  return asked;
}

Awaitable<MessageAsk> read_ask(const Fields& f, std::shared_ptr<ServedModel> model) {
  refuse_unsupported(f);
  MessageAsk a;
  a.model = std::move(model);
  const Json messages = read_conversation(f);
  const Toolbox tools = read_anthropic_tools(f);
  if (!f.has("max_tokens")) f.refuse("max_tokens", "a whole number from 1 on");
  f.integer("max_tokens", 1);
  a.task = chat_task(*a.model, messages, tools, f);
  a.sampling = read_sampling(f, *a.model);
  a.generate = read_generate(f, {"max_tokens"}, *a.model);
  f.array("stop_sequences");  // one text alone is refused
  const auto stop = f.texts("stop_sequences");
  a.generate.stop.insert(a.generate.stop.end(), stop.begin(), stop.end());
  a.task.complete(a.generate, *a.model);
  a.shows_thoughts = read_display(f);
  co_await hold_chat(a.model, a.task, tools, read_asked_format(f));
  co_return a;
}

std::vector<engine::Request> request_of(const MessageAsk& a) {
  std::vector<engine::Request> list;
  list.push_back(make_request(a.task.prompt, a.sampling, a.generate, 0, a.task.held));
  return list;
}

// Calls have the ids of the API that tells them: a template's own stay as they are.
std::string use_id(const std::string& id) {
  constexpr std::string_view kOurs = "call_";
  return id.starts_with(kOurs) ? "toolu_" + id.substr(kOurs.size()) : id;
}

Json stop_of(const MessageAsk& a, const engine::Finished& f, bool called) {
  if (called) return {{"stop_reason", "tool_use"}, {"stop_sequence", nullptr}};
  if (f.stop_string) return {{"stop_reason", "stop_sequence"}, {"stop_sequence", a.generate.stop[*f.stop_string]}};
  const bool limit = f.reason == engine::FinishReason::length;
  return {{"stop_reason", limit ? "max_tokens" : "end_turn"}, {"stop_sequence", nullptr}};
}

Json usage_of(int64_t n_prompt, int64_t n_cached, int64_t n_generated, int64_t n_thoughts) {
  return {{"input_tokens", n_prompt - n_cached},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", n_cached},
          {"output_tokens", n_generated},
          {"output_tokens_details", {{"thinking_tokens", std::min(n_thoughts, n_generated)}}}};
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
  Answers answers(x, a.model, request_of(a), "messages", a.generate.patience);
  const auto whole = co_await collect(answers, a.task.format, false, "messages");
  const Whole& w = whole[0];
  Json content = Json::array();
  if (!w.reasoning.empty())
    content.push_back({{"type", "thinking"}, {"thinking", a.shows_thoughts ? w.reasoning : ""}, {"signature", ""}});
  if (!w.text.empty() || w.calls.empty()) content.push_back({{"type", "text"}, {"text", w.text}});
  for (const ToolCall& c : w.calls) {
    auto input = read_written_arguments(c.arguments);
    if (!input) continue;  // cut off by the limit
    content.push_back({{"type", "tool_use"}, {"id", use_id(c.id)}, {"name", c.name}, {"input", std::move(*input)}});
  }
  const auto& s = w.finished.stats;
  Json reply = message_json(a, std::move(content), stop_of(a, w.finished, w.called),
                            usage_of(s.n_prompt, s.n_cached, s.n_generated, w.n_thoughts));
  x.note("n_prompt", s.n_prompt);
  x.note("n_gen", s.n_generated);
  co_await x.reply_json(std::move(reply));
}

// Blocks open when their first text comes and close before the next opens.
class Blocks {
 public:
  Blocks(SseStream& sse, bool shows_thoughts) : sse_(sse), shows_thoughts_(shows_thoughts) {}
  void add(const AnswerReader::Parts& parts) {
    if (!parts.reasoning.empty()) {
      open("thinking", {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
      if (shows_thoughts_) delta({{"type", "thinking_delta"}, {"thinking", parts.reasoning}});
    }
    if (!parts.content.empty()) {
      open("text", {{"type", "text"}, {"text", ""}});
      delta({{"type", "text_delta"}, {"text", parts.content}});
    }
    for (const CallPart& part : parts.calls) {
      if (!part.name.empty())
        open("tool_use:" + part.id,
             {{"type", "tool_use"}, {"id", use_id(part.id)}, {"name", part.name}, {"input", Json::object()}});
      else
        delta({{"type", "input_json_delta"}, {"partial_json", part.arguments}});
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
  void close() {
    if (type_ == "thinking") delta({{"type", "signature_delta"}, {"signature", ""}});  // clients wait for one
    sse_.event("content_block_stop", {{"type", "content_block_stop"}, {"index", index_}});
  }
  SseStream& sse_;
  bool shows_thoughts_;
  std::string type_;
  int index_ = -1;
};

Awaitable<void> reply_stream(Exchange& x, const House& house, const MessageAsk& a) {
  auto requests = request_of(a);
  requests.front().events.reading = [](const engine::Reading&) {};  // its first tells what the cache had of the prompt
  Answers answers(x, a.model, std::move(requests), "messages", a.generate.patience);
  SseStream sse(x, kPing);
  co_await sse.begin();
  Blocks blocks(sse, a.shows_thoughts);
  AnswerReader reader(a.task.format);
  bool is_begun = false;
  const auto begin = [&] {
    if (std::exchange(is_begun, true)) return;
    const auto n_prompt = static_cast<int64_t>(a.task.prompt.size());
    const Json open = {{"stop_reason", nullptr}, {"stop_sequence", nullptr}};
    const Json message = message_json(a, Json::array(), open, usage_of(n_prompt, answers.n_cached(0), 0, 0));
    sse.event("message_start", {{"type", "message_start"}, {"message", message}});
    sse.raw(kPing);
  };
  const auto tell_event = [&](const AnswerEvent& e) {
    begin();
    if (e.kind == AnswerEvent::Kind::reading) return;
    if (e.kind == AnswerEvent::Kind::token) {
      blocks.add(reader.feed(e.text));
      return;
    }
    const bool called = reader.called() && reader.whole() && e.finished->reason == engine::FinishReason::stop;
    blocks.add(reader.finish());
    blocks.end();
    const auto& s = e.finished->stats;
    sse.event("message_delta", {{"type", "message_delta"},
                                {"delta", stop_of(a, *e.finished, called)},
                                {"usage", usage_of(s.n_prompt, s.n_cached, s.n_generated, reader.n_thoughts())}});
    sse.event("message_stop", {{"type", "message_stop"}});
    x.note("n_prompt", s.n_prompt);
    x.note("n_gen", s.n_generated);
  };
  co_await sse.follow(answers, house.limits.ping, "messages", tell_event);
  co_await sse.end();
}

}  // namespace

void add_anthropic(Router& router, House& house) {
  const auto messages = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    auto model = co_await acquire_writer(house, x, f.text("model").value_or(""));
    const MessageAsk ask = co_await read_ask(f, std::move(model));
    if (f.boolean("stream").value_or(false))
      co_await reply_stream(x, house, ask);
    else
      co_await reply_whole(x, ask);
  };
  router.add({.method = "POST", .pattern = "/v1/messages", .handler = messages, .dialect = Dialect::anthropic});
  // Where its model is loaded, this waits for nobody's answer.
  const auto count = [&house](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    const auto model = co_await acquire_writer(house, x, f.text("model").value_or(""));
    const Toolbox tools = read_anthropic_tools(f);
    Json reply = {{"input_tokens", chat_prompt(*model, read_conversation(f), tools, f).ids.size()}};
    co_await x.reply_json(std::move(reply));
  };
  router.add(
      {.method = "POST", .pattern = "/v1/messages/count_tokens", .handler = count, .dialect = Dialect::anthropic});
}

}  // namespace watra::server
