// ToolFormat: how a model writes calls of tools, found out by asking its own template; and the shape such calls are
// held to.
//
// A template is shown an answer with one call and one with two; what it writes around names and arguments is the format
// (<tool_call>, [TOOL_CALLS], bare JSON ...). Where a template knows no tools, or writes arguments in another way than
// JSON, our own format takes its place: the tools are described in the system message, calls and results become plain
// messages. docs/decisions/0016 describes it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_prompt.h"
#include "text/grammar.h"

namespace watra::text {

struct ToolFormat {
  enum class Kind : uint8_t { literal, name, id, arguments };
  struct Part {
    Kind kind;
    std::string text;  // of a literal
    bool operator==(const Part&) const = default;
  };

  bool native = false;             // the template describes tools, calls and results itself
  bool arguments_as_text = false;  // it wants arguments as JSON in a text
  bool parallel = true;            // it writes several calls in one answer
  bool short_ids = false;          // ids have nine letters and digits

  // An answer with calls: open, call, (separator, call)*, close. Each may be empty but the call.
  std::string open, separator, close;
  std::vector<Part> call;
  std::string trigger;  // what begins calls in the midst of a text: the beginning of open + call

  std::string before_name() const { return call.front().kind == Kind::literal ? call.front().text : std::string(); }
  // Control tokens that calls are written with.
  std::vector<TokenId> markers(const Tokenizer& tokenizer) const;
};

// Asks the template. `ends`: spellings of the tokens that end an answer.
ToolFormat find_tool_format(const ChatPrompt& prompt, const std::vector<std::string>& ends);
const ToolFormat& own_tool_format();

// A conversation with calls and results as templates without tools can write it: our own format in plain messages.
// `tools` may be null.
nlohmann::ordered_json plain_tool_messages(const nlohmann::ordered_json& messages, const nlohmann::ordered_json* tools);

struct CallableTool {
  std::string name;
  Shape arguments;
};
// Exactly the calls, from the first token: one, or up to `most`.
Shape calls_shape(const ToolFormat& format, const std::vector<CallableTool>& tools, int64_t most);
// A text that may end with calls, up to `most`: from the trigger on nothing else is possible.
Shape text_with_calls_shape(const ToolFormat& format, const std::vector<CallableTool>& tools, int64_t most);

}  // namespace watra::text
