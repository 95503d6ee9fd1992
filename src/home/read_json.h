// JSON text -> value, in time that grows with the text: nlohmann's own parser of ordered objects looks through all
// members for every new one, so an object of a hundred thousand takes minutes.
#pragma once

#include <optional>
#include <string_view>

#include "home/json.h"

namespace watra::home {

// Members keep their order; of a key told twice the last value stands in the first one's place. Nothing where the text
// is no JSON or not UTF-8. Nothing here recurs, however deep the text nests; who walks through the value may
// (base/json_nesting.h).
std::optional<Json> read_json(std::string_view text);

}  // namespace watra::home
