#include "server/tools.h"

#include <fmt/format.h>

#include <algorithm>

namespace watra::server {
namespace {

using Choice = Toolbox::Choice;

constexpr size_t kMostTools = 128;
constexpr size_t kMostNameBytes = 128;
constexpr int64_t kMostCalls = 16;
constexpr size_t kShownBytes = 60;  // of what is wrong, in an error

// Names are written into JSON and between markers as they are.
bool can_be_written(const std::string& name) {
  return !name.empty() && name.size() <= kMostNameBytes && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-' || c == '.' || c == ':' || c == '/';
  });
}

// Arguments are an object, in every API.
void check_parameters(const Fields& f, const char* name, const Json& schema) {
  const Json type = schema.value("type", Json("object"));
  const bool is_object = type == "object" || (type.is_array() && std::ranges::find(type, Json("object")) != type.end());
  if (!is_object)
    throw bad_field(f.name(name), fmt::format("{} needs a schema of type object at /type, found {}", f.name(name),
                                              dump(type).substr(0, kShownBytes)));
  const Json values = schema.contains("const") ? Json::array({schema["const"]}) : schema.value("enum", Json::array());
  if (!values.is_array() || !std::ranges::all_of(values, [](const Json& v) { return v.is_object(); }))
    throw bad_field(f.name(name), fmt::format("{} needs objects alone as its values, found {}", f.name(name),
                                              dump(values).substr(0, kShownBytes)));
}

// The same schema, of which nothing but objects is left.
Json of_objects(Json schema) {
  if (schema.contains("$ref")) {
    Json parts = schema.value("allOf", Json::array());
    parts.push_back({{"$ref", schema["$ref"]}});
    schema.erase("$ref");
    schema["allOf"] = std::move(parts);
  }
  schema["type"] = "object";
  return schema;
}

Json one_tool(const Fields& f, const char* schema_name) {
  const std::string name = f.required_text("name");
  if (!can_be_written(name)) f.refuse("name", fmt::format("1 to {} letters, digits, _ - . : or /", kMostNameBytes));
  Json function = {{"name", name}, {"description", f.text("description").value_or("")}};
  const Json* schema = f.object(schema_name);
  if (schema) check_parameters(f, schema_name, *schema);
  function["parameters"] = schema ? *schema : Json({{"type", "object"}, {"properties", Json::object()}});
  if (f.boolean("strict").value_or(false)) function["strict"] = true;
  return {{"type", "function"}, {"function", std::move(function)}};
}

void settle(Toolbox& box, const Fields& f, std::string_view choice_field) {
  if (box.tools.size() > kMostTools) f.refuse("tools", fmt::format("at most {} tools", kMostTools));
  if (box.tools.empty()) {
    if (box.choice == Choice::required || box.choice == Choice::named) f.refuse(choice_field, "tools to choose from");
    box.choice = Choice::none;
  }
  if (box.choice == Choice::named &&
      std::ranges::none_of(box.tools, [&](const Json& t) { return t["function"]["name"] == box.named; }))
    refuse_value(f.name(choice_field), "the name of one of the tools", box.named);
}

void read_choice_word(Toolbox& box, const Fields& f, std::string_view field, const std::string& word,
                      std::string_view needs = "none, auto, required or one function") {
  if (word == "none")
    box.choice = Choice::none;
  else if (word == "auto")
    box.choice = Choice::automatic;
  else if (word == "required" || word == "any")
    box.choice = Choice::required;
  else
    f.refuse(field, needs);
}

// Some of the tools, with a mode (auto, required) for them: in "allowed_tools" (chat) or beside the type (responses).
void read_allowed(Toolbox& box, const Fields& f, const Json& choice) {
  const Json* inner = Fields(choice, f.name("tool_choice")).object("allowed_tools");
  const Fields at(inner ? *inner : choice, f.name(inner ? "tool_choice.allowed_tools" : "tool_choice"));
  const std::string mode = at.text("mode").value_or("auto");
  if (mode != "auto" && mode != "required") at.refuse("mode", "auto or required");
  const Json* allowed = at.array("tools");
  if (!allowed || allowed->empty()) at.refuse("tools", "a list of tools");
  Json left = Json::array();
  std::vector<std::string> places;
  for (size_t i = 0; i < allowed->size(); ++i) {
    const Fields one((*allowed)[i], fmt::format("{}[{}]", at.name("tools"), i));
    const Json* function = one.object("function");
    const std::string name =
        function ? Fields(*function, one.name("function")).required_text("name") : one.required_text("name");
    const auto tool = std::ranges::find_if(box.tools, [&](const Json& t) { return t["function"]["name"] == name; });
    if (tool == box.tools.end())
      refuse_value(one.name(function ? "function.name" : "name"), "the name of one of the tools", name);
    left.push_back(*tool);
    places.push_back(box.schema_places[static_cast<size_t>(tool - box.tools.begin())]);
  }
  box.tools = std::move(left);
  box.schema_places = std::move(places);
  box.choice = mode == "required" ? Choice::required : Choice::automatic;
}

