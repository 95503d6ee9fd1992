// Tools a client offers, whatever API it speaks: read into one form, checked, and turned into the shape of calls.
//
// Pure functions; any thread may call. Errors are thrown as ApiError, 400, with the place in `param`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/answer_shape.h"
#include "text/tool_format.h"

namespace watra::server {

struct Toolbox {
  enum class Choice : uint8_t { none, automatic, required, named };
  Json tools = Json::array();              // OpenAI's shape; empty = none
  std::vector<std::string> schema_places;  // where each tool's schema stands in the request
  Choice choice = Choice::none;
  std::string named;
  std::optional<bool> parallel;  // absent: several where the model chooses to call, one where it must

  bool in_use() const { return choice != Choice::none; }
  const Json* shown() const { return in_use() ? &tools : nullptr; }  // what the prompt describes
  std::vector<std::string> names() const;
};

// `tools`, `tool_choice` and `parallel_tool_calls` of each API.
Toolbox read_openai_tools(const Fields& fields);
Toolbox read_responses_tools(const Fields& fields);
Toolbox read_anthropic_tools(const Fields& fields);

// What the answer is held to, with tools in use: calls alone, or a text (`asked`, if there is one) that may have calls.
text::Shape shape_with_tools(const Toolbox& box, const text::ToolFormat& format, const AskedShape& asked);

}  // namespace watra::server
