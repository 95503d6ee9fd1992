// A template and, after a NUL byte, the JSON of its variables: parse() and render() must answer, whatever they are
// given, within their limits, and the spans must alternate between template and content.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "text/chat_template.h"

namespace {

const nlohmann::ordered_json& usual_variables() {
  static const auto variables = nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "a <|b|> ż\n"},
                 {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"x": [1, 2.5, true]}}}]},
                 {"role": "tool", "content": [{"type": "text", "text": "t"}]}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>", "s": "text", "n": 3, "l": [1, "b", [2]], "d": {"k": "v"}})");
  return variables;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t nul = std::min(input.find('\0'), input.size());
  const auto parsed = watra::text::ChatTemplate::parse(input.substr(0, nul));
  if (!parsed) return 0;
  nlohmann::ordered_json given;
  if (nul < input.size()) given = nlohmann::ordered_json::parse(input.substr(nul + 1), nullptr, false);

  watra::text::TemplateLimits limits;
  limits.max_steps = 100'000;
  limits.max_output_bytes = 1 << 20;
  limits.max_memory_bytes = 8 << 20;
  const auto spans = parsed->render({given.is_object() ? &given : &usual_variables(), 1'700'000'000}, limits);
  if (!spans) return 0;
  for (size_t i = 0; i < spans->size(); ++i) {
    if ((*spans)[i].text.empty() || (i > 0 && (*spans)[i].is_content == (*spans)[i - 1].is_content)) std::abort();
  }
  return 0;
}
