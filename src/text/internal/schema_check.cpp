#include "text/internal/schema_check.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "text/internal/string_pattern.h"

namespace watra::text {

using Json = SchemaCheck::Json;

namespace {

constexpr int kMostDepth = 64;
constexpr int kStepsOfPattern = 100;

bool is_whole(const Json& v) {
  return v.is_number_integer() || (v.is_number_float() && std::floor(v.get<double>()) == v.get<double>());
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "string") return value.is_string();
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "number") return value.is_number();
  if (type == "integer") return is_whole(value);
  return true;
}

// 1 and 1.0 are equal, and the order of members says nothing.
bool equal(const Json& a, const Json& b) {
  if (a.is_object() && b.is_object())
    return a.size() == b.size() && std::ranges::all_of(a.items(), [&](const auto& member) {
             return b.contains(member.key()) && equal(member.value(), b[member.key()]);
           });
  if (a.is_array() && b.is_array()) return std::ranges::equal(a, b, equal);
  return a == b;
}

bool holds(const Json& list, const Json& value) {
  return std::ranges::any_of(list, [&](const Json& x) { return equal(x, value); });
}

// The number a keyword has; none: it says nothing that can be read.
std::optional<double> limit(const Json& schema, const char* keyword) {
  const auto it = schema.find(keyword);
  return it != schema.end() && it->is_number() ? std::optional(it->get<double>()) : std::nullopt;
}

bool within(const Json& schema, const char* least, const char* most, size_t n) {
  const auto low = limit(schema, least), high = limit(schema, most);
  return (!low || static_cast<double>(n) >= *low) && (!high || static_cast<double>(n) <= *high);
}

bool matches(const std::string& pattern, const std::string& text) {
  const PatternMatch m = pattern_matches(pattern, text);
  return m.matches || !m.is_known;
}

}  // namespace

bool SchemaCheck::check(const Json& value, const Json& schema, int depth) {
  if (schema.is_boolean()) return schema.get<bool>();
  if (!schema.is_object() || depth > kMostDepth || ++n_steps_ > kMostSteps) return true;
  if (schema.contains("type")) {
    const Json& type = schema["type"];
    const auto is = [&](const Json& t) { return !t.is_string() || has_type(value, t.get_ref<const std::string&>()); };
    const bool is_null = value.is_null() && schema.contains("nullable") && schema["nullable"] == true;
    if (!is_null && !(type.is_array() ? std::ranges::any_of(type, is) : is(type))) return false;
  }
  if (schema.contains("const") && !equal(schema["const"], value)) return false;
  if (schema.contains("enum") && schema["enum"].is_array() && !holds(schema["enum"], value)) return false;
  if (value.is_number() && !number(value, schema)) return false;
  if (value.is_string() && !string(value, schema)) return false;
  if (value.is_array() && !array(value, schema, depth)) return false;
  if (value.is_object() && !object(value, schema, depth)) return false;
  return combined(value, schema, depth);
}

bool SchemaCheck::combined(const Json& value, const Json& schema, int depth) {
  const auto is = [&](const Json& s) { return check(value, s, depth + 1); };
  const auto list = [&](const char* name) {
    return schema.contains(name) && schema[name].is_array() ? &schema[name] : nullptr;
  };
  if (schema.contains("$ref"))
    if (const Json* named = target_(schema); named && !is(*named)) return false;
  if (const Json* all = list("allOf"); all && !std::ranges::all_of(*all, is)) return false;
  if (const Json* any = list("anyOf"); any && !std::ranges::any_of(*any, is)) return false;
  if (const Json* one = list("oneOf"); one && std::ranges::count_if(*one, is) != 1) return false;
  if (schema.contains("not") && is(schema["not"])) return false;
  if (!schema.contains("if")) return true;
  const char* next = is(schema["if"]) ? "then" : "else";
  return !schema.contains(next) || is(schema[next]);
}