// "auto", or an object that names a function: in "function" (chat, `is_inside`) or beside the type (responses). Each is
// read in both.
void read_choice(Toolbox& box, const Fields& f, bool is_inside) {
  box.choice = Choice::automatic;
  const Json* choice = f.find("tool_choice");
  if (!choice) return;
  if (choice->is_string()) return read_choice_word(box, f, "tool_choice", choice->get<std::string>());
  if (!choice->is_object()) f.refuse("tool_choice", "none, auto, required or one function");
  const Fields c(*choice, f.name("tool_choice"));
  const std::string type = c.text("type").value_or("function");
  if (type == "allowed_tools") return read_allowed(box, f, *choice);
  if (type != "function") return read_choice_word(box, f, "tool_choice", type);
  const Json* function = c.object("function");
  if (is_inside && !function && !c.has("name")) c.refuse("function", "an object with a name");
  box.choice = Choice::named;
  box.named = function ? Fields(*function, c.name("function")).required_text("name") : c.required_text("name");
}

// `schema`: where a tool has its own, seen from the tool.
template <class F>
Toolbox read_tools(const Fields& f, std::string_view schema, F read_one) {
  Toolbox box;
  if (const Json* given = f.array("tools"))
    for (size_t i = 0; i < given->size(); ++i) {
      const Fields tool((*given)[i], fmt::format("{}[{}]", f.name("tools"), i));
      box.tools.push_back(read_one(tool));
      box.schema_places.push_back(tool.name(schema));
    }
  return box;
}

void refuse_other_types(const Fields& tool, const std::string& type) {
  if (type != "function")
    throw unsupported(tool.name("type"), fmt::format("tools of type {} do not exist here; functions do", type));
}

Toolbox with_openai_choice(const Fields& f, Toolbox box, bool is_inside) {
  read_choice(box, f, is_inside);
  box.parallel = f.boolean("parallel_tool_calls");
  settle(box, f, "tool_choice");
  return box;
}

}  // namespace

std::vector<std::string> Toolbox::names() const {
  std::vector<std::string> out;
  out.reserve(tools.size());
  for (const Json& t : tools) out.push_back(t["function"]["name"]);
  return out;
}

Toolbox read_openai_tools(const Fields& f) {
  const auto read_one = [](const Fields& tool) {
    refuse_other_types(tool, tool.text("type").value_or("function"));
    const Json* function = tool.object("function");
    if (!function) tool.refuse("function", "an object with name and parameters");
    return one_tool(Fields(*function, tool.name("function")), "parameters");
  };
  return with_openai_choice(f, read_tools(f, "function.parameters", read_one), true);
}

Toolbox read_responses_tools(const Fields& f) {
  const auto read_one = [](const Fields& tool) {
    refuse_other_types(tool, tool.required_text("type"));
    return one_tool(tool, "parameters");
  };
  return with_openai_choice(f, read_tools(f, "parameters", read_one), false);
}

Toolbox read_anthropic_tools(const Fields& f) {
  const auto read_one = [](const Fields& tool) {
    if (const std::string type = tool.text("type").value_or("custom"); type != "custom")
      throw unsupported(tool.name("type"), fmt::format("tools of type {} do not exist here; your own do", type));
    if (!tool.object("input_schema")) tool.refuse("input_schema", "a JSON schema");
    return one_tool(tool, "input_schema");
  };
  Toolbox box = read_tools(f, "input_schema", read_one);
  box.choice = Choice::automatic;
  if (const Json* choice = f.object("tool_choice")) {
    const Fields c(*choice, "tool_choice");
    const std::string type = c.required_text("type");
    if (type == "tool") {
      box.choice = Choice::named;
      box.named = c.required_text("name");
    } else {
      read_choice_word(box, c, "type", type, "auto, any, tool or none");
    }
    if (const auto alone = c.boolean("disable_parallel_tool_use")) box.parallel = !*alone;
  }
  settle(box, f, "tool_choice");
  return box;
}

text::Shape shape_with_tools(const Toolbox& box, const text::ToolFormat& format, const AskedShape& asked) {
  if (asked.is_grammar)
    throw bad_field(asked.field, fmt::format("{} and tools cannot both be held to; send one", asked.field));
  std::vector<text::CallableTool> callable;
  for (size_t i = 0; i < box.tools.size(); ++i) {
    const Json& f = box.tools[i]["function"];
    const std::string name = f["name"];
    if (box.choice == Choice::named && name != box.named) continue;
    const Json schema = of_objects(f["parameters"]);
    const auto rule = f.value("strict", false) ? text::SchemaRule::strict : text::SchemaRule::relaxed;
    callable.push_back({name, value_or_throw(text::Shape::json_schema(schema, rule), box.schema_places[i])});
  }
  const bool must = box.choice == Choice::required || box.choice == Choice::named;
  const bool several = box.choice != Choice::named && box.parallel.value_or(!must);
  const int64_t most = several ? kMostCalls : 1;
  if (must) return calls_shape(format, callable, most);
  if (asked.shape) return text::Shape::one_of({*asked.shape, calls_shape(format, callable, most)});
  return text_with_calls_shape(format, callable, most);
}

}  // namespace watra::server
