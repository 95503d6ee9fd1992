// Json: what home/ keeps in columns and tells the server in; objects keep the order they were written in.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace watra::home {

using Json = nlohmann::ordered_json;

// Text as JSON; bytes that are not UTF-8 become U+FFFD.
inline std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// null for an absent text.
template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace watra::home
