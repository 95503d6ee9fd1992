#include "text/tool_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

namespace watra::text {

using Json = nlohmann::ordered_json;
using Kind = ToolFormat::Kind;

namespace {

// Words no template writes by itself.
constexpr const char* kName[] = {"zq_first_name", "zq_second_name"};
constexpr const char* kId[] = {"zq1id0001", "zq2id0002"};
constexpr const char* kKey = "zq_key";
constexpr const char* kValue[] = {"zq_value_one", "zq_value_two"};
constexpr const char* kSaid = "zq_said";
constexpr const char* kResult = "zq_result";

Json user_message() { return {{"role", "user"}, {"content", "hello"}}; }

Json a_call(int i, bool as_text, const char* id) {
  const Json arguments = {{kKey, kValue[i]}};
  return {{"id", id},
          {"type", "function"},
          {"function", {{"name", kName[i]}, {"arguments", as_text ? Json(arguments.dump()) : arguments}}}};
}

Json calling(int n, bool as_text, const char* id = nullptr) {
  Json calls = Json::array();
  for (int i = 0; i < n; ++i) calls.push_back(a_call(i, as_text, id ? id : kId[i]));
  return {{"role", "assistant"}, {"content", ""}, {"tool_calls", std::move(calls)}};
}

Json the_tools() {
  Json tools = Json::array();
  for (const char* name : kName)
    tools.push_back({{"type", "function"},
                     {"function",
                      {{"name", name},
                       {"description", "a tool"},
                       {"parameters",
                        {{"type", "object"},
                         {"properties", {{kKey, {{"type", "string"}, {"description", "a text"}}}}},
                         {"required", {kKey}}}}}}});
  return tools;
}

std::optional<std::string> rendered(const ChatPrompt& prompt, const Json& messages, const Json* tools,
                                    bool generation_prompt = false) {
  constexpr int64_t kAnyTime = 1'700'000'000;
  auto out = prompt.render({.messages = &messages,
                            .tools = tools,
                            .add_generation_prompt = generation_prompt,
                            .now_unix_seconds = kAnyTime});
  if (!out) return std::nullopt;
  return out->text();
}

size_t common_prefix(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}
size_t common_suffix(std::string_view a, std::string_view b) {
  size_t n = 0;
  while (n < a.size() && n < b.size() && a[a.size() - 1 - n] == b[b.size() - 1 - n]) ++n;
  return n;
}

// Where one call's name and arguments lie in a text.
struct Found {
  size_t name, name_end, arguments, arguments_end;
};
std::optional<Found> find_call(std::string_view text, int i, size_t from) {
  const size_t name = text.find(kName[i], from);
  if (name == std::string_view::npos) return std::nullopt;
  Found f{.name = name, .name_end = name + std::string_view(kName[i]).size(), .arguments = 0, .arguments_end = 0};
  for (const char* colon : {": ", ":"}) {
    const std::string json = fmt::format("{{\"{}\"{}\"{}\"}}", kKey, colon, kValue[i]);
    f.arguments = text.find(json, f.name_end);
    if (f.arguments == std::string_view::npos) continue;
    f.arguments_end = f.arguments + json.size();
    return f;
  }
  return std::nullopt;
}

// Literals and, where it stands in them, the id.
void add_literal(std::vector<ToolFormat::Part>& parts, std::string_view text, std::string_view id) {
  const size_t at = text.find(id);
  const std::string_view before = text.substr(0, at);
  if (!before.empty()) parts.push_back({Kind::literal, std::string(before)});
  if (at == std::string_view::npos) return;
  parts.push_back({Kind::id, {}});
  const std::string_view after = text.substr(at + id.size());
  if (!after.empty()) parts.push_back({Kind::literal, std::string(after)});
}

std::vector<ToolFormat::Part> call_parts(std::string_view before, std::string_view between, std::string_view after,
                                         std::string_view id) {
  std::vector<ToolFormat::Part> parts;
  add_literal(parts, before, id);
  parts.push_back({Kind::name, {}});
  add_literal(parts, between, id);
  parts.push_back({Kind::arguments, {}});
  add_literal(parts, after, id);
  return parts;
}

// The marker a text of calls begins with, as short as it is one.
std::string trigger_of(std::string_view begin) {
  if (begin.empty() || begin[0] == '{') return std::string(begin);
  const size_t end = begin.find_first_of(">]\n{", 1);
  if (end == std::string_view::npos) return std::string(begin);
  return std::string(begin.substr(0, begin[end] == '>' || begin[end] == ']' ? end + 1 : end));
}

// Where, in what stands between two calls, the first one ends: at most `close` bytes in, at least `open` before the
// end.
std::optional<size_t> boundary(std::string_view between, size_t close, size_t open) {
  constexpr std::string_view kEnds = ">]}\n \t", kBegins = "<[{\n \t";
  for (size_t at = between.size() - open; at <= close; ++at) {
    const bool ends = at == 0 || kEnds.find(between[at - 1]) != std::string_view::npos;
    const bool begins = at == between.size() || kBegins.find(between[at]) != std::string_view::npos;
    if (ends && begins) return at;
  }
  return std::nullopt;
}

std::string_view trimmed_front(std::string_view text) {
  const size_t at = text.find_first_not_of(" \t\r\n");
  return at == std::string_view::npos ? "" : text.substr(at);
}

class Probe {
 public:
  Probe(const ChatPrompt& prompt, const std::vector<std::string>& ends) : prompt_(prompt), ends_(ends) {}

