#include "server/answer_shape.h"

#include <fmt/format.h>

#include "home/read_json.h"

namespace watra::server {
namespace {

using text::Shape;

Shape schema_shape(const Json& schema, const std::string& field) {
  if (!schema.is_object() && !schema.is_boolean()) refuse_value(field, "a JSON schema", schema);
  return value_or_throw(Shape::json_schema(schema), field);
}

Shape grammar_shape(const std::string& grammar, const std::string& field) {
  return value_or_throw(Shape::gbnf(grammar), field);
}

Shape regex_shape(const std::string& pattern, const std::string& field) {
  if (pattern.empty()) throw bad_field(field, fmt::format("{} is empty", field));
  return Shape::regex(pattern);
}

Shape choice_shape(const std::vector<std::string>& texts, const std::string& field) {
  std::vector<Shape> choices;
  for (const std::string& t : texts) {
    if (t.empty()) refuse_value(fmt::format("{}[{}]", field, choices.size()), "a text that is not empty", t);
    choices.push_back(Shape::literal(t));
  }
  if (choices.empty()) throw bad_field(field, fmt::format("{} needs at least one text", field));
  return Shape::one_of(std::move(choices));
}

// A schema, or the same as JSON in a text.
Shape schema_or_text(const Json& given, const std::string& field) {
  if (!given.is_string()) return schema_shape(given, field);
  const auto parsed = home::read_json(given.get_ref<const std::string&>());
  if (!parsed) throw bad_field(field, fmt::format("{} needs a JSON schema, found a text that is no JSON", field));
  return schema_shape(*parsed, field);
}

class Asked {
 public:
  void set(Shape shape, const std::string& field, bool is_grammar) {
    if (asked_.shape)
      throw bad_field(field, fmt::format("{} and {} cannot both be held to; send one", asked_.field, field));
    asked_ = {std::move(shape), field, is_grammar};
  }
  AskedShape take() { return std::move(asked_); }

 private:
  AskedShape asked_;
};

// {"json": ..} or {"regex": ..}, {"choice": ..}, {"grammar": ..}; with a prefix also guided_json and its like.
void read_guided(const Fields& f, const std::string& prefix, Asked& asked) {
  if (const Json* schema = f.find(prefix + "json"))
    asked.set(schema_or_text(*schema, f.name(prefix + "json")), f.name(prefix + "json"), false);
  if (const auto pattern = f.text(prefix + "regex"))
    asked.set(regex_shape(*pattern, f.name(prefix + "regex")), f.name(prefix + "regex"), true);
  if (f.has(prefix + "choice"))
    asked.set(choice_shape(f.texts(prefix + "choice"), f.name(prefix + "choice")), f.name(prefix + "choice"), true);
  if (const auto grammar = f.text(prefix + "grammar"); grammar && !grammar->empty())
    asked.set(grammar_shape(*grammar, f.name(prefix + "grammar")), f.name(prefix + "grammar"), true);
}

}  // namespace

AskedShape read_format(const Json& format, const std::string& field) {
  if (!format.is_object()) refuse_value(field, "an object with a type", format);
  const Fields f(format, field);
  const std::string type = f.text("type").value_or("text");
  if (type == "text") return {};
  if (type == "json_object") {
    const Json* schema = f.find("schema");
    if (!schema || schema->empty()) return {Shape::json_object(), field, false};
    return {schema_shape(*schema, f.name("schema")), f.name("schema"), false};
  }
  if (type == "json_schema") {
    // Chat has the schema in an object of its own, responses beside the type.
    const Json* inner = f.object("json_schema");
    if (!inner && !f.has("schema") && field == "response_format") f.refuse("json_schema", "an object with a schema");
    const Fields at(inner ? *inner : format, inner ? f.name("json_schema") : field);
    const Json* schema = at.find("schema");
    if (!schema) at.refuse("schema", "a JSON schema");
    return {schema_shape(*schema, at.name("schema")), at.name("schema"), false};
  }
  if (type == "grammar") return {grammar_shape(f.required_text("grammar"), f.name("grammar")), f.name("grammar"), true};
  if (type == "regex") {
    const char* name = f.has("regex") ? "regex" : "pattern";
    return {regex_shape(f.required_text(name), f.name(name)), f.name(name), true};
  }
  f.refuse("type", "text, json_object, json_schema, grammar or regex");
}

AskedShape read_asked_shape(const Fields& f) {
  Asked asked;
  if (const Json* format = f.find("response_format"))
    if (AskedShape one = read_format(*format, f.name("response_format")); one.shape)
      asked.set(*std::move(one.shape), one.field, one.is_grammar);
  if (const Json* schema = f.find("json_schema"))
    asked.set(schema_or_text(*schema, f.name("json_schema")), f.name("json_schema"), false);
  if (const auto grammar = f.text("grammar"); grammar && !grammar->empty())
    asked.set(grammar_shape(*grammar, f.name("grammar")), f.name("grammar"), true);
  read_guided(f, "guided_", asked);
  if (const Json* outputs = f.object("structured_outputs"))
    read_guided(Fields(*outputs, f.name("structured_outputs")), "", asked);
  return asked.take();
}

AskedShape read_ollama_format(const Fields& f) {
  const Json* format = f.find("format");
  if (!format || *format == "") return {};
  if (*format == "json") return {Shape::json_object(), f.name("format"), false};
  if (format->is_string()) f.refuse("format", "json or a JSON schema");
  return {schema_shape(*format, f.name("format")), f.name("format"), false};
}

Shape after_thoughts(Shape shape, Thoughts thoughts) {
  if (thoughts == Thoughts::none) return shape;
  constexpr const char* kOpen = "<think>";
  constexpr const char* kClose = "</think>";
  const Shape inside =
      Shape::sequence({Shape::any_text({kClose}), Shape::literal(kClose), Shape::regex("[ \\n\\r\\t]{0,4}")});
  if (thoughts == Thoughts::open) return Shape::sequence({inside, std::move(shape)});
  return Shape::sequence({Shape::optional(Shape::sequence({Shape::literal(kOpen), inside})), std::move(shape)});
}

}  // namespace watra::server
