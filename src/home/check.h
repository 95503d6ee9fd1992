// Checks of what somebody sent: right, or refused by name (Failure "request.invalid": the message begins with the field
// and a colon, the hint says what is allowed). null is taken for absent by the callers.
#pragma once

#include <string_view>

#include "home/failure.h"
#include "home/json.h"

namespace watra::home {

[[noreturn]] inline void refuse_field(std::string_view field, std::string allowed) {
  std::string message = fmt::format("{}: needs {}", field, allowed);
  refuse("request.invalid", std::move(message), std::move(allowed));
}

// Characters, not bytes.
inline size_t n_characters(std::string_view text) {
  size_t n = 0;
  for (const char c : text) n += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return n;
}

inline std::string checked_text(const Json& value, std::string_view field, size_t least, size_t most) {
  const std::string allowed = fmt::format("a text of {} to {} characters", least, most);
  if (!value.is_string()) refuse_field(field, allowed);
  auto text = value.get<std::string>();
  const size_t n = n_characters(text);
  if (n < least || n > most) refuse_field(field, allowed);
  return text;
}

inline bool checked_bool(const Json& value, std::string_view field) {
  if (!value.is_boolean()) refuse_field(field, "true or false");
  return value.get<bool>();
}

// The member, or null; of what is no object, null. The object must outlive what is given.
inline const Json& member(const Json& object, std::string_view name) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(name);
  return it == object.end() ? kNull : *it;
}

}  // namespace watra::home
