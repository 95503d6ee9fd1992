#include "server/chat_messages.h"

#include <fmt/format.h>

#include <algorithm>

namespace watra::server {
namespace {

std::string template_role(const std::string& role, const std::string& place) {
  if (role == "developer") return "system";
  if (role == "function") return "tool";
  if (is_known_role(role)) return role;
  refuse_value(place, "system, developer, user, assistant, tool or function", role);
}

// Parts that some API has and no model here reads.
bool is_media(const std::string& type) {
  constexpr std::string_view kMedia[] = {"image",       "image_url",  "input_image", "audio",
                                         "input_audio", "video",      "video_url",   "input_video",
                                         "file",        "input_file", "document"};
  return std::ranges::find(kMedia, type) != std::end(kMedia);
}

// Templates want arguments as an object, clients send them as JSON in a text.
Json read_call(const Fields& f, const std::string& id) {
  Json arguments = Json::object();
  if (const Json* given = f.find("arguments")) {
    if (given->is_string() && !given->get_ref<const std::string&>().empty()) {
      try {
        arguments = parse_json(given->get_ref<const std::string&>());
      } catch (const ApiError&) {
        arguments = *given;
      }
    } else if (given->is_object()) {
      arguments = *given;
    } else if (!given->is_string()) {
      f.refuse("arguments", "JSON in a text, or an object");
    }
  }
  return {{"id", id},
          {"type", "function"},
          {"function", {{"name", f.required_text("name")}, {"arguments", std::move(arguments)}}}};
}

// tool_calls; function_call, which was their name while an answer had one at most.
Json read_calls(const Fields& message) {
  Json out = Json::array();
  if (const Json* calls = message.array("tool_calls"))
    for (size_t i = 0; i < calls->size(); ++i) {
      const Fields call((*calls)[i], fmt::format("{}[{}]", message.name("tool_calls"), i));
      const Json* function = call.object("function");
      if (!function) call.refuse("function", "an object with name and arguments");
      out.push_back(read_call(Fields(*function, call.name("function")), call.text("id").value_or("")));
    }
  if (const Json* call = message.object("function_call"); call && out.empty())
    out.push_back(read_call(Fields(*call, message.name("function_call")), ""));
  return out;
}

}  // namespace

bool is_known_role(const std::string& role) {
  constexpr std::string_view kKnown[] = {"system", "developer", "user", "assistant", "tool", "function"};
  return std::ranges::find(kKnown, role) != std::end(kKnown);
}

std::string read_part(const Json& given, const std::string& place) {
  if (given.is_string()) return given.get<std::string>();
  const Fields part(given, place);
  const std::string type = part.text("type").value_or("text");
  if (type == "refusal") return part.required_text("refusal");  // an answer of before that was one
  if (is_media(type)) throw no_eyes(place, type);
  if (type != "text" && type != "input_text" && type != "output_text")
    part.refuse("type", "text (input_text and output_text are read as well)");
  return part.required_text("text");
}

std::string read_content(const Json& content, const std::string& place) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) refuse_value(place, "a text or a list of parts", content);
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    const std::string part = read_part(content[i], fmt::format("{}[{}]", place, i));
    const bool is_plain = content[i].is_string() || content[i].value("type", Json()) == "refusal";
    if (!text.empty() && !is_plain) text += '\n';
    text += part;
  }
  return text;
}

std::optional<Json> read_written_arguments(const std::string& text) {
  try {
    return parse_json(text);
  } catch (const ApiError&) {
    return std::nullopt;
  }
}

Json read_messages(const Fields& fields) {
  const Json* given = fields.array("messages");
  if (!given || given->empty()) throw bad_field("messages", "messages needs at least one message");
  Json out = Json::array();
  for (size_t i = 0; i < given->size(); ++i) {
    const std::string at = fmt::format("messages[{}]", i);
    const Fields message((*given)[i], at);
    Json m = {{"role", template_role(message.required_text("role"), message.name("role"))}};
    const bool is_answer = m.at("role") == "assistant";
    const Json* content = message.find("content");
    Json calls = is_answer ? read_calls(message) : Json::array();
    if (!content && !is_answer) message.refuse("content", "a text or a list of parts");
    m["content"] = content ? read_content(*content, message.name("content")) : message.text("refusal").value_or("");
    if (!calls.empty()) m["tool_calls"] = std::move(calls);
    if (const auto id = message.text("tool_call_id")) m["tool_call_id"] = *id;
    for (const char* field : {"tool_name", "name"})  // Ollama's, OpenAI's
      if (const auto name = message.text(field)) m["name"] = *name;
    for (const char* field : {"thinking", "reasoning_content"})  // Ollama's, everybody else's
      if (const auto reasoning = message.text(field)) m["reasoning_content"] = *reasoning;
    out.push_back(std::move(m));
  }
  return out;
}

}  // namespace watra::server
