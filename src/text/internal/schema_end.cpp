#include "text/internal/schema_end.h"

#include <algorithm>
#include <set>
#include <vector>

namespace watra::text {
namespace {

using Json = nlohmann::ordered_json;

class Ends {
 public:
  // What ends without what is still in question is known first; then what ends with that, and so on.
  explicit Ends(const Json& root) : defs_(root.value("$defs", Json::object())) {
    for (bool grew = true; grew;) {
      grew = false;
      for (const auto& [name, schema] : defs_.items())
        if (!known_.contains(name) && ends(schema)) {
          known_.insert(name);
          grew = true;
        }
    }
  }

  bool ends(const Json& s) const {
    if (!s.is_object() || s.contains("const") || s.contains("enum")) return true;
    if (s.contains("$ref")) return known_.contains(name_of(s)) || !defs_.contains(name_of(s));
    if (s.contains("anyOf")) return std::ranges::any_of(s["anyOf"], [&](const Json& choice) { return ends(choice); });
    return !stuck(s);
  }

  // Down to the member, item or choice that leads back to where the way has been.
  std::string place(const Json& s, const std::string& at, std::vector<std::string> been = {}) const {
    if (s.contains("$ref")) {
      const std::string name = name_of(s);
      if (std::ranges::find(been, name) != been.end()) return at;
      been.push_back(name);
      return place(defs_.at(name), "#/$defs/" + name, std::move(been));
    }
    if (s.contains("anyOf")) return s["anyOf"].size() == 1 ? place(s["anyOf"][0], at, std::move(been)) : at;
    const auto part = stuck(s);
    return part && part->schema ? place(*part->schema, at + part->at, std::move(been)) : at;
  }

 private:
  struct Part {
    const Json* schema;  // null: several
    std::string at;
  };

  static std::string name_of(const Json& s) {
    const std::string at = s["$ref"], defs = "#/$defs/";
    return at.starts_with(defs) ? at.substr(defs.size()) : at;
  }
  static bool may_be(const Json& s, const char* type) {
    const Json& t = s["type"];
    return t == type || (t.is_array() && std::ranges::find(t, Json(type)) != t.end());
  }
  static int64_t least(const Json& s, const char* name) {
    return s.contains(name) && s[name].is_number_integer() ? s[name].get<int64_t>() : 0;
  }

  // What it cannot get past; nothing where it ends in one of its types.
  std::optional<Part> stuck(const Json& s) const {
    if (!s.contains("type")) return std::nullopt;
    const size_t n_types = s["type"].is_array() ? s["type"].size() : 1;
    const bool object = may_be(s, "object"), array = may_be(s, "array");
    if (n_types > static_cast<size_t>(object) + static_cast<size_t>(array)) return std::nullopt;
    std::optional<Part> part;
    if (object && !(part = stuck_object(s))) return std::nullopt;
    if (array && !(part = stuck_array(s))) return std::nullopt;
    return part;
  }

  std::optional<Part> stuck_object(const Json& s) const {
    const Json none = Json::object();
    const Json& properties = s.contains("properties") ? s["properties"] : none;
    if (s.contains("required"))
      for (const Json& name : s["required"])
        if (const auto it = properties.find(name.get_ref<const std::string&>());
            it != properties.end() && !ends(it.value()))
          return Part{&it.value(), "/properties/" + it.key()};
    const int64_t n_least = least(s, "minProperties");
    const auto n_ending = std::ranges::count_if(properties, [&](const Json& member) { return ends(member); });
    if (n_ending >= n_least) return std::nullopt;
    for (const char* name : {"additionalProperties", "unevaluatedProperties"})
      if (s.contains(name) && s[name] != false) {
        if (ends(s[name])) return std::nullopt;
        if (properties.empty()) return Part{&s[name], std::string("/") + name};
      }
    if (s.contains("patternProperties") &&
        std::ranges::any_of(s["patternProperties"], [&](const Json& member) { return ends(member); }))
      return std::nullopt;
    // Too few members whatever they hold are another matter.
    const bool has_others = s.contains("patternProperties") || s.value("additionalProperties", Json(false)) != false;
    if (static_cast<int64_t>(properties.size()) < n_least && !has_others) return std::nullopt;
    return Part{nullptr, ""};
  }

  // Every one of prefixItems is written.
  std::optional<Part> stuck_array(const Json& s) const {
    const size_t n_first = s.contains("prefixItems") ? s["prefixItems"].size() : 0;
    for (size_t i = 0; i < n_first; ++i)
      if (!ends(s["prefixItems"][i])) return Part{&s["prefixItems"][i], "/prefixItems/" + std::to_string(i)};
    if (s.contains("items") && least(s, "minItems") > static_cast<int64_t>(n_first) && !ends(s["items"]))
      return Part{&s["items"], "/items"};
    return std::nullopt;
  }

  Json defs_;
  std::set<std::string> known_;  // definitions that end
};

}  // namespace

std::optional<std::string> endless_place(const Json& schema) {
  const Ends ends(schema);
  if (ends.ends(schema)) return std::nullopt;
  return ends.place(schema, "");
}

}  // namespace watra::text
