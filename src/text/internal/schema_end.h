// Whether a value of a schema can come to an end: one that must hold another of its own kind, and that another, has
// none, and a grammar of it would write until the last token.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace watra::text {

// Takes a schema as schema_rules.cpp leaves it, references by `#/$defs/NAME`; definitions that nothing needs may have
// no end. The JSON pointer of a place that a value cannot get past ("" = the whole), below a definition as
// "#/$defs/NAME/..."; nothing where a value ends.
std::optional<std::string> endless_place(const nlohmann::ordered_json& schema);

}  // namespace watra::text
