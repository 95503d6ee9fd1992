// JSON schemas made ready for XGrammar, which leaves out some keywords without a word: those are an error that names
// them, or taken out, and what can be said in its words is (allOf merged, siblings of anyOf moved into it, items of
// draft 7).
#pragma once

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "text/grammar.h"

namespace watra::text {

// Object members are allowed by name alone where a schema has properties and says nothing else (as llama.cpp reads
// them); an object or array without any says nothing about its members. Errors: "grammar.unsupported_schema",
// "grammar.bad_schema".
Result<nlohmann::ordered_json> ready_schema(const nlohmann::ordered_json& schema, SchemaRule rule);

}  // namespace watra::text