  std::optional<ToolFormat> find() {
    const Json hello = Json::array({user_message()});
    const auto described = rendered(prompt_, hello, &tools_, true);
    if (!described || described->find(kName[0]) == std::string::npos) return std::nullopt;
    begin_ = *described;
    for (const bool as_text : {false, true})
      if (auto format = read(as_text)) return format;
    return std::nullopt;
  }

 private:
  // What the answer is in the prompt, from its first byte on. What a generation prompt begins (<think>) is not taken
  // for the beginning of another marker.
  std::optional<std::string> answer(const Json& message) const {
    auto text = rendered(prompt_, Json::array({user_message(), message}), &tools_);
    if (!text) return std::nullopt;
    size_t at = common_prefix(*text, begin_);
    const size_t opened = text->rfind('<', at - 1);
    if (at > 0 && opened != std::string::npos && opened < at && text->find('>', opened) >= at) at = opened;
    return text->substr(at);
  }

  std::optional<ToolFormat> read(bool as_text) const {
    const auto plain = answer({{"role", "assistant"}, {"content", kSaid}});
    const auto one = answer(calling(1, as_text));
    if (!plain || !one) return std::nullopt;
    const size_t said = plain->find(kSaid);
    const auto first = find_call(*one, 0, 0);
    if (said == std::string::npos || !first) return std::nullopt;
    const std::string_view turn_begin = std::string_view(*plain).substr(0, said);
    const std::string_view turn_end = std::string_view(*plain).substr(said + std::string_view(kSaid).size());

    std::string_view before = std::string_view(*one).substr(0, first->name);
    if (!turn_begin.empty() && before.starts_with(turn_begin)) before.remove_prefix(turn_begin.size());
    before = trimmed_front(before);
    const std::string_view between = std::string_view(*one).substr(first->name_end, first->arguments - first->name_end);
    const std::string_view after = without_end(std::string_view(*one).substr(first->arguments_end), turn_end);

    ToolFormat f;
    f.native = true;
    f.arguments_as_text = as_text;
    f.short_ids = !answer(calling(1, as_text, "call_0123456789"));
    if (!results_shown(as_text)) return std::nullopt;
    const auto two = answer(calling(2, as_text));
    const auto second = two ? find_call(*two, 1, first->arguments_end) : std::nullopt;
    if (!second || !two->starts_with(one->substr(0, first->arguments_end))) {
      f.parallel = false;
      f.call = call_parts(before, between, after, kId[0]);
    } else if (!split(f, *two, *first, *second, before, between, after)) {
      return std::nullopt;
    }
    f.trigger = trigger_of(f.open + f.before_name());
    // Without a marker, or with JSON inside of what is no JSON, calls cannot be told from text.
    const bool has_marker = !f.trigger.empty() && std::string_view("<[{").find(f.trigger[0]) != std::string_view::npos;
    if (!has_marker || between.ends_with('{')) return std::nullopt;
    return f;
  }

