// Fields: the typed reading of a JSON object somebody sent. null means absent, fields nobody asks for are ignored, and
// what is of the wrong kind or out of range is refused by name, never bent into shape.
//
// Every getter throws ApiError (400 with `param`).
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/api_error.h"

namespace watra::server {

// JSON text -> value. Refused: what is not JSON, what nests deeper than 64 levels, what is not UTF-8.
Json parse_json(std::string_view text);

// 400 about a value inside a field: `place` is where it stands ("stop[1]"), and what was found is told shortened.
[[noreturn]] void refuse_value(const std::string& place, std::string_view needs, const Json& found);

class Fields {
 public:
  // `object` is borrowed. `path` goes in front of names in errors: "messages[2]".
  explicit Fields(const Json& object, std::string path = {});

  const Json* find(std::string_view name) const;  // null when absent or null
  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::string name(std::string_view field) const;  // with the path

  std::optional<double> number(std::string_view name, double least = -std::numeric_limits<double>::infinity(),
                               double most = std::numeric_limits<double>::infinity()) const;
  std::optional<int64_t> integer(std::string_view name, int64_t least = std::numeric_limits<int64_t>::min(),
                                 int64_t most = std::numeric_limits<int64_t>::max()) const;
  std::optional<bool> boolean(std::string_view name) const;
  std::optional<std::string> text(std::string_view name) const;
  std::string required_text(std::string_view name) const;
  const Json* array(std::string_view name) const;
  const Json* object(std::string_view name) const;
  // One text or a list of texts.
  std::vector<std::string> texts(std::string_view name) const;

  [[noreturn]] void refuse(std::string_view field, std::string_view needs) const;

 private:
  const Json& object_;
  std::string path_;
};

}  // namespace watra::server
