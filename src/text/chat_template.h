// ChatTemplate: an interpreter for the Jinja dialect of Hugging Face chat templates.
//
// render() returns spans marked template or content: what the person, a tool or the model wrote is content and is
// tokenized with control tokens as plain text, so nobody can close a turn by writing its marker. The marking survives
// every string operation (concatenation, slicing, trim, replace, split, tojson ...): each character knows whether it
// came from the template. Steps, depth and memory are limited. Immutable after parse(); render() may be called from any
// thread.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace watra::text {

struct PromptSpan {
  std::string text;
  bool is_content;  // false = written by the template
};

struct TemplateLimits {
  uint64_t max_steps = 5'000'000;
  uint32_t max_depth = 200;
  uint64_t max_output_bytes = 64u << 20;
  uint64_t max_memory_bytes = 256u << 20;
};

class ChatTemplate {
 public:
  // Errors: "template.syntax" with line and column.
  static Result<ChatTemplate> parse(std::string_view source);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  struct Input {
    // An ordered JSON object with everything the template may read: messages, tools, documents, add_generation_prompt,
    // bos_token, eos_token and any further variable. Strings below "messages", "tools" and "documents" are content, all
    // others template.
    const nlohmann::ordered_json* variables = nullptr;
    int64_t now_unix_seconds = -1;  // what strftime_now sees (local time); -1 = the clock
  };

  // Errors: "template.refused" (raise_exception, message is the template's own words), "template.type",
  // "template.undefined", "template.limit".
  Result<std::vector<PromptSpan>> render(const Input& input, const TemplateLimits& limits = {}) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

std::string join(const std::vector<PromptSpan>& spans);

}  // namespace watra::text