bool SchemaCheck::number(const Json& value, const Json& schema) const {
  const auto x = value.get<double>();
  const auto least = limit(schema, "minimum"), most = limit(schema, "maximum");
  const auto above = limit(schema, "exclusiveMinimum"), below = limit(schema, "exclusiveMaximum");
  if ((least && x < *least) || (most && x > *most) || (above && x <= *above) || (below && x >= *below)) return false;
  const auto step = limit(schema, "multipleOf");
  if (!step || *step <= 0) return true;
  if (value.is_number_integer() && schema["multipleOf"].is_number_integer())
    return value.get<int64_t>() % schema["multipleOf"].get<int64_t>() == 0;
  const double n = x / *step;
  return std::abs(n - std::round(n)) <= 1e-9 * std::max(1.0, std::abs(n));
}

bool SchemaCheck::string(const Json& value, const Json& schema) {
  const auto& text = value.get_ref<const std::string&>();
  const auto n = std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  if (!within(schema, "minLength", "maxLength", static_cast<size_t>(n))) return false;
  if (!schema.contains("pattern") || !schema["pattern"].is_string()) return true;
  n_steps_ += kStepsOfPattern;
  return is_spent() || matches(schema["pattern"].get_ref<const std::string&>(), text);
}

bool SchemaCheck::array(const Json& value, const Json& schema, int depth) {
  if (!within(schema, "minItems", "maxItems", value.size())) return false;
  const Json none = Json::array();
  const bool old = schema.contains("items") && schema["items"].is_array();  // until draft 2019
  const char* const first_name = old ? "items" : "prefixItems";
  const char* const rest_name = old ? "additionalItems" : "items";
  const Json& first = schema.contains(first_name) && schema[first_name].is_array() ? schema[first_name] : none;
  for (size_t i = 0; i < value.size(); ++i) {
    if (i < first.size() ? !check(value[i], first[i], depth + 1)
                         : schema.contains(rest_name) && !check(value[i], schema[rest_name], depth + 1))
      return false;
    if (schema.contains("uniqueItems") && schema["uniqueItems"] == true)
      for (size_t k = 0; k < i; ++k)
        if (equal(value[i], value[k])) return false;
  }
  if (!schema.contains("contains")) return true;
  const auto n = std::ranges::count_if(value, [&](const Json& v) { return check(v, schema["contains"], depth + 1); });
  return static_cast<double>(n) >= limit(schema, "minContains").value_or(1) &&
         static_cast<double>(n) <= limit(schema, "maxContains").value_or(static_cast<double>(n));
}

bool SchemaCheck::member(const std::string& name, const Json& value, const Json& schema, int depth) {
  bool is_named = false;
  if (schema.contains("properties") && schema["properties"].is_object() && schema["properties"].contains(name)) {
    is_named = true;
    if (!check(value, schema["properties"][name], depth + 1)) return false;
  }
  if (schema.contains("patternProperties") && schema["patternProperties"].is_object())
    for (const auto& [pattern, s] : schema["patternProperties"].items()) {
      n_steps_ += kStepsOfPattern;
      if (is_spent() || !pattern_matches(pattern, name).matches) continue;
      is_named = true;
      if (!check(value, s, depth + 1)) return false;
    }
  if (!is_named && schema.contains("additionalProperties") && !check(value, schema["additionalProperties"], depth + 1))
    return false;
  return !schema.contains("propertyNames") || check(name, schema["propertyNames"], depth + 1);
}

bool SchemaCheck::object(const Json& value, const Json& schema, int depth) {
  if (!within(schema, "minProperties", "maxProperties", value.size())) return false;
  if (schema.contains("required") && schema["required"].is_array())
    for (const Json& name : schema["required"])
      if (name.is_string() && !value.contains(name.get_ref<const std::string&>())) return false;
  for (const auto& [name, v] : value.items())
    if (!member(name, v, schema, depth)) return false;
  if (schema.contains("dependentRequired") && schema["dependentRequired"].is_object())
    for (const auto& [name, needed] : schema["dependentRequired"].items())
      if (value.contains(name) && needed.is_array() && !std::ranges::all_of(needed, [&](const Json& n) {
            return !n.is_string() || value.contains(n.get_ref<const std::string&>());
          }))
        return false;
  return true;
}

}  // namespace watra::text