  // What belongs to each call, and what stands around all of them, from an answer with two.
  static bool split(ToolFormat& f, std::string_view two, const Found& first, const Found& second,
                    std::string_view before, std::string_view between, std::string_view after) {
    std::string middle(two.substr(first.arguments_end, second.name - first.arguments_end));
    // The ids differ, and mean the same place.
    if (const size_t at = middle.find(kId[1]); at != std::string::npos)
      middle.replace(at, std::string_view(kId[1]).size(), kId[0]);
    std::string second_between(two.substr(second.name_end, second.arguments - second.name_end));
    if (const size_t at = second_between.find(kId[1]); at != std::string::npos)
      second_between.replace(at, std::string_view(kId[1]).size(), kId[0]);
    if (second_between != between) return false;
    size_t close = common_prefix(after, middle), open = common_suffix(before, middle);
    if (close + open > middle.size()) {
      const auto at = boundary(middle, close, open);
      if (!at) return false;
      close = *at;
      open = middle.size() - *at;
    }
    f.open = before.substr(0, before.size() - open);
    f.separator = middle.substr(close, middle.size() - close - open);
    f.close = after.substr(close);
    f.call = call_parts(before.substr(before.size() - open), between, after.substr(0, close), kId[0]);
    const bool id_outside = (f.open + f.separator + f.close).find(kId[0]) != std::string::npos;
    return !id_outside;
  }

  std::string_view without_end(std::string_view after, std::string_view turn_end) const {
    size_t end = after.size();
    if (!turn_end.empty() && after.ends_with(turn_end)) end -= turn_end.size();
    for (const std::string& token : ends_)
      if (!token.empty()) end = std::min(end, after.find(token));
    after = after.substr(0, end);
    while (!after.empty() && (after.back() == '\n' || after.back() == ' ')) after.remove_suffix(1);
    return after;
  }

  bool results_shown(bool as_text) const {
    const Json messages =
        Json::array({user_message(),
                     calling(1, as_text),
                     {{"role", "tool"}, {"tool_call_id", kId[0]}, {"name", kName[0]}, {"content", kResult}}});
    const auto text = rendered(prompt_, messages, &tools_, true);
    return text && text->find(kResult) != std::string::npos;
  }

  const ChatPrompt& prompt_;
  const std::vector<std::string>& ends_;
  const Json tools_ = the_tools();
  std::string begin_;
};

// Names in JSON need no escapes: requests with others are refused.
Shape call_with(const ToolFormat& f, const std::string& name, const Shape& arguments) {
  std::vector<Shape> parts;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) parts.push_back(Shape::literal(literal));
    literal.clear();
  };
  for (const auto& part : f.call) {
    if (part.kind == Kind::literal) {
      literal += part.text;
    } else if (part.kind == Kind::name) {
      literal += name;
    } else {
      flush();
      parts.push_back(part.kind == Kind::id ? Shape::regex(f.short_ids ? "[a-zA-Z0-9]{9}" : "[a-zA-Z0-9_-]{1,40}")
                                            : arguments);
    }
  }
  flush();
  return Shape::sequence(std::move(parts));
}

Shape any_call(const ToolFormat& f, const std::vector<CallableTool>& tools) {
  std::vector<Shape> choices;
  for (const CallableTool& tool : tools) choices.push_back(call_with(f, tool.name, tool.arguments));
  return Shape::one_of(std::move(choices));
}

}  // namespace

std::vector<TokenId> ToolFormat::markers(const Tokenizer& tokenizer) const {
  std::string all = open + separator + close;
  for (const Part& part : call) all += part.text;
  std::vector<TokenId> out;
  const auto& spec = tokenizer.spec();
  for (TokenId id = 0; id < tokenizer.n_vocab(); ++id) {
    const std::string& piece = spec.pieces[static_cast<size_t>(id)];
    if (piece.size() > 1 && tokenizer.is_control(id) && !tokenizer.ends_generation(id) &&
        all.find(piece) != std::string::npos)
      out.push_back(id);
  }
  return out;
}

ToolFormat find_tool_format(const ChatPrompt& prompt, const std::vector<std::string>& ends) {
  return Probe(prompt, ends).find().value_or(own_tool_format());
}

