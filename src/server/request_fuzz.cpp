// Any bytes as the body of a request: it is read, or refused with words; what is read has the shape that templates and
// grammars rely on.
#include <cstdint>
#include <cstdlib>

#include "server/chat_messages.h"
#include "server/tools.h"

namespace watra::server {
namespace {

template <class Read>
void read_or_refuse(Read read) {
  try {
    read();
  } catch (const ApiError& e) {
    if (e.message.empty()) std::abort();
    dump(error_body(e, Dialect::openai));
  }
}

void check_messages(const Json& messages) {
  if (!messages.is_array() || messages.empty()) std::abort();
  for (const Json& m : messages) {
    if (!m.at("role").is_string() || !m.at("content").is_string()) std::abort();
    if (!m.contains("tool_calls")) continue;
    for (const Json& call : m.at("tool_calls"))
      if (!call.at("function").at("name").is_string()) std::abort();
  }
  text::plain_tool_messages(messages, nullptr);
}

void check_tools(const Toolbox& box, const AskedShape& asked) {
  box.names();
  if (box.in_use()) dump(shape_with_tools(box, text::own_tool_format(), asked).json());
}

}  // namespace
}  // namespace watra::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace watra::server;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  read_or_refuse([&] {
    const Json body = parse_json(text);
    dump(body);
    const Fields f(body);
    AskedShape asked;
    read_or_refuse([&] { asked = read_asked_shape(f); });
    read_or_refuse([&] { read_ollama_format(f); });
    read_or_refuse([&] { check_messages(read_messages(f)); });
    for (const auto read : {read_openai_tools, read_responses_tools, read_anthropic_tools})
      read_or_refuse([&] { check_tools(read(f), asked); });
  });
  if (const auto written = read_written_arguments(std::string(text))) dump(*written);
  return 0;
}
