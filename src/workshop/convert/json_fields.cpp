#include "workshop/convert/json_fields.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json_nesting.h"

namespace watra::workshop {

using nlohmann::json;

namespace {
constexpr int kMostNesting = 100;  // messages show values, and showing goes as deep as they do
}  // namespace

JsonFields::JsonFields(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

const json* JsonFields::find(const char* key) const {
  if (!object_.is_object()) return nullptr;
  auto it = object_.find(key);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

bool JsonFields::has(const char* key) const { return find(key) != nullptr; }

void JsonFields::wrong(const char* key, std::string wanted) {
  if (error_) return;
  std::string found = find(key)->dump(-1, ' ', true, json::error_handler_t::replace);
  if (found.size() > 60) found = found.substr(0, 57) + "...";
  error_ = Error{"convert.bad_config", fmt::format("{}: {} must be {}, found {}", where_, key, wanted, found), ""};
}

void JsonFields::missing(const char* key) {
  if (error_) return;
  error_ = Error{"convert.bad_config", fmt::format("{}: {} is missing", where_, key), ""};
}

std::optional<int64_t> JsonFields::integer(const char* key, int64_t min, int64_t max) {
  const json* v = find(key);
  if (!v) return std::nullopt;
  if (v->is_number_unsigned() ? v->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX) : v->is_number_integer()) {
    const auto n = v->get<int64_t>();
    if (n >= min && n <= max) return n;
  }
  wrong(key, fmt::format("a whole number from {} to {}", min, max));
  return std::nullopt;
}

std::optional<double> JsonFields::number(const char* key) {
  const json* v = find(key);
  if (!v) return std::nullopt;
  if (v->is_number() && std::isfinite(v->get<double>())) return v->get<double>();
  wrong(key, "a finite number");
  return std::nullopt;
}

std::optional<bool> JsonFields::flag(const char* key) {
  const json* v = find(key);
  if (!v) return std::nullopt;
  if (v->is_boolean()) return v->get<bool>();
  wrong(key, "true or false");
  return std::nullopt;
}

std::optional<std::string> JsonFields::text(const char* key) {
  const json* v = find(key);
  if (!v) return std::nullopt;
  if (v->is_string()) return v->get<std::string>();
  wrong(key, "a string");
  return std::nullopt;
}

std::optional<std::vector<float>> JsonFields::numbers(const char* key, size_t max_count) {
  const json* v = find(key);
  if (!v) return std::nullopt;
  if (v->is_array() && v->size() <= max_count) {
    std::vector<float> out;
    for (const json& e : *v) {
      if (!e.is_number() || !std::isfinite(e.get<float>())) break;
      out.push_back(e.get<float>());
    }
    if (out.size() == v->size()) return out;
  }
  wrong(key, fmt::format("a list of at most {} finite numbers", max_count));
  return std::nullopt;
}

std::optional<std::vector<std::string>> JsonFields::texts(const char* key, size_t max_count) {
  const json* v = find(key);
  if (!v) return std::nullopt;
  if (v->is_array() && v->size() <= max_count) {
    std::vector<std::string> out;
    for (const json& e : *v) {
      if (!e.is_string()) break;
      out.push_back(e.get<std::string>());
    }
    if (out.size() == v->size()) return out;
  }
  wrong(key, fmt::format("a list of at most {} strings", max_count));
  return std::nullopt;
}

int64_t JsonFields::require_integer(const char* key, int64_t min, int64_t max, std::optional<int64_t> fallback) {
  if (auto v = integer(key, min, max)) return *v;
  if (!has(key) && !fallback) missing(key);
  return fallback.value_or(min);
}

double JsonFields::require_number(const char* key, std::optional<double> fallback) {
  if (auto v = number(key)) return *v;
  if (!has(key) && !fallback) missing(key);
  return fallback.value_or(0.0);
}

Status JsonFields::status() const {
  if (error_) return fail(*error_);
  return {};
}

Result<json> read_json_object(const fs::path& path, uint64_t max_bytes) {
  WATRA_ASSIGN(const std::string text, read_text_file(path, max_bytes));
  if (nests_deeper(text, kMostNesting))
    return fail("convert.bad_json", fmt::format("{} nests deeper than {} levels", path.string(), kMostNesting));
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded() || !value.is_object())
    return fail("convert.bad_json", fmt::format("{} is not a JSON object", path.string()), "is the download complete?");
  return value;
}

}  // namespace watra::workshop