const ToolFormat& own_tool_format() {
  static const ToolFormat format = [] {
    ToolFormat f;
    f.separator = "\n";
    f.call = {{Kind::literal, "<tool_call>\n{\"name\": \""},
              {Kind::name, {}},
              {Kind::literal, "\", \"arguments\": "},
              {Kind::arguments, {}},
              {Kind::literal, "}\n</tool_call>"}};
    f.trigger = "<tool_call>";
    return f;
  }();
  return format;
}

Json plain_tool_messages(const Json& messages, const Json* tools) {
  Json out = Json::array();
  for (const Json& m : messages) {
    const std::string role = m.at("role");
    std::string content = m.contains("content") && m["content"].is_string() ? m["content"].get<std::string>() : "";
    if (role == "tool") {
      content = "<tool_response>\n" + content + "\n</tool_response>";
      if (!out.empty() && out.back().at("role") == "user" && out.back().contains("results"))
        out.back()["content"] = out.back()["content"].get<std::string>() + "\n" + content;
      else
        out.push_back({{"role", "user"}, {"content", content}, {"results", true}});
      continue;
    }
    Json plain = {{"role", role}, {"content", ""}};
    for (const Json& call : m.value("tool_calls", Json::array())) {
      const Json& f = call.at("function");
      const Json& given = f.at("arguments");
      content +=
          fmt::format("{}<tool_call>\n{{\"name\": {}, \"arguments\": {}}}\n</tool_call>", content.empty() ? "" : "\n",
                      f.at("name").dump(), given.is_string() ? given.get<std::string>() : given.dump());
    }
    plain["content"] = std::move(content);
    if (m.contains("reasoning_content")) plain["reasoning_content"] = m["reasoning_content"];
    out.push_back(std::move(plain));
  }
  for (Json& m : out) m.erase("results");
  if (!tools || tools->empty()) return out;

  std::string text =
      "You may call functions to help with the request. These are the functions, one JSON object a line:\n<tools>\n";
  for (const Json& tool : *tools)
    text += tool.at("function").dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  text +=
      "</tools>\nTo call one, answer with its name and arguments as JSON inside of tool_call tags:\n<tool_call>\n"
      "{\"name\": \"the function\", \"arguments\": {\"argument\": \"value\"}}\n</tool_call>\n"
      "The results come in tool_response tags. When no function is needed, answer in plain words.";
  if (!out.empty() && out.front().at("role") == "system")
    out.front()["content"] = out.front()["content"].get<std::string>() + "\n\n" + text;
  else
    out.insert(out.begin(), Json{{"role", "system"}, {"content", text}});
  return out;
}

// (separator, call)* and what closes, after the first call.
static std::vector<Shape> further_calls(const ToolFormat& f, const Shape& call, int64_t most) {
  std::vector<Shape> parts;
  if (f.parallel && most > 1)
    parts.push_back(
        Shape::repeat(f.separator.empty() ? call : Shape::sequence({Shape::literal(f.separator), call}), 0, most - 1));
  if (!f.close.empty()) parts.push_back(Shape::literal(f.close));
  return parts;
}

Shape calls_shape(const ToolFormat& f, const std::vector<CallableTool>& tools, int64_t most) {
  std::vector<Shape> parts;
  if (!f.open.empty()) parts.push_back(Shape::literal(f.open));
  const Shape call = any_call(f, tools);
  parts.push_back(call);
  std::ranges::move(further_calls(f, call, most), std::back_inserter(parts));
  return Shape::sequence(std::move(parts));
}

Shape text_with_calls_shape(const ToolFormat& f, const std::vector<CallableTool>& tools, int64_t most) {
  // The trigger is the beginning of open + the first call's first literal; what is left of both comes after it.
  std::string head = f.open + f.before_name();
  head.erase(0, f.trigger.size());
  ToolFormat first = f;
  if (first.call.front().kind == Kind::literal) first.call.erase(first.call.begin());
  std::vector<Shape> parts;
  if (!head.empty()) parts.push_back(Shape::literal(head));
  parts.push_back(any_call(first, tools));
  std::ranges::move(further_calls(f, any_call(f, tools), most), std::back_inserter(parts));
  return Shape::triggered(f.trigger, Shape::sequence(std::move(parts)));
}

}  // namespace watra::text
