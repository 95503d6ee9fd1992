// What an answer is held to, read from a request: schemas, grammars, expressions and lists of choices in the words of
// OpenAI, llama.cpp, vLLM and Ollama.
//
// Pure functions; any thread may call. A shape is only read here, nothing is compiled (grammar_desk.h). Errors are
// thrown as ApiError, 400: the field, and what a grammar cannot hold to.
#pragma once

#include <optional>

#include "server/fields.h"
#include "text/grammar.h"

namespace watra::server {

struct AskedShape {
  std::optional<text::Shape> shape;
  std::string field;        // that asked for it
  bool is_grammar = false;  // by a grammar or expression, not a schema
};

// response_format, json_schema, grammar, guided_*, structured_outputs; at most one of them.
AskedShape read_asked_shape(const Fields& fields);
// {"type": "json_schema", ...} and its like; `field` is what it is called. No shape: any text.
AskedShape read_format(const Json& format, const std::string& field);
// Ollama's `format`: "json" or a schema.
AskedShape read_ollama_format(const Fields& fields);

// How a prompt leaves the model: nothing to think, or a block of thoughts that may come first or is open already.
enum class Thoughts : uint8_t { none, possible, open };
// Thoughts are free; what they are followed by has the shape.
text::Shape after_thoughts(text::Shape shape, Thoughts thoughts);

}  // namespace watra::server
