#include "server/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json_nesting.h"
#include "home/read_json.h"

namespace watra::server {
namespace {

constexpr int kMaxNesting = 64;
constexpr size_t kShownValue = 60, kLongestWord = 40;

// One word is a name, right or mistyped; what has spaces may be a person's words, which stay out of messages.
bool is_word(const std::string& text) {
  return text.size() <= kLongestWord && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
}

std::string shown(const Json& value) {
  if (value.is_structured() && value.empty()) return value.is_array() ? "an empty list" : "an empty object";
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  if (value.is_object()) return "an object";
  if (value.is_string() && !is_word(value.get_ref<const std::string&>())) return "a text";
  std::string text = dump(value);
  if (text.size() > kShownValue) text = text.substr(0, kShownValue) + "...";
  return text;
}

}  // namespace

Json parse_json(std::string_view text) {
  if (nests_deeper(text, kMaxNesting))
    throw ApiError{.code = "invalid_json", .message = fmt::format("the body nests deeper than {} levels", kMaxNesting)};
  auto json = home::read_json(text);
  if (!json) throw ApiError{.code = "invalid_json", .message = "the body is not valid JSON in UTF-8"};
  return *std::move(json);
}

Fields::Fields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object.is_object())
    throw bad_field(path_,
                    fmt::format("{} needs a JSON object, found {}", path_.empty() ? "the body" : path_, shown(object)));
}

const Json* Fields::find(std::string_view name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

std::string Fields::name(std::string_view field) const {
  return path_.empty() ? std::string(field) : fmt::format("{}.{}", path_, field);
}

void Fields::refuse(std::string_view field, std::string_view needs) const {
  const Json* value = find(field);
  throw bad_field(name(field), value ? fmt::format("{} needs {}, found {}", name(field), needs, shown(*value))
                                     : fmt::format("{} is missing: it needs {}", name(field), needs));
}

std::optional<double> Fields::number(std::string_view field, double least, double most) const {
  const Json* value = find(field);
  if (!value) return std::nullopt;
  if (!value->is_number()) refuse(field, "a number");
  const auto x = value->get<double>();
  if (!std::isfinite(x) || x < least || x > most) refuse(field, fmt::format("a number from {} to {}", least, most));
  return x;
}

std::optional<int64_t> Fields::integer(std::string_view field, int64_t least, int64_t most) const {
  const Json* value = find(field);
  if (!value) return std::nullopt;
  const auto needs = [&] { return fmt::format("a whole number from {} to {}", least, most); };
  int64_t x = 0;
  if (value->is_number_unsigned()) {
    const auto u = value->get<uint64_t>();
    if (u > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) refuse(field, needs());
    x = static_cast<int64_t>(u);
  } else if (value->is_number_integer()) {
    x = value->get<int64_t>();
  } else if (value->is_number_float()) {           // 5.0, as some clients write it
    constexpr double kExact = 9007199254740992.0;  // 2^53
    const auto d = value->get<double>();
    if (!std::isfinite(d) || std::abs(d) > kExact || d != std::floor(d)) refuse(field, needs());
    x = static_cast<int64_t>(d);
  } else {
    refuse(field, needs());
  }
  if (x < least || x > most) refuse(field, needs());
  return x;
}

std::optional<bool> Fields::boolean(std::string_view field) const {
  const Json* value = find(field);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) refuse(field, "true or false");
  return value->get<bool>();
}

std::optional<std::string> Fields::text(std::string_view field) const {
  const Json* value = find(field);
  if (!value) return std::nullopt;
  if (!value->is_string()) refuse(field, "a text");
  return value->get<std::string>();
}

std::string Fields::required_text(std::string_view field) const {
  auto value = text(field);
  if (!value) refuse(field, "a text");
  return *std::move(value);
}

const Json* Fields::array(std::string_view field) const {
  const Json* value = find(field);
  if (value && !value->is_array()) refuse(field, "a list");
  return value;
}

const Json* Fields::object(std::string_view field) const {
  const Json* value = find(field);
  if (value && !value->is_object()) refuse(field, "an object");
  return value;
}

std::vector<std::string> Fields::texts(std::string_view field) const {
  const Json* value = find(field);
  if (!value) return {};
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) refuse(field, "a text or a list of texts");
  std::vector<std::string> out;
  for (size_t i = 0; i < value->size(); ++i) {
    const Json& entry = (*value)[i];
    if (!entry.is_string()) refuse_value(fmt::format("{}[{}]", name(field), i), "a text", entry);
    out.push_back(entry.get<std::string>());
  }
  return out;
}

void refuse_value(const std::string& place, std::string_view needs, const Json& found) {
  throw bad_field(place, fmt::format("{} needs {}, found {}", place, needs, shown(found)));
}

}  // namespace watra::server
