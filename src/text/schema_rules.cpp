#include "text/schema_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "text/internal/member_names.h"
#include "text/internal/schema_check.h"
#include "text/internal/schema_end.h"
#include "text/internal/string_limits.h"
#include "text/internal/string_pattern.h"

namespace watra::text {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMostDepth = 64;
constexpr size_t kMostSchemas = 20'000;

// Say nothing about what is valid.
constexpr std::array kNotes = {"title",     "description",   "default",     "examples",         "example",
                               "$schema",   "$id",           "$comment",    "deprecated",       "readOnly",
                               "writeOnly", "$defs",         "definitions", "$anchor",          "id",
                               "strict",    "discriminator", "nullable",    "contentMediaType", "contentEncoding"};
// No grammar holds these.
constexpr std::array kUnheld = {"not",
                                "if",
                                "then",
                                "else",
                                "contains",
                                "minContains",
                                "maxContains",
                                "dependentRequired",
                                "dependentSchemas",
                                "dependencies"};
constexpr std::array kOfObjects = {"properties",    "required",      "additionalProperties", "patternProperties",
                                   "propertyNames", "minProperties", "maxProperties",        "unevaluatedProperties"};
constexpr std::array kOfArrays = {"items",           "prefixItems", "minItems",        "maxItems",
                                  "additionalItems", "uniqueItems", "unevaluatedItems"};
constexpr std::array kOfStrings = {"pattern", "format", "minLength", "maxLength"};
constexpr std::array kOfNumbers = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"};
constexpr std::array kTypes = {"string", "number", "integer", "boolean", "null", "array", "object"};
constexpr std::array kCounts = {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"};
constexpr size_t kShownBytes = 60;                 // of what is wrong, in an error
constexpr double kMostExact = 9007199254740992.0;  // 2^53: whole numbers that every reader of JSON keeps

// Formats as patterns. XGrammar has its own, in which digits and labels go on without end, and small models write them
// until their last token. An address of mail has a domain with a dot: what reads it afterwards asks for that.
constexpr std::string_view kDay = R"(\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]))";
constexpr std::string_view kClock =
    R"(([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))";

struct Format {
  std::string pattern;          // empty = not known here
  int64_t least = 0, most = 0;  // characters
};
Format known_format(std::string_view name) {
  if (name == "date") return {std::string(kDay), 10, 10};
  if (name == "time") return {std::string(kClock), 9, 24};
  if (name == "date-time") return {fmt::format("{}T{}", kDay, kClock), 20, 35};
  if (name == "duration") {
    const std::string n = R"(\d{1,6})";
    const std::string clock = fmt::format("T({0}S|{0}M({0}S)?|{0}H({0}M({0}S)?)?)", n);
    return {fmt::format("P(({0}D|{0}M({0}D)?|{0}Y({0}M({0}D)?)?)({1})?|{1}|{0}W)", n, clock), 3, 44};
  }
  if (name == "hostname")
    return {R"([a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?){0,3})", 1, 131};
  if (name == "email")
    return {R"([A-Za-z0-9_!#$%&'*+/=?^`{|}~-]{1,16}(\.[A-Za-z0-9_!#$%&'*+/=?^`{|}~-]{1,12})?@)"
            R"([A-Za-z0-9]([A-Za-z0-9-]{0,10}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?){1,2})",
            5, 64};
  return {};
}

template <size_t N>
bool is_one(const std::array<const char*, N>& names, std::string_view name) {
  return std::ranges::any_of(names, [&](const char* n) { return name == n; });
}
template <size_t N>
bool has_one(const Json& schema, const std::array<const char*, N>& names) {
  return std::ranges::any_of(names, [&](const char* n) { return schema.contains(n); });
}

struct Wrong {  // thrown and caught in this file
  Error error;
  bool is_nothing = false;  // the schema is one that nothing satisfies
};

// The pointer of a reference in the same schema: what a URI and a JSON pointer spell otherwise is spelled out.
std::optional<Json::json_pointer> pointer_of(std::string_view uri) {
  if (!uri.starts_with('#')) return std::nullopt;
  std::string out;
  for (size_t i = 1; i < uri.size(); ++i) {
    unsigned value = 0;
    const auto* const digits = uri.data() + i + 1;
    const bool is_code =
        uri[i] == '%' && i + 2 < uri.size() && std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2;
    out += is_code ? static_cast<char>(value) : uri[i];
    if (is_code) i += 2;
  }
  try {
    return Json::json_pointer(out);
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

class Rules {
 public:
  Rules(const Json& root, SchemaRule rule) : root_(root), rule_(rule) {}

  Json read(const Json& schema, const std::string& place, int depth) {
    if (depth > kMostDepth) bad(place, fmt::format("at most {} schemas in each other", kMostDepth));
    if (++n_schemas_ > kMostSchemas) bad(place, fmt::format("at most {} schemas in one", kMostSchemas));
    if (schema.is_boolean()) {
      if (!schema.get<bool>()) nothing(place, "a schema that something satisfies, found false");
      return Json::object();
    }
    if (!schema.is_object()) wrong(place, "an object or true", schema);
    Json s = schema;
    s.erase("$defs"), s.erase("definitions");  // read where something names them
    if (s.contains("const") || s.contains("enum")) return literals(s, place);
    take_out_unheld(s, place);
    if (s.contains("allOf")) {
      s = merged_all_of(s, place, depth);
      s.erase("$defs"), s.erase("definitions");
    }
    if (s.contains("const") || s.contains("enum")) return literals(s, place);
    if (s.contains("$ref")) return reference(s, place);
    for (const char* combiner : {"anyOf", "oneOf"})
      if (s.contains(combiner)) return choices(std::move(s), combiner, place, depth);
    if (s.value("nullable", false) && s.contains("type") && s["type"].is_string() && s["type"] != "null")
      s["type"] = Json::array({s["type"], "null"});
    s.erase("nullable");
    check_type(s, place);
    check_limits(s, place);
    infer_type(s);
    ready_pattern(s, place);
    if (count_length(s)) return shared(std::move(s));
    ready_format(s, place);
    ready_objects(s, place, depth);
    ready_arrays(s, place, depth);
    return s;
  }

  // The whole of it, with what its parts share.
  Json read_root() {
    Json s = read(root_, "", 0);
    for (size_t i = 0; i < named_.size(); ++i) {  // which may name more
      const std::string place = named_[i].second;
      s["$defs"][fmt::format("{}{}", kNamed, i)] = read(*named_[i].first, place, 0);
    }
    for (size_t i = 0; i < counted_.size(); ++i)
      s["$defs"][fmt::format("{}{}", kCounted, i)] = {{"type", "string"}, {"pattern", counted_[i]}};
    if (const auto place = endless_place(s)) endless(*place);
    return s;
  }

 private:
  [[noreturn]] static void bad(const std::string& place, const std::string& needs, bool is_nothing = false) {
    throw Wrong{
        {"grammar.bad_schema", fmt::format("the schema needs {} at {}", needs, place.empty() ? "/" : place), ""},
        is_nothing};
  }
  // The same of a value that stands there and is of a wrong kind: it is told, shortened.
  [[noreturn]] static void wrong(const std::string& place, const std::string& needs, const Json& found) {
    std::string told = found.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (told.size() > kShownBytes) told = told.substr(0, kShownBytes) + "...";
    throw Wrong{{"grammar.bad_schema",
                 fmt::format("the schema needs {} at {}, found {}", needs, place.empty() ? "/" : place, told), ""}};
  }
  [[noreturn]] static void nothing(const std::string& place, const std::string& needs) { bad(place, needs, true); }
  [[noreturn]] static void unheld(const std::string& place, std::string_view keyword, std::string_view why = "") {
    throw Wrong{{"grammar.unsupported_schema",
                 fmt::format("the schema's keyword \"{}\" at {} cannot be held to{}{}", keyword,
                             place.empty() ? "/" : place, why.empty() ? "" : ": ", why),
                 "a schema without it, and a check of the answer afterwards"}};
  }

  // `place`: of the schema as it was made ready.
  [[noreturn]] void endless(std::string place) const {
    if (const std::string mine = fmt::format("#/$defs/{}", kNamed); place.starts_with(mine)) {
      const size_t end = std::min(place.find('/', mine.size()), place.size());
      place = named_[std::stoul(place.substr(mine.size()))].second + place.substr(end);
    }
    throw Wrong{
        {"grammar.bad_schema",
         fmt::format("the schema needs an end at {}: what stands there must hold another of its own kind, and that "
                     "another, for ever",
                     place.empty() ? "/" : place),
         "a member that is not required, a list that may be empty, or null as another choice"}};
  }

  void take_out(Json& s, const char* keyword, const std::string& place, std::string_view why = "") const {
    if (rule_ == SchemaRule::strict) unheld(place, keyword, why);
    s.erase(keyword);
  }

  void take_out_unheld(Json& s, const std::string& place) const {
    for (const char* keyword : kUnheld)
      if (s.contains(keyword)) take_out(s, keyword, place);
    if (s.contains("uniqueItems")) {
      if (s["uniqueItems"].is_boolean() && !s["uniqueItems"].get<bool>())
        s.erase("uniqueItems");
      else
        take_out(s, "uniqueItems", place);
    }
    const bool lengths = s.contains("minLength") || s.contains("maxLength");
    if (lengths && s.contains("pattern"))
      for (const char* keyword : {"minLength", "maxLength"})
        if (s.contains(keyword)) take_out(s, keyword, place, "pattern alone is, where both stand");
  }

  // What `$ref` names in this schema; null if it cannot be found.
  const Json* target(const Json& s) const {
    const auto it = s.find("$ref");
    if (it == s.end() || !it->is_string()) return nullptr;
    const auto pointer = pointer_of(it->get_ref<const std::string&>());
    try {
      return pointer && root_.contains(*pointer) ? &root_.at(*pointer) : nullptr;
    } catch (const Json::exception&) {
      return nullptr;
    }
  }

  // What is named is read once, and stands among the definitions of the whole under a name of ours.
  Json reference(const Json& s, const std::string& place) {
    for (const auto& [name, value] : s.items())
      if (name != "$ref" && rule_ == SchemaRule::strict && asserts(name)) unheld(place, name, "it stands beside $ref");
    const Json* at = &s;
    for (int i = 0; at->is_object() && at->contains("$ref"); ++i) {
      const Json* next = target(*at);
      if (!next)
        throw Wrong{
            {"grammar.unsupported_schema",
             fmt::format("the schema's keyword \"$ref\" at {} needs a place in the same schema (#/$defs/...), "
                         "found {}",
                         place.empty() ? "/" : place,
                         (*at)["$ref"].dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, kShownBytes)),
             ""}};
      if (i > kMostDepth) bad(place, "a reference that ends");
      const bool is_last = !next->is_object() || !next->contains("$ref") ||
                           (rule_ == SchemaRule::strict &&
                            std::ranges::any_of(next->items(), [](const auto& x) { return asserts(x.key()); }));
      if (is_last) return named(*next, s["$ref"]);
      at = next;
    }
    return {};
  }
  Json named(const Json& schema, const std::string& uri) {
    const auto it = std::ranges::find(named_, &schema, &Named::first);
    const auto n = it - named_.begin();
    if (it == named_.end()) named_.emplace_back(&schema, uri.size() > 1 ? uri.substr(1) : "");
    return {{"$ref", fmt::format("#/$defs/{}{}", kNamed, n)}};
  }

  static bool asserts(const std::string& name) {
    return is_one(kOfObjects, name) || is_one(kOfArrays, name) || is_one(kOfStrings, name) ||
           is_one(kOfNumbers, name) || name == "type" || name == "enum" || name == "const" || name == "anyOf" ||
           name == "oneOf" || name == "allOf";
  }

  // anyOf and oneOf stand alone in XGrammar: what stands beside them moves into each choice.
  Json choices(Json s, const char* combiner, const std::string& place, int depth) {
    Json given = s[combiner];
    if (!given.is_array() || given.empty()) wrong(place + "/" + combiner, "a list of schemas", given);
    if (combiner == std::string_view("oneOf")) given = of_one_alone(given, place);
    Json beside = Json::object(), out = Json::object();
    for (const auto& [name, value] : s.items())
      if (name != combiner && asserts(name)) beside[name] = value;
    Json list = Json::array();
    for (size_t i = 0; i < given.size(); ++i) {
      const std::string at = fmt::format("{}/{}/{}", place, combiner, i);
      try {
        list.push_back(choice(given[i], beside, at, combiner, depth));
      } catch (const Wrong& w) {  // one that nothing satisfies is none, as long as others are left
        if (!w.is_nothing || (i + 1 == given.size() && list.empty())) throw;
      }
    }
    if (s.value("nullable", false)) list.push_back({{"type", "null"}});
    out["anyOf"] = std::move(list);  // oneOf too: a grammar cannot tell that two choices overlap which are no literals
    return out;
  }

  // The choices of oneOf, without the literals that several of them name.
  Json of_one_alone(const Json& given, const std::string& place) {
    const auto is_literal = [](const Json& s) { return s.is_object() && (s.contains("const") || s.contains("enum")); };
    std::vector<Json> choices;
    for (const Json& choice : given) choices.push_back(resolved(choice));
    Json out = given;
    for (size_t i = 0; i < choices.size(); ++i) {
      const Json& mine = choices[i];
      if (!is_literal(mine) || (!mine.contains("const") && !mine["enum"].is_array())) continue;
      const Json values = mine.contains("const") ? Json::array({mine["const"]}) : mine["enum"];
      Json left = Json::array();
      for (const Json& value : values) {
        bool is_shared = false;
        for (size_t j = 0; j < choices.size() && !is_shared; ++j)
          is_shared = j != i && is_literal(choices[j]) && check_.satisfies(value, choices[j]);
        if (!is_shared) left.push_back(value);
      }
      if (left.size() == values.size()) continue;
      if (left.empty() && rule_ != SchemaRule::strict) continue;
      out[i] = mine;
      out[i].erase("const");
      out[i]["enum"] = std::move(left);
    }
    if (check_.is_spent()) bad(place + "/oneOf", "less work to tell which values only one choice has");
    return out;
  }

  Json choice(const Json& given, const Json& beside, const std::string& place, const char* combiner, int depth) {
    if (beside.empty()) return read(given, place, depth + 1);
    Json both = beside;
    merge(both, resolved(given), place, combiner);
    return read(both, place, depth + 1);
  }

  // Those of them that what stands beside them lets through.
  Json literals(const Json& s, const std::string& place) {
    const bool is_const = s.contains("const");
    if (!is_const && !s["enum"].is_array()) wrong(place + "/enum", "a list of values", s["enum"]);
    Json beside = s;
    beside.erase("const");
    if (!is_const) beside.erase("enum");
    Json left = Json::array();
    for (const Json& value : is_const ? Json::array({s["const"]}) : s["enum"])
      if (check_.satisfies(value, beside)) left.push_back(value);
    if (check_.is_spent()) bad(place, "less work to tell which values its other keywords let through");
    if (left.empty() && rule_ == SchemaRule::strict)
      nothing(place, fmt::format("a value of \"{}\" that its other keywords let through", is_const ? "const" : "enum"));
    if (is_const) return {{"const", s["const"]}};
    if (left.empty()) return {{"enum", s["enum"]}};
    return {{"enum", std::move(left)}};
  }

  static void check_type(const Json& s, const std::string& place) {
    if (!s.contains("type")) return;
    const Json& type = s["type"];
    const auto is_known = [](const Json& t) {
      return t.is_string() && is_one(kTypes, t.get_ref<const std::string&>());
    };
    const bool is_list = type.is_array() && !type.empty();
    if (is_list ? std::ranges::all_of(type, is_known) : is_known(type)) return;
    wrong(place + "/type", fmt::format("one or several of {}", fmt::join(kTypes, ", ")), type);
  }

  // Limits of another kind than JSON Schema has are a mistake of who wrote them. 5.0 is 5.
  static void check_limits(Json& s, const std::string& place) {
    for (const char* name : kCounts) {
      if (!s.contains(name)) continue;
      Json& n = s[name];
      const double x = n.is_number() ? n.get<double>() : -1;
      if (x < 0 || x > kMostExact || x != std::floor(x))
        wrong(fmt::format("{}/{}", place, name), "a whole number from 0 on", n);
      n = static_cast<int64_t>(x);
    }
    if (s.contains("multipleOf") && !(s["multipleOf"].is_number() && s["multipleOf"].get<double>() > 0))
      wrong(place + "/multipleOf", "a number above 0", s["multipleOf"]);
    for (const char* name : {"minimum", "maximum"})
      if (s.contains(name) && !s[name].is_number()) wrong(fmt::format("{}/{}", place, name), "a number", s[name]);
  }

  static void infer_type(Json& s) {
    if (s.contains("type")) return;
    if (has_one(s, kOfObjects))
      s["type"] = "object";
    else if (has_one(s, kOfArrays))
      s["type"] = "array";
    else if (has_one(s, kOfStrings))
      s["type"] = "string";
    else if (has_one(s, kOfNumbers))
      s["type"] = "number";
  }

  void ready_pattern(Json& s, const std::string& place) const {
    if (!s.contains("pattern")) return;
    if (!s["pattern"].is_string()) wrong(place + "/pattern", "a text", s["pattern"]);
    const std::string regex = readable(s["pattern"], place, "pattern");
    if (regex.empty())
      s.erase("pattern");
    else
      s["pattern"] = regex;
  }

  // A pattern in XGrammar's words; empty: it is left to the model.
  std::string readable(const std::string& pattern, const std::string& place, std::string_view keyword) const {
    StringPattern p = string_pattern(pattern);
    if (!p.unheld.empty() && rule_ == SchemaRule::strict)
      unheld(place, keyword, fmt::format("{} in {}", p.unheld, pattern));
    return std::move(p.regex);
  }

  // Limits that would take XGrammar too long. True: nothing else is asked of the string.
  static bool count_length(Json& s) {
    const auto whole = [&](const char* name) { return !s.contains(name) || s[name].is_number_integer(); };
    if (!s.contains("maxLength") || s.contains("pattern") || s.contains("format") || !may_be(s, "string") ||
        !whole("minLength") || !whole("maxLength"))
      return false;
    const auto least = s.value("minLength", int64_t{0}), most = s["maxLength"].get<int64_t>();
    if (least < 0 || least > most || most < kLeastCounted || most > kMostCounted) return false;
    s["pattern"] = counted_string(least, most);
    s.erase("minLength"), s.erase("maxLength");
    return s["type"] == "string";
  }

  // Strings that are alike are one rule of the grammar.
  Json shared(Json s) {
    const std::string pattern = s["pattern"];
    const auto it = std::ranges::find(counted_, pattern);
    const auto n = it - counted_.begin();
    if (it == counted_.end()) counted_.push_back(pattern);
    return {{"$ref", fmt::format("#/$defs/{}{}", kCounted, n)}};
  }

  // Where a pattern stands beside a format, the pattern is held: it says more.
  void ready_format(Json& s, const std::string& place) const {
    if (!s.contains("format") || !may_be(s, "string")) return;
    const Format known = s["format"].is_string() ? known_format(s["format"].get<std::string>()) : Format();
    if (!known.pattern.empty() && !s.contains("pattern")) {
      s["pattern"] = "^" + known.pattern + "$";
      constexpr const char* kWhy = "the format alone is, where both stand";
      if (s.value("minLength", known.least) > known.least) take_out(s, "minLength", place, kWhy);
      if (s.value("maxLength", known.most) < known.most) take_out(s, "maxLength", place, kWhy);
      s.erase("minLength"), s.erase("maxLength");
    }
    if (s.contains("pattern")) s.erase("format");
  }

  static bool may_be(const Json& s, std::string_view type) {
    if (!s.contains("type")) return false;
    const Json& t = s["type"];
    return t == type || (t.is_array() && std::ranges::any_of(t, [&](const Json& x) { return x == type; }));
  }

  void ready_objects(Json& s, const std::string& place, int depth) {
    if (!may_be(s, "object")) return;
    const bool says_nothing = !s.contains("properties") && !s.contains("patternProperties") &&
                              !s.contains("propertyNames") && !s.contains("unevaluatedProperties");
    if (says_nothing && !s.contains("additionalProperties")) s["additionalProperties"] = true;
    for (const char* name : {"properties", "patternProperties"})
      if (s.contains(name) && !s[name].is_object()) wrong(place + "/" + name, "an object of schemas", s[name]);
    const Json given = s;
    keep_patterns_apart(given, place);
    require_members(s, place);
    keep_names(s, given, place);
    const std::string others = make_room(s);
    for (const char* name : {"properties", "patternProperties"}) {
      if (!s.contains(name)) continue;
      Json members = Json::object();
      for (const auto& [key, value] : s[name].items()) {
        const bool is_pattern = name == std::string_view("patternProperties");
        const std::string at =
            is_pattern && key == others ? place + "/additionalProperties" : fmt::format("{}/{}/{}", place, name, key);
        const std::string written = is_pattern ? readable(whole_names(key), at, name) : key;
        if (written.empty() && is_pattern) continue;
        members[written] = read(value, at, depth + 1);
      }
      s[name] = std::move(members);
    }
    for (const char* name : {"additionalProperties", "unevaluatedProperties"})
      if (s.contains(name) && s[name].is_object()) s[name] = read(s[name], place + "/" + name, depth + 1);
    if (s.contains("propertyNames") && s["propertyNames"].is_object()) ready_names(s, place, depth);
  }

  // Names stand alone in XGrammar, without references.
  void ready_names(Json& s, const std::string& place, int depth) {
    Json names = read(resolved(s["propertyNames"]), place + "/propertyNames", depth + 1);
    if (names.contains("$ref")) {
      const std::string at = names["$ref"], mine = fmt::format("#/$defs/{}", kCounted);
      if (at.starts_with(mine)) names = {{"type", "string"}, {"pattern", counted_[std::stoul(at.substr(mine.size()))]}};
    }
    s["propertyNames"] = std::move(names);
  }

  // A required member without a schema of its own has that of its name's pattern, or of all others.
  void require_members(Json& s, const std::string& place) {
    if (!s.contains("required")) return;
    if (!s["required"].is_array() || !std::ranges::all_of(s["required"], [](const Json& x) { return x.is_string(); }))
      wrong(place + "/required", "a list of names", s["required"]);
    // Copies: a member that comes moves all of an object's.
    const Json required = s["required"], more = s.value("additionalProperties", Json(true));
    for (const Json& name : required) {
      const auto& key = name.get_ref<const std::string&>();
      if (s.contains("properties") && s["properties"].contains(key)) continue;
      const Json* by_pattern = pattern_of(s, key);
      if (!by_pattern && more == false)
        bad(place, fmt::format("the required member \"{}\" among its properties: no other may be written", key));
      const Json schema = by_pattern ? *by_pattern : more.is_object() ? more : Json::object();
      s["properties"][key] = schema;
    }
  }

  static const Json* pattern_of(const Json& s, const std::string& name) {
    if (!s.contains("patternProperties")) return nullptr;
    for (const auto& [pattern, schema] : s["patternProperties"].items())
      if (pattern_matches(pattern, name).matches) return &schema;
    return nullptr;
  }

  // A name that two patterns take must be held to both of their schemas, and no grammar tells which names these are.
  void keep_patterns_apart(const Json& s, const std::string& place) const {
    if (rule_ != SchemaRule::strict || !s.contains("patternProperties")) return;
    const Json& patterns = s["patternProperties"];
    for (auto a = patterns.begin(); a != patterns.end(); ++a)
      for (auto b = std::next(a); b != patterns.end(); ++b)
        if (a.value() != b.value() && may_share_a_name(a.key(), b.key()))
          unheld(place, "patternProperties",
                 fmt::format("a name may match both {} and {}, whose schemas differ", a.key(), b.key()));
  }

  // Members whose names may not be written are none; what has two schemas cannot be held to.
  void keep_names(Json& s, const Json& given, const std::string& place) {
    if (!s.contains("properties")) return;
    const Json properties = s["properties"];
    const bool has_names = s.contains("propertyNames") && !s["propertyNames"].is_boolean();
    for (const auto& [name, schema] : properties.items()) {
      if (has_names && !check_.satisfies(name, s["propertyNames"])) {
        const Json required = s.value("required", Json::array());
        if (std::ranges::find(required, Json(name)) != required.end())
          bad(place, fmt::format("a name as propertyNames has them for the required member \"{}\"", name));
        s["properties"].erase(name);
        continue;
      }
      if (!given.contains("patternProperties")) continue;
      for (const auto& [pattern, other] : given["patternProperties"].items())
        if (other != schema && other != true && !(other.is_object() && other.empty()) &&
            pattern_matches(pattern, name).matches && rule_ == SchemaRule::strict)
          unheld(place, "patternProperties",
                 fmt::format("{} has a second schema for the member \"{}\"", pattern, name));
    }
    if (check_.is_spent()) bad(place, "less work to tell which names may be written");
  }

  // Which others may come, where that is not said or cannot be told apart. The pattern that stands for the others
  // beside patternProperties, if any: one that matches could otherwise come as one of them, with another schema.
  static std::string make_room(Json& s) {
    const auto says = [&](const char* name) { return s.contains(name); };
    std::string others;
    if (says("patternProperties") && !s["patternProperties"].empty()) {
      const Json more = s.value("additionalProperties", Json(false)),
                 properties = s.value("properties", Json::object());
      std::vector<std::string> patterns, taken;
      for (const auto& [pattern, schema] : s["patternProperties"].items()) patterns.push_back(pattern);
      for (const auto& [name, schema] : properties.items()) taken.push_back(name);
      if (more != false && !says("propertyNames")) others = other_names(patterns, taken);
      if (!others.empty()) s["patternProperties"][others] = more;
      s["additionalProperties"] = false;
    }
    const bool is_open = says("additionalProperties") || says("unevaluatedProperties") || says("patternProperties");
    if (!is_open && says("minProperties") && s["minProperties"].is_number_integer() &&
        s["minProperties"].get<int64_t>() > static_cast<int64_t>(s.value("properties", Json::object()).size()))
      s["additionalProperties"] = true;
    return others;
  }

  void ready_arrays(Json& s, const std::string& place, int depth) {
    if (!may_be(s, "array")) return;
    if (s.contains("items") && s["items"].is_array()) {  // until draft 2019
      const Json items = s["items"];
      s["prefixItems"] = items;
      s.erase("items");
      if (const Json rest = s.value("additionalItems", Json()); !rest.is_null()) s["items"] = rest;
    }
    s.erase("additionalItems");
    if (s.contains("prefixItems")) {
      if (!s["prefixItems"].is_array()) wrong(place + "/prefixItems", "a list of schemas", s["prefixItems"]);
      Json list = Json::array();
      for (const Json& item : s["prefixItems"])
        list.push_back(read(item, fmt::format("{}/prefixItems/{}", place, list.size()), depth + 1));
      s["prefixItems"] = std::move(list);
    }
    if (s.contains("items") && !s["items"].is_boolean()) s["items"] = read(s["items"], place + "/items", depth + 1);
    if (!s.contains("items") && !s.contains("prefixItems") && !s.contains("unevaluatedItems"))
      s["items"] = Json::object();
    else if (s.contains("items") && s["items"] == true)
      s["items"] = Json::object();
  }

  Json resolved(const Json& s) const {
    const Json* at = &s;
    for (int i = 0; i < kMostDepth && at->is_object() && at->contains("$ref") && target(*at); ++i) {
      const Json* next = target(*at);
      if (next == at) break;
      at = next;
    }
    return *at;
  }

  Json merged_all_of(const Json& s, const std::string& place, int depth) {
    if (!s["allOf"].is_array() || s["allOf"].empty()) wrong(place + "/allOf", "a list of schemas", s["allOf"]);
    if (depth > kMostDepth) bad(place, "an end of allOf in allOf");
    Json out = s;
    out.erase("allOf");
    if (out.contains("$ref")) {
      const Json named = resolved(out);
      out.erase("$ref");
      merge(out, named, place, "allOf");
    }
    for (const Json& part : s["allOf"]) {
      Json other = resolved(part);
      if (++n_schemas_ > kMostSchemas) bad(place, fmt::format("at most {} schemas in one", kMostSchemas));
      if (other.is_object() && other.contains("allOf")) other = merged_all_of(other, place, depth + 1);
      merge(out, other, place, "allOf");
    }
    take_out_unheld(out, place);
    return out;
  }

  // `into` becomes what satisfies both.
  void merge(Json& into, const Json& other, const std::string& place, const char* keyword) {
    if (other.is_boolean()) {
      if (!other.get<bool>()) nothing(place, "a schema that something satisfies, found false");
      return;
    }
    if (!other.is_object()) wrong(place, "an object or true", other);
    for (const auto& [name, value] : other.items()) {
      if (!into.contains(name)) {
        into[name] = value;
        continue;
      }
      Json& mine = into[name];
      if (mine == value || is_one(kNotes, name)) continue;
      if (name == "properties" || name == "patternProperties") {
        for (const auto& [key, schema] : value.items()) {
          if (!mine.contains(key)) {
            mine[key] = schema;
          } else {
            Json both = resolved(mine[key]);
            merge(both, resolved(schema), place + "/" + key, keyword);
            mine[key] = std::move(both);
          }
        }
      } else if (name == "required") {
        for (const Json& n : value)
          if (std::ranges::find(mine, n) == mine.end()) mine.push_back(n);
      } else if (name == "type") {
        mine = common_type(mine, value, place);
      } else if (name == "enum") {
        std::erase_if(mine.get_ref<Json::array_t&>(),
                      [&theirs = value](const Json& x) { return std::ranges::find(theirs, x) == theirs.end(); });
        if (mine.empty()) nothing(place, "an enum that both sides share");
      } else if (name == "minimum" || name == "exclusiveMinimum" || name.starts_with("min")) {
        mine = std::max(mine, value);
      } else if (name == "maximum" || name == "exclusiveMaximum" || name.starts_with("max")) {
        mine = std::min(mine, value);
      } else if (name == "additionalProperties" || name == "items") {
        if (mine == true)
          mine = value;
        else if (value == false)
          mine = false;
        else if (mine.is_object() && value.is_object()) {
          Json both = resolved(mine);
          merge(both, resolved(value), place + "/" + name, keyword);
          mine = std::move(both);
        }
      } else {
        unheld(place, keyword, fmt::format("its parts have different \"{}\"", name));
      }
    }
  }

  static Json common_type(const Json& a, const Json& b, const std::string& place) {
    const auto list = [](const Json& t) { return t.is_array() ? t : Json::array({t}); };
    Json both = Json::array();
    for (const Json& x : list(a))
      for (const Json& y : list(b)) {
        if (x == y)
          both.push_back(x);
        else if ((x == "integer" && y == "number") || (x == "number" && y == "integer"))
          both.push_back("integer");
      }
    if (both.empty()) nothing(place, "a type that both sides share");
    return both.size() == 1 ? both[0] : both;
  }

  static constexpr const char* kCounted = "watra.counted.";
  static constexpr const char* kNamed = "watra.named.";
  using Named = std::pair<const Json*, std::string>;  // and its place
  const Json& root_;
  SchemaRule rule_;
  size_t n_schemas_ = 0;
  SchemaCheck check_{[this](const Json& s) { return target(s); }};
  std::vector<std::string> counted_;  // patterns
  std::vector<Named> named_;          // by references
};

}  // namespace

Result<Json> ready_schema(const Json& schema, SchemaRule rule) {
  try {
    return Rules(schema, rule).read_root();
  } catch (const Wrong& w) {
    return fail(w.error);
  } catch (const Json::exception& e) {  // a keyword's value is of a kind nobody writes
    return fail("grammar.bad_schema", fmt::format("the schema cannot be read: {}", e.what()));
  }
}

}  // namespace watra::text
