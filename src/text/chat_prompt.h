// ChatPrompt: messages -> prompt -> token ids, with a model's own chat template and vocabulary.
//
// What the template wrote may contain control tokens; what people, tools and the model wrote is tokenized as plain
// text, so nobody can close a turn by writing its marker. The template writes BOS itself where the model wants one;
// none is added. Immutable after create().
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace watra::text {

struct ChatPromptInput {
  const nlohmann::ordered_json* messages = nullptr;   // a list of messages
  const nlohmann::ordered_json* tools = nullptr;      // or null
  const nlohmann::ordered_json* variables = nullptr;  // an object with further variables of the template, or null
  bool add_generation_prompt = true;
  int64_t now_unix_seconds = -1;  // -1 = the clock
};

struct RenderedPrompt {
  std::vector<PromptSpan> spans;
  std::vector<TokenId> ids;
  std::string text() const { return join(spans); }
};

class ChatPrompt {
 public:
  // Errors: "template.syntax".
  static Result<ChatPrompt> create(std::string_view template_source, std::shared_ptr<const Tokenizer> tokenizer);

  // Errors: those of ChatTemplate::render.
  Result<RenderedPrompt> render(const ChatPromptInput& input) const;

 private:
  ChatPrompt(ChatTemplate chat_template, std::shared_ptr<const Tokenizer> tokenizer);
  ChatTemplate template_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

}  // namespace watra::text
